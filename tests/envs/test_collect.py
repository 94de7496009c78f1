"""Collecting: the seed decides the data, a kill loses nothing that was closed, other plans are refused."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("metaworld")
from robot_rl.envs.collect import checkpoint_hash, collect, play
from robot_rl.envs.make import make_task
from robot_rl.errors import BadInput
from robot_rl.policies.policy import MlpPolicy
from robot_rl.specs.dataset_cards import load_dataset_card
from tests.envs.plans import make_plan

COLUMNS = ("observation.state", "action", "next.reward", "next.success")


def test_the_workers_do_not_matter(tmp_path):
    heard = []
    one = collect(make_plan(tmp_path / "one"), workers=1, progress=heard.append)
    two = collect(make_plan(tmp_path / "two"), workers=2)
    assert sum(heard) == 6 and two.lengths.tolist() == [10] * 6
    for name in COLUMNS:
        np.testing.assert_array_equal(one.column(name), two.column(name))
    np.testing.assert_array_equal(one.frames("side", np.arange(60)), two.frames("side", np.arange(60)))
    np.testing.assert_array_equal(one.final_states(), two.final_states())
    assert one.content_hash == two.content_hash
    assert not one.terminated.any() and one.column("action").std() > 0.1


def test_the_seed_and_the_index_decide_an_episode(tmp_path):
    plan = make_plan(tmp_path / "d", images=False)
    env = make_task(plan.task)
    first = play(env, plan, 2)
    play(env, plan, 3)
    np.testing.assert_array_equal(play(env, plan, 2).observations["state"], first.observations["state"])
    other = play(env, make_plan(tmp_path / "d", images=False, seed=4), 2)
    assert not np.array_equal(other.observations["state"], first.observations["state"])
    assert first.cameras == [] and first.task == plan.task.goal and first.fps == plan.task.control_rate


def test_a_finished_plan_is_returned_and_another_refused(tmp_path):
    path = tmp_path / "d"
    made = collect(make_plan(path, episodes=2, images=False), workers=1)
    before = (path / "meta" / "info.json").stat().st_mtime_ns
    assert collect(make_plan(path, episodes=2, images=False)).content_hash == made.content_hash
    assert (path / "meta" / "info.json").stat().st_mtime_ns == before
    for changes, field in (
        ({"seed": 9}, "seed is 3, asked for 9"),
        ({"episodes": 3}, "episodes is 2, asked for 3"),
        ({"steps": 11}, "steps is 10, asked for 11"),
        ({"images": True}, "cameras is"),
    ):
        with pytest.raises(BadInput, match=f"holds another dataset .{field}"):
            collect(make_plan(path, **({"episodes": 2, "images": False} | changes)))
    made.root.rename(tmp_path / "moved")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="d"):
        collect(make_plan(path, episodes=2, images=False))
    assert (tmp_path / "d" / "notes.txt").read_text() == "mine"


def test_parts_play_what_their_cards_say(tmp_path):
    """With shares of 0.4, 0.4 and 0.2 the last of 5 episodes is an expert's, and does what its card would."""
    plan = make_plan(tmp_path / "d", episodes=5, steps=100, images=False)
    replay = replace(plan, card=load_dataset_card("drawer_open", "replay").model_copy(update={"steps": 100}))
    expert = replace(plan, card=load_dataset_card("drawer_open", "expert").model_copy(update={"steps": 100}))
    env = make_task(plan.task)
    last, wanted = (play(env, chosen, 4) for chosen in (replay, expert))
    np.testing.assert_array_equal(last.actions, wanted.actions)
    assert last.success.any() and not np.array_equal(
        play(env, replay, 0).actions, play(env, expert, 0).actions
    )


def test_a_policy_plays_with_the_card_s_noise(tmp_path, checkpoint):
    card = load_dataset_card("drawer_open", "expert")
    quiet = card.behaviour.model_copy(update={"mix": {"policy": 1.0}, "noise": (0.0, 0.0)})
    plan = make_plan(tmp_path / "d", episodes=2, steps=20, images=False)
    plan = replace(plan, policy=checkpoint, card=plan.card.model_copy(update={"behaviour": quiet}))
    data = collect(plan, workers=1)
    policy = MlpPolicy.load(checkpoint)
    states, actions = data.column("observation.state"), data.column("action")
    for state, action in zip(states, actions, strict=True):
        np.testing.assert_allclose(np.clip(policy.act({"state": state}), -1, 1), action, atol=1e-6)
    assert data.info.metadata["policy"] == checkpoint_hash(checkpoint)
    with pytest.raises(BadInput, match="holds another dataset .policy is"):
        collect(replace(plan, policy=None))
    with pytest.raises(BadInput, match="'policy' needs a checkpoint; give one with --policy"):
        play(make_task(plan.task), replace(plan, policy=None), 0)


def test_randomised_data_say_so(tmp_path):
    plan = make_plan(tmp_path / "d", episodes=1, images=False)
    plain, drawn = collect(plan, 1), collect(replace(plan, path=tmp_path / "r", randomise=True), 1)
    assert drawn.info.metadata["randomise"] and "randomise" not in plain.info.metadata
    assert not np.array_equal(drawn.column("observation.state"), plain.column("observation.state"))
    with pytest.raises(BadInput, match="holds another dataset .randomise is None, asked for True"):
        collect(replace(plan, randomise=True), 1)


def command(out, *more):
    code = "import sys; from robot_rl.cli.main import main; sys.exit(main(sys.argv[1:]))"
    args = ["collect", "drawer_open", "--out", str(out), "--steps", "12", "--episodes", "12"]
    return [sys.executable, "-c", code, *args, "--workers", "1", *more]


def test_a_killed_run_continues(tmp_path):
    out, heard = tmp_path / "d", []
    staging = out.with_name("d.staging")
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(command(out), **nowhere, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(staging.glob("episode-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    closed = len(list(staging.glob("episode-*")))
    assert 3 <= closed < 12 and not out.exists()
    other = subprocess.run(command(out, "--seed", "1"), capture_output=True, text=True, timeout=60)
    assert other.returncode == 2 and "the unfinished dataset has metadata" in other.stderr
    plan = make_plan(out, episodes=12, steps=12, seed=0)
    continued = collect(plan, workers=1, progress=heard.append)
    assert heard[0] == closed and sum(heard) == 12 and not staging.exists()
    whole = collect(replace(plan, path=tmp_path / "whole"), workers=1)
    assert continued.content_hash == whole.content_hash
    done = subprocess.run(command(out), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "12 episodes, 144 steps" in done.stdout
