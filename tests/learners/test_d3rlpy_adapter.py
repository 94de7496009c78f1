"""Buffers go to d3rlpy and back unchanged, its algorithms leave our checkpoints, mistakes are named."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from robot_rl.data.replay import transitions_from_dataset
from robot_rl.errors import BadInput, RobotRLError
from robot_rl.learners.train import TrainConfig
from robot_rl.policies.policy import MlpPolicy, normalise
from tests.learners.helpers import GOAL, describe, line_transitions, move, random_transitions

pytest.importorskip("d3rlpy")
from robot_rl.learners import d3rlpy_adapter as adapter  # noqa: E402

TINY = TrainConfig(steps=25, batch_size=16, hidden=(8, 8), log_every=10)
ARRAYS = ("observations", "actions", "rewards", "masks", "next_observations", "episode_ends")


def assert_same(found, expected):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def rows_of(out):
    return [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]


def test_a_dataset_goes_there_and_back(tiny_dataset):
    # Episodes 1 and 3 of 12 steps terminate, 0 and 2 run out of time; all have a final observation.
    expected, buffer = transitions_from_dataset(tiny_dataset), adapter.to_replay_buffer(tiny_dataset)
    assert [bool(e.terminated) for e in buffer.episodes] == [False, True, False, True]
    assert [e.transition_count for e in buffer.episodes] == [12] * 4 and buffer.transition_count == 48
    back = adapter.from_replay_buffer(buffer)
    assert_same(back, expected)
    assert back.dropped == 0 and (back.frame == -1).all() and back.masks.sum() == 46


def test_d3rlpy_draws_our_transitions(tiny_dataset):
    expected = transitions_from_dataset(tiny_dataset)
    batch = adapter.to_replay_buffer(expected).sample_transition_batch(2000)
    rows = [int(np.flatnonzero((expected.observations == o).all(1))[0]) for o in batch.observations]
    assert {11, 23} <= set(rows)  # a time-out and a termination are among them
    np.testing.assert_array_equal(batch.actions, expected.actions[rows])
    np.testing.assert_array_equal(batch.rewards[:, 0], expected.rewards[rows])
    np.testing.assert_array_equal(batch.terminals[:, 0], 1 - expected.masks[rows])
    goes_on = expected.masks[rows] == 1
    np.testing.assert_array_equal(batch.next_observations[goes_on], expected.next_observations[rows][goes_on])


def test_transitions_that_do_not_follow_each_other_stay_apart():
    # A batch: no row leads to the next, and none ends its episode.
    batch = line_transitions(50)
    back = adapter.from_replay_buffer(adapter.to_replay_buffer(batch))
    for name in ("observations", "actions", "rewards", "masks", "next_observations"):
        np.testing.assert_array_equal(getattr(back, name), getattr(batch, name), err_msg=name)
    assert back.episode_ends.all()


def test_episodes_that_d3rlpy_made():
    import d3rlpy

    states = np.float32([[1], [2], [3], [4], [5]])
    actions, rewards = np.float32([[0.1], [0.2], [0.3], [0.4], [0.5]]), np.float32([1, 2, 3, 4, 5])
    made = d3rlpy.dataset.MDPDataset(
        states, actions, rewards, terminals=np.float32([0, 1, 0, 0, 0]), timeouts=np.float32([0, 0, 0, 0, 1])
    )
    found = adapter.from_replay_buffer(made)
    # 1 leads to 2, which terminates; 3 to 4 and 4 to 5, and where 5 leads is unknown.
    assert found.observations[:, 0].tolist() == [1, 2, 3, 4]
    assert found.next_observations[:, 0].tolist() == [2, 2, 4, 5]
    assert found.masks.tolist() == [1, 0, 1, 1] and found.episode_ends.tolist() == [False, True, False, True]
    assert found.rewards.tolist() == [1, 2, 3, 4] and found.dropped == 1


def test_nothing_to_convert_is_named():
    nothing = dataclasses.replace(
        random_transitions(), **{n: getattr(random_transitions(), n)[:0] for n in (*ARRAYS, "frame")}
    )
    with pytest.raises(BadInput, match="there are no transitions"):
        adapter.to_replay_buffer(nothing)


@pytest.mark.parametrize("name", ["cql", "td3_plus_bc", "iql", "bc"])
def test_a_checkpoint_of_ours_comes_out(tmp_path, name):
    transitions = dataclasses.replace(random_transitions(), actions=5 * random_transitions().actions)
    limits = describe(action_low=[-5, -6], action_high=[5, 7])
    told = []
    done = adapter.train_d3rlpy(
        transitions, tmp_path, name, TINY, description=limits, progress=lambda n, note: told.append(n)
    )
    assert done and sum(told) == 25
    policy, head = MlpPolicy.load(tmp_path), rows_of(tmp_path)[0]
    assert policy.spec.algorithm == f"d3rlpy:{name}" and policy.spec.hidden == (8, 8)
    assert policy.spec.config["d3rlpy"] == head["config"]["d3rlpy"] and head["clipped_actions"] == 0
    assert head["config"]["d3rlpy"]["batch_size"] == 16
    assert [row["step"] for row in rows_of(tmp_path)[1:]] == [10, 20, 25]
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".json", ".jsonl", ".safetensors")]


def test_the_checkpoint_acts_as_the_algorithm(tmp_path):
    settings = adapter._settings(adapter.algorithms()["sac"], TINY)
    algorithm = settings.create(device=False)
    algorithm.create_impl((3,), 2)
    with torch.no_grad():
        algorithm.impl.policy._mu.weight.mul_(20)  # so that actions use the whole range
    states = random_transitions().observations
    weights = adapter.policy_weights(algorithm)
    spec = adapter._spec(
        TINY.as_dict(), adapter.prepare(random_transitions(), describe()), describe(action_high=[1, 9])
    )
    policy = MlpPolicy(weights, spec)
    scaled = (states - np.float32(spec.state_mean)) / np.float32(spec.state_std)
    mine = normalise(policy.act(states), np.float32(spec.action_low), np.float32(spec.action_high))
    assert mine.std() > 0.3
    np.testing.assert_allclose(mine, algorithm.predict(scaled), atol=1e-5)
    assert adapter._difference(policy, algorithm, states) <= 1e-5
    weights["layer2.bias"] += np.float32(0.01)
    assert adapter._difference(MlpPolicy(weights, spec), algorithm, states) > 1e-5


def test_the_log_std_of_a_policy_that_has_one(tmp_path):
    algorithm = adapter._settings(adapter.algorithms()["iql"], TINY).create(device=False)
    algorithm.create_impl((3,), 2)
    # d3rlpy's IQL: -5 + sigmoid(0) * (2 + 5) = -1.5
    np.testing.assert_allclose(adapter.policy_weights(algorithm)["log_std"], [-1.5, -1.5])


@pytest.mark.parametrize("name", ["bcq", "plas", "bear", "crr"])
def test_what_cannot_be_deployed_leaves_networks_but_no_policy(tmp_path, name):
    config = dataclasses.replace(TINY, steps=2)
    assert not adapter.train_d3rlpy(random_transitions(), tmp_path, name, config, description=describe())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d3rlpy.safetensors", "train.jsonl"]


def test_every_continuous_algorithm_is_there():
    assert {
        "awac",
        "bc",
        "bcq",
        "bear",
        "cal_ql",
        "cql",
        "crr",
        "ddpg",
        "iql",
        "plas",
        "rebrac",
        "sac",
    } <= set(adapter.algorithms())
    assert not {"dqn", "discrete_cql", "random_policy", "decision_transformer"} & set(adapter.algorithms())


def test_an_unknown_name_lists_the_nearest(tmp_path):
    with pytest.raises(BadInput, match="no algorithm 'cqll' for continuous actions. Did you mean 'cql'"):
        adapter.train_d3rlpy(random_transitions(), tmp_path / "a", "cqll", TINY, description=describe())
    assert not (tmp_path / "a").exists()


def test_a_finished_run_is_left_alone_and_another_refused(tmp_path):
    def run(config):
        return adapter.train_d3rlpy(random_transitions(), tmp_path, "bc", config, description=describe())

    assert run(TINY)
    before = (tmp_path / "policy.json").stat().st_mtime_ns
    assert run(TINY) and (tmp_path / "policy.json").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match=r"holds a run with seed 0 \(asked for 1\)"):
        run(dataclasses.replace(TINY, seed=1))


def test_a_killed_run_begins_anew_and_comes_out_the_same(tmp_path):
    class Killed(Exception):
        pass

    def stop(count, note):
        if count:
            raise Killed

    def run(folder, progress=None):
        adapter.train_d3rlpy(
            random_transitions(), tmp_path / folder, "bc", TINY, description=describe(), progress=progress
        )

    run("whole")
    with pytest.raises(Killed):
        run("killed", stop)
    assert len(rows_of(tmp_path / "killed")) == 2
    run("killed")
    assert [row.get("step") for row in rows_of(tmp_path / "killed")] == [None, 10, 20, 25]
    files = [(tmp_path / folder / "weights.safetensors").read_bytes() for folder in ("whole", "killed")]
    assert files[0] == files[1]


def test_divergence_names_the_step(tmp_path):
    config = dataclasses.replace(TINY, learning_rate=1e30)
    with pytest.raises(RobotRLError, match="diverged by step .*: not finite in .*critic_loss"):
        adapter.train_d3rlpy(random_transitions(), tmp_path, "td3_plus_bc", config, description=describe())


def test_iql_of_d3rlpy_reaches_the_goal_and_its_cloning_does_not(tmp_path):
    distance = {}
    for name in ("iql", "bc"):
        config = TrainConfig(steps=600, batch_size=64, hidden=(32, 32), discount=0.9, learning_rate=3e-3)
        adapter.train_d3rlpy(line_transitions(), tmp_path / name, name, config, description=describe(1, 1))
        policy, x = MlpPolicy.load(tmp_path / name), np.linspace(-1, 1, 21, dtype=np.float32)[:, None]
        for _ in range(20):
            x = move(x, policy.act(x))
        distance[name] = float(abs(x - GOAL).mean())
    assert distance["iql"] < 0.15 < 0.4 < distance["bc"]


def test_without_d3rlpy_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "d3rlpy", None)
    with pytest.raises(BadInput, match=r'extra \'d3rlpy\': pip install "robot-rl\[d3rlpy\]"'):
        adapter.train_d3rlpy(random_transitions(), tmp_path, "cql", TINY, description=describe())
