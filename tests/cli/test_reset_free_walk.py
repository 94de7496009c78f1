"""`robot-rl finetune --reset-free` on a walk: one task in one world, falls and get-ups, and no reset."""

import json
import re
import sqlite3

import numpy as np
import pytest

pytest.importorskip("mujoco")
from robot_rl.cli.finetune import Config
from robot_rl.cli.lock_step import LockStep
from robot_rl.cli.main import main
from robot_rl.cli.reset_free import parts_of
from robot_rl.cli.reset_free_options import PracticeConfig

FEW = ["--reset-free", "--episodes", "1", "--log-every", "20", "--batch-size", "8", "--warmup", "20",
       "--practice.time-out", "25", "--practice.publish-every", "60", "--save-every", "40"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a few updates on a walk; its policy falls within a second or two."""
    root = tmp_path_factory.mktemp("walk")
    few = ["--episodes", "2", "--steps", "60", "--no-images", "--workers", "1"]
    assert main(["collect", "go2_walk", "--out", str(root / "data"), *few]) == 0
    few = ["--steps", "20", "--batch-size", "8", "--hidden", "8", "--out", str(root / "run")]
    assert main(["train", str(root / "data"), *few]) == 0
    return root / "run"


def finetune(run, out, steps, *more):
    return main(["finetune", str(run), "--out", str(out), "--steps", str(steps), *FEW, *more])


def told(out):
    """What the supervisor remembers, and what was executed."""
    queue = sqlite3.connect(out / "queue.sqlite")
    rows = queue.execute("SELECT id, episode, ended, terminated, truncated, numbers FROM transitions")
    return json.loads((out / "supervisor.json").read_text())["state"], rows.fetchall()


def practised(run, out, stop_at=None):
    """A practice of 240 steps that falls a lot; with `stop_at` it is left once and taken up again."""
    options = PracticeConfig(lock_step=True, noise=2.0, time_out=40, film=False, publish_every=100)
    config = Config(run, out, reset_free=True, practice=options, steps=240, episodes=1, batch_size=8,
                    warmup=20, save_every=30)  # fmt: skip
    for until in (stop_at, None) if stop_at else (None,):
        lock_step = LockStep(parts_of(config))
        lock_step.run(until)
        lock_step.close()
    return told(out)


def test_it_falls_gets_up_and_continues_to_the_last_bit(run, tmp_path):
    whole, parts = practised(run, tmp_path / "whole"), practised(run, tmp_path / "parts", stop_at=120)
    assert whole == parts
    state, rows = whole
    assert len(rows) == 240 and state["resets"] == 1 and state["asked_for_help"] == 0
    ends = [row[2:5] for row in rows if row[2]]
    fell = sum(end == ("fell", 1, 0) for end in ends)
    assert 0 < state["falls"] == fell == state["counts"]["go2_walk"]["ends"]["fell"]
    assert state["get_ups"] in (fell, fell - 1)  # the last try may have ended by a fall
    assert all(end[1:] == (0, 1) for end in ends if end[0] != "fell")
    commands = {row[5][44 * 4 : 47 * 4] for row in rows}
    assert len(commands) == len(ends)  # each try has one of its own
    assert all(np.isfinite(np.frombuffer(row[5], "<f4")).all() for row in rows)


def test_in_processes_and_on_the_page(run, tmp_path, capsys):
    out = tmp_path / "on"
    assert finetune(run, out, 120, "--practice.pace", "0") == 0
    printed = capsys.readouterr().out
    assert re.search(r"before: go2_walk .*\nbest: go2_walk ", printed)
    assert re.search(r"before: velocity_error \d\.\d+, turn_error \d\.\d+, walked \d+\.\d+", printed)
    assert "0 resets after the first" in printed
    state, rows = told(out)
    assert len(rows) == 120 and state["resets"] == 1
    assert {row[2] for row in rows} <= {"", "fell", "time_out", "cut"}
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "Go2 walk" in page and "velocity error" in page and "fell" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "go2_getup"], "was trained for one task; --reset-free needs"),
        (["--practice.success", "a"], "no picture shows how a whole try of go2_walk went"),
        (["--reward", "a,b"], "needs one labeling of go2_walk, or true or success, not 'a,b'"),
        (["--practice.time-out", "1"], "time_out of go2_walk must be at least 2"),
    ],
)
def test_what_it_refuses(run, tmp_path, capsys, options, message):
    assert finetune(run, tmp_path / "no", 10, *options) == 2
    assert message in capsys.readouterr().err
