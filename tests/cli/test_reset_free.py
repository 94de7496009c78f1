"""`robot-rl finetune --reset-free` on the drawer, a few steps: to the last bit in lock-step, and killed."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("metaworld")
from safetensors.numpy import load_file

from robot_rl.cli.lock_step import LockStep
from robot_rl.cli.main import main
from robot_rl.cli.reset_free_film import strips
from robot_rl.cli.reset_free_run import print_result
from robot_rl.policies.checkpoint import load_spec
from tests.cli.processes import COMMAND

FEW = ["--reset-free", "--episodes", "1", "--log-every", "20", "--batch-size", "8", "--warmup", "20",
       "--practice.time-out", "25", "--practice.publish-every", "60", "--save-every", "40"]  # fmt: skip
TASKS = ("drawer_open", "drawer_close")
# Kills its own process at the end of the first try after step 100, saved or not.
KILLED = """
import os
from robot_rl.cli.lock_step import LockStep
save = LockStep._save_if_due
def killed(self):
    save(self)
    if self.learner.step > 100:
        os.kill(os.getpid(), 9)
LockStep._save_if_due = killed
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a few updates on both tasks."""
    root = tmp_path_factory.mktemp("by-task")
    for task in TASKS:
        few = ["--episodes", "2", "--steps", "30", "--no-images", "--workers", "1"]
        assert main(["collect", task, "--out", str(root / task), *few]) == 0
    few = ["--by-task", "--steps", "20", "--batch-size", "8", "--hidden", "8"]
    assert main(["train", *(str(root / task) for task in TASKS), "--out", str(root / "run"), *few]) == 0
    return root / "run"


def finetune(run, out, steps, *more):
    return main(["finetune", str(run), "--out", str(out), "--steps", str(steps), *FEW, *more])


def test_the_policy_is_told_the_task(run, tmp_path, capsys):
    spec = load_spec(run)
    assert spec.state_names[-2:] == ("task.drawer_open", "task.drawer_close") and spec.task == "drawer_open"
    assert main(["evaluate", str(run), "--episodes", "1", "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("drawer_open: success ") and "\ndrawer_close: success " in told
    assert set(json.loads((run / "evaluation.json").read_text())["by_task"]) == set(TASKS)


def test_in_lock_step_it_continues_to_the_last_bit(run, tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert finetune(run, whole, 160, "--practice.lock-step") == 0
    told = capsys.readouterr().out
    assert re.search(r"before: drawer_open .*\nbest: drawer_open ", told)
    assert "0 resets after the first" in told
    args = ["finetune", run, "--out", parts, "--steps", "160", *FEW, "--practice.lock-step"]
    child = subprocess.run([sys.executable, "-c", KILLED + COMMAND, *map(str, args)], capture_output=True)
    assert child.returncode == -signal.SIGKILL
    assert finetune(run, parts, 160, "--practice.lock-step") == 0
    first, second = (load_file(out / "state/state.safetensors") for out in (whole, parts))
    assert first["step"] == second["step"] == 160
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert rows(whole) == rows(parts)
    states = [json.loads((out / "supervisor.json").read_text())["state"] for out in (whole, parts)]
    assert states[0] == states[1] and states[0]["resets"] == 1
    assert main(["report", str(whole)]) == 0
    page = (whole / "report.html").read_text()
    assert (
        "Success over minutes of practice" in page and page.count("data:image/png") == len(strips(whole)) > 2
    )


def test_what_was_not_practised_is_judged_before_and_after(run, tmp_path, capsys):
    """A run of three tasks, of which two are practised."""
    root = run.parent
    few = ["--episodes", "2", "--steps", "30", "--no-images", "--workers", "1"]
    assert main(["collect", "door_open", "--out", str(root / "door_open"), *few]) == 0
    few = ["--by-task", "--steps", "5", "--batch-size", "8", "--hidden", "8", "--out", str(root / "three")]
    assert main(["train", *(str(root / task) for task in (*TASKS, "door_open")), *few]) == 0
    assert load_spec(root / "three").state_names[7:] == (
        "door_angle", "task.drawer_open", "task.drawer_close", "task.door_open"
    )  # fmt: skip
    assert finetune(root / "three", tmp_path / "on", 30, "--practice.lock-step", "--practice.no-film") == 0
    assert "other task door_open: before 0.00 (0.00 to 0.79), best 0.00" in capsys.readouterr().out
    assert json.loads((tmp_path / "on/other_tasks.json").read_text())["door_open"]["best"] == [1, 0]
    assert main(["report", str(tmp_path / "on")]) == 0
    assert "that were not practised" in (tmp_path / "on/report.html").read_text()
    weighed = tmp_path / "weighed"
    more = ["--practice.lock-step", "--practice.no-film", "--practice.reweigh"]
    assert finetune(root / "three", weighed, 90, *more) == 0
    assert {row[2] for row in rows(weighed)[2] if row[1] == "evaluation"} == {*TASKS, "door_open"}
    log = [json.loads(line) for line in (weighed / "online.jsonl").read_text().splitlines()]
    shares = [
        [row[f"prior_share/{task}"] for task in (*TASKS, "door_open")] for row in log if "version" in row
    ]
    assert len(shares) > 1 and all(sum(one) == pytest.approx(1) and min(one) >= 1 / 6 for one in shares)


def test_own_tries_judge_where_that_is_asked_for(run, tmp_path, capsys, monkeypatch):
    seen, close = [], LockStep.close
    monkeypatch.setattr(
        LockStep, "close", lambda self: (seen.append(self.practice.supervisor.state.steps), close(self))
    )
    out, more = tmp_path / "on", ["--practice.judged-by", "tries", "--practice.no-film"]
    assert finetune(run, out, 300, "--practice.lock-step", *more) == 0
    told = capsys.readouterr().out
    assert re.search(r"before: drawer_open 0.00 \(.* \(at step 0\)\nbest: drawer_open ", told)
    _, versions, trials = rows(out)
    assert {row[1] for row in trials} == {"practice"}
    # The drawer stays closed, so that only opening is tried; that must not keep new weights back.
    # The last one comes when all is over, tried or not.
    assert len(versions) > 3 and "candidate" not in {row[2] for row in versions[:-2]}
    assert json.loads((out / "supervisor.json").read_text())["state"]["steps"] == seen[0]  # to the last step


def rows(out):
    """The queue without its times, and the ledger without its own."""
    queue = sqlite3.connect(out / "queue.sqlite")
    ledger = sqlite3.connect(out / "weights/ledger.sqlite")
    return (
        queue.execute(
            "SELECT id, episode, task, weights, reward, ended, numbers FROM transitions"
        ).fetchall(),
        ledger.execute("SELECT version, step, status FROM versions").fetchall(),
        ledger.execute("SELECT version, source, task, tries, successes FROM trials").fetchall(),
    )


def count(out):
    try:
        path = f"file:{out / 'queue.sqlite'}?mode=ro"
        return sqlite3.connect(path, uri=True).execute("SELECT count(*) FROM transitions").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def until(reached, seconds=90):
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.05)


def children(pid):
    """Process ids of the children that run python's spawned workers, by their parent."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and b"spawn_main" in command:
            found.append(int(path.parent.name))
    return sorted(found)


def test_killed_processes_are_started_anew_and_nothing_is_missing(run, tmp_path):
    out, steps = tmp_path / "on", 200
    args = ["finetune", run, "--out", out, "--steps", steps, *FEW, "--practice.pace", "0.5"]
    command = [sys.executable, "-c", COMMAND, *map(str, args)]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: count(out) > 10)
    robot, learner, _ = children(first.pid)[:3]
    os.kill(robot, signal.SIGKILL)
    os.kill(learner, signal.SIGKILL)
    before = count(out)
    until(lambda: count(out) > before + 10)
    os.killpg(first.pid, signal.SIGKILL)
    told = first.stderr.read()
    assert "the robot was killed (signal 9); it is started anew" in told
    assert "the learner was killed (signal 9); it is started anew" in told
    before = count(out)
    second = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert second.returncode == 0, second.stderr
    assert "0 resets after the first" in second.stdout and count(out) == steps > before
    assert load_file(out / "state/state.safetensors")["step"] == steps  # all of them were learned from
    ids = [row[0] for row in rows(out)[0]]
    assert ids == list(range(1, steps + 1))
    assert {row[5] for row in rows(out)[0]} <= {"", "success", "already", "time_out", "cut"}
    assert load_spec(out / "best").task == "drawer_open"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "soccer"], "soccer has no reverse_task"),
        (["--task", "door_open"], "was trained for drawer_open, drawer_close, not for door_open"),
        (
            ["--reward", "runs/one", "--practice.lock-step"],
            "needs the labelings of drawer_open and of drawer",
        ),
        (["--seeds", "2"], "--reset-free is one run"),
        (["--practice.vary", "-1"], "--practice.vary: must be at least 0 steps, not -1"),
        (
            ["--practice.reweigh", "--practice.judged-by", "tries"],
            "--practice.reweigh: needs every task judged",
        ),
        (["--practice.reweigh", "--mix", "0"], "--practice.reweigh: weighs the prior data of several"),
    ],
)
def test_what_it_refuses(run, tmp_path, capsys, options, message):
    assert finetune(run, tmp_path / "no", 10, *options) == 2
    assert message in capsys.readouterr().err


def test_a_policy_of_several_tasks_and_one_of_one_are_not_mixed_up(run, tmp_path, capsys):
    assert main(["finetune", str(run), "--out", str(tmp_path / "no")]) == 2
    assert "is a policy of several tasks; give --reset-free" in capsys.readouterr().err
    root = run.parent
    few = ["--steps", "5", "--batch-size", "8", "--hidden", "8", "--out", str(tmp_path / "one")]
    assert main(["train", str(root / "drawer_open"), *few]) == 0
    assert finetune(tmp_path / "one", tmp_path / "no", 10) == 2
    assert "was trained for one task; --reset-free needs" in capsys.readouterr().err
    for more in ([], ["--by-task", "--holdout", "0.5"]):
        assert main(["train", str(root / "drawer_open"), str(root / "drawer_close"), *few, *more]) != 0
    assert callable(print_result)
