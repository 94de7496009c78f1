"""From offline to online on the line: it improves where the rewards are true, and continues after a kill."""

import dataclasses
import json
import queue
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.learners.batch import Batch
from robot_rl.learners.experience import Transition
from robot_rl.learners.finetune import finetune, learn_from
from robot_rl.learners.offline_run import load_offline
from robot_rl.learners.online import OnlineConfig, OnlineLearner, mixed
from robot_rl.policies.policy import MlpPolicy
from tests.learners.helpers import GOAL
from tests.learners.line_env import LineEnv, judge, offline_run, weak_data

SHORT = OnlineConfig(steps=95, warmup=0, eval_every=40, log_every=20, save_every=25, batch_size=8)
# Runs to step 70, says so, and waits to be killed: the last save is at the end of an episode, at step 60.
KILLED = """
import sys, time
from pathlib import Path
from tests.learners.test_online import *
done = 0
def progress(count, note):
    global done
    done += count
    if done == 70:
        print("ready", flush=True)
        time.sleep(60)
offline, out = load_offline(sys.argv[1]), Path(sys.argv[2])
finetune(OnlineLearner(out, offline, SHORT, weak_data()), LineEnv(), judge, progress=progress)
"""


def evaluations(learner):
    return [row["eval_return"] for row in learner.rows() if "eval_return" in row]


def without_times(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "steps_per_s"} for row in rows]


@pytest.mark.parametrize("seed", [0, 1])
def test_it_improves_a_weak_policy_and_shuffled_rewards_do_not(tmp_path, seed):
    offline, data = offline_run(tmp_path / "offline", seed=seed), weak_data()
    config = OnlineConfig(steps=1500, warmup=0, eval_every=750, seed=seed)
    true = OnlineLearner(tmp_path / "true", offline, config, data)
    finetune(true, LineEnv(), judge)
    rng = np.random.default_rng(seed)
    shuffled = dataclasses.replace(data, rewards=rng.permutation(data.rewards))
    control = OnlineLearner(tmp_path / "control", offline, config, shuffled)
    finetune(control, LineEnv(), judge, reward=lambda: float(rng.choice(data.rewards)))
    rates = [[row["eval_success"] for row in run.rows() if "eval_success" in row] for run in (true, control)]
    assert rates[0][0] == rates[1][0] < 0.5  # the same offline start
    assert rates[0][-1] >= 0.8 and rates[1][-1] <= 0.5
    assert evaluations(true)[-1] > evaluations(control)[-1] + 2


def test_there_is_no_step_back_at_the_switch(tmp_path):
    # A policy that is good already is as good after the first updates online.
    offline = offline_run(tmp_path / "offline", _good_data(), steps=1200)
    learner = OnlineLearner(
        tmp_path / "on", offline, OnlineConfig(steps=200, warmup=0, eval_every=50), _good_data()
    )
    finetune(learner, LineEnv(), judge)
    start, *rest = evaluations(learner)
    assert start > -2 and min(rest) > start - 0.5


def _good_data():
    from tests.learners.helpers import line_transitions

    return line_transitions()


def test_the_actors_learning_rate_rises_from_the_end_of_its_cosine(tmp_path):
    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, dataclasses.replace(SHORT, steps=5), weak_data())
    before = learner.learner.policy_weights()
    finetune(learner, LineEnv())
    after = learner.learner.policy_weights()
    moved = max(float(np.abs(after[name] - before[name]).max()) for name in before)
    # Adam's step is about the learning rate: 2e-3 in full, and 4 / 2000 of that at the last of these.
    assert 1e-5 < moved < 1e-4
    assert learner.learner.step == 205  # it went on from the offline run's 200 updates


def test_killed_between_saves_it_continues_as_if_nothing_had_been(tmp_path):
    offline = offline_run(tmp_path / "offline")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finetune(OnlineLearner(whole, offline, SHORT, weak_data()), LineEnv(), judge)
    command = [sys.executable, "-c", KILLED, str(offline.root), str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    told = []
    learner = OnlineLearner(killed, offline, SHORT, weak_data())
    finetune(learner, LineEnv(), judge, progress=lambda count, note: told.append(count))
    assert told[0] == 60 and sum(told) == 95
    files = ["weights.safetensors", "best/weights.safetensors", "state/state.safetensors"]
    parts = sorted(path.name for path in (whole / "experience").iterdir())
    for name in [*files, *(f"experience/{part}" for part in parts)]:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert without_times(killed / "online.jsonl") == without_times(whole / "online.jsonl")


class Stop(Exception):
    """Stands in for a kill."""


@pytest.mark.parametrize(
    ("algorithm", "settings"), [("rlpd", {"utd": 2, "critics": 3}), ("calql", {"n_actions": 2})]
)
def test_other_algorithms_continue_alike(tmp_path, algorithm, settings):
    offline = offline_run(tmp_path / "offline", algorithm=algorithm, steps=10, settings=settings)

    def progress(count, note):
        nonlocal done
        done += count
        if done == 47:
            raise Stop

    for name in ("whole", "killed"):
        done = 0 if name == "killed" else 1000
        try:
            finetune(
                OnlineLearner(tmp_path / name, offline, SHORT, weak_data()), LineEnv(), progress=progress
            )
        except Stop:
            assert name == "killed"
    learner = OnlineLearner(tmp_path / "killed", offline, SHORT, weak_data())
    assert learner.step == 30
    finetune(learner, LineEnv())
    for name in ("weights.safetensors", "state/state.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    # rlpd takes its utd slices in one update; calql waits for the first episode's end, as it needs returns.
    assert learner.learner.step == 10 + (95 if algorithm == "rlpd" else 95 - 9)


def test_a_finished_run_is_left_alone_until_more_steps_are_asked_for(tmp_path):
    offline, env = offline_run(tmp_path / "offline"), LineEnv()
    finetune(OnlineLearner(tmp_path / "on", offline, SHORT, weak_data()), env)
    resets, before = env.resets, (tmp_path / "on/policy.json").stat().st_mtime_ns
    finetune(OnlineLearner(tmp_path / "on", offline, SHORT, weak_data()), env)
    assert env.resets == resets and (tmp_path / "on/policy.json").stat().st_mtime_ns == before
    more = OnlineLearner(tmp_path / "on", offline, dataclasses.replace(SHORT, steps=100), weak_data())
    finetune(more, env)
    assert more.step == 100 and env.resets == resets + 1
    with pytest.raises(BadInput, match=r"holds a run with mix 0.5 \(asked for 0.25\)"):
        OnlineLearner(tmp_path / "on", offline, dataclasses.replace(SHORT, mix=0.25), weak_data())


def test_the_scale_stays_that_of_the_offline_data(tmp_path):
    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, SHORT, weak_data())
    x, scaler = np.float32([0.4]), offline.scaler
    learner.observe(Transition(x, np.float32([0.5]), -0.2, np.float32([0.5])))
    batch = learner._experience.rows(torch.tensor([0]))
    assert batch.observations.item() == pytest.approx(
        float((x[0] - scaler.state_mean[0]) / scaler.state_std[0])
    )
    assert batch.actions.item() == pytest.approx(0.5)
    assert batch.rewards.item() == pytest.approx((-0.2 - scaler.reward_mean) / scaler.reward_std, rel=1e-5)
    spec = learner.policy().spec
    assert spec.state_mean == offline.spec.state_mean and spec.config["online"]["mix"] == 0.5


def test_beyond_a_terminal_state_nothing_is_earned_on_the_learners_scale_too(tmp_path):
    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, SHORT, weak_data())
    x, scaler, discount = np.float32([0.4]), offline.scaler, offline.config.discount
    learner.observe(Transition(x, np.float32([0.5]), -0.2, np.float32([0.5]), terminated=True))
    batch = learner._experience.rows(torch.tensor([0]))
    # -0.2 now and 0 for ever, each less the mean
    following = sum(discount**k * (0 - scaler.reward_mean) / scaler.reward_std for k in range(1, 3000))
    wanted = (-0.2 - scaler.reward_mean) / scaler.reward_std + following
    assert batch.rewards.item() == pytest.approx(wanted, rel=1e-4) and batch.masks.item() == 0


def test_warmup_leaves_the_policy_and_mix_0_needs_no_data(tmp_path):
    offline = offline_run(tmp_path / "offline")
    config = dataclasses.replace(SHORT, warmup=10, mix=0.0, steps=10)
    learner = OnlineLearner(tmp_path / "on", offline, config)
    finetune(learner, LineEnv())
    assert learner.learner.step == 200
    more = OnlineLearner(tmp_path / "on", offline, dataclasses.replace(config, steps=14, warmup=10))
    finetune(more, LineEnv())
    assert more.learner.step == 204


def test_updates_a_step(tmp_path):
    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, dataclasses.replace(SHORT, utd=3, steps=5), weak_data())
    finetune(learner, LineEnv())
    assert learner.learner.step == 200 + 5 * 3


def test_a_batch_has_the_share_in_each_slice():
    # 2 slices of 3: each one offline (negative), then two online.
    def batch(values):
        column = torch.tensor(values)
        return Batch(column[:, None], column[:, None], column[:, None], column, column, column[:, None])

    joined = mixed(batch([-1.0, -2.0]), batch([1.0, 2.0, 3.0, 4.0]), slices=2)
    assert joined.rewards.tolist() == [-1, 1, 2, -2, 3, 4]
    assert joined.observations[:, 0].tolist() == joined.rewards.tolist() and joined.mc_returns is None


def test_offline_data_is_drawn_by_the_weight_of_its_task(tmp_path):
    data = weak_data()
    learner = OnlineLearner(tmp_path / "o", offline_run(tmp_path / "offline"), SHORT, data)
    left = (data.observations[:, 0] < np.median(data.observations[:, 0])).astype(np.int64)
    edge = learner.offline.scaler.states(data.observations)[left == 0, 0].min()
    for weights, is_left in (([0.0, 1.0], True), ([1.0, 0.0], False)):
        learner.weigh_tasks(left, np.array(weights))
        drawn = learner._offline_table.sample(200, torch.Generator().manual_seed(0)).observations[:, 0]
        assert bool((drawn < edge).all()) is is_left and bool((drawn >= edge).all()) is not is_left


def test_what_really_was_done_is_what_is_learned_from(tmp_path):
    class Stubborn(LineEnv):
        def step(self, action):
            observation, reward, terminated, truncated, info = super().step(np.float32([0.25]))
            return observation, reward, terminated, truncated, {**info, "executed_action": np.float32([0.25])}

    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, dataclasses.replace(SHORT, steps=6), weak_data())
    finetune(learner, Stubborn())
    assert torch.allclose(learner._experience.rows(torch.arange(6)).actions, torch.tensor(0.25))


def test_a_learned_reward_is_asked_before_the_step(tmp_path):
    env = LineEnv()
    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, dataclasses.replace(SHORT, steps=6), weak_data())
    finetune(learner, env, reward=lambda: float(env._x[0]))
    part = load_file(tmp_path / "on/experience/part-000000000.safetensors")
    assert torch.equal(part["rewards"], part["observations"][:, 0])


def test_transitions_from_elsewhere(tmp_path):
    def robot():
        rng, x = np.random.default_rng(0), np.float32([0.0])
        for k in range(1000):
            after = np.clip(x + 0.2 * rng.uniform(-1, 1, 1), -1, 1).astype(np.float32)
            yield Transition(x, np.float32([0.1]), -abs(float(after[0]) - GOAL), after, truncated=k % 10 == 9)
            x = after

    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, SHORT, weak_data())
    out = learn_from(learner, robot())
    assert learner.step == 95 and learner.learner.step == 295
    assert MlpPolicy.load(out).act(np.float32([0.0])).shape == (1,)


def robot_steps(count):
    x = np.float32([0.0])
    for k in range(count):
        after = np.float32([(k + 1) / count])
        yield Transition(x, np.float32([0.1]), -float(after[0]), after, truncated=k % 10 == 9)
        x = after


def test_a_queue_that_another_thread_fills(tmp_path):
    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, SHORT, weak_data())
    line, heard = queue.Queue(2), []

    def robot():
        for step in robot_steps(24):  # stops in the middle of its third episode
            line.put(step)
        line.put(None)

    thread = threading.Thread(target=robot)
    thread.start()
    learn_from(learner, line, lambda count, note: heard.append(count))
    thread.join()
    assert learner.step == sum(heard) == 24 and learner.episodes == 3
    assert [row["episode_length"] for row in learner.rows() if "episode" in row] == [10, 10, 4]
    again = OnlineLearner(tmp_path / "on", offline, SHORT, weak_data())
    assert again.step == 24 and len(again._experience) == 24  # nothing is lost at the end
    masks = again._experience.rows(torch.arange(24)).masks
    assert masks.tolist() == [1.0] * 24  # a robot that stopped has not terminated


def test_a_queue_is_not_read_beyond_the_steps(tmp_path):
    offline = offline_run(tmp_path / "offline")
    config = dataclasses.replace(SHORT, steps=15)
    learner, line = OnlineLearner(tmp_path / "on", offline, config, weak_data()), queue.Queue()
    for step in robot_steps(30):
        line.put(step)
    learn_from(learner, line)
    assert learner.step == 15 and line.qsize() == 15
    assert OnlineLearner(tmp_path / "on", offline, config, weak_data()).finished


def test_a_nan_stops_it_by_name_with_the_batch(tmp_path):
    offline = offline_run(tmp_path / "offline")
    learner = OnlineLearner(tmp_path / "on", offline, SHORT, weak_data())
    with torch.no_grad():
        learner.learner.v.biases[0][0, 0, 0] = float("nan")
    with pytest.raises(
        RobotRLError, match=r"diverged at update 201: not finite in .*value_loss.*critics.*nan_b"
    ):
        finetune(learner, LineEnv())
    batch = load_file(tmp_path / "on/nan_batch.safetensors")
    assert batch["observations"].shape == (8, 1) and torch.isfinite(batch["rewards"]).all()
    bad = Transition(np.float32([np.nan]), np.float32([0]), 0.0, np.float32([0]))
    with pytest.raises(RobotRLError, match="^observation of an online step is not finite"):
        learner.observe(bad)


def test_the_best_policy_is_kept(tmp_path):
    offline = offline_run(tmp_path / "offline")
    config = dataclasses.replace(SHORT, average=0.0)  # the actor itself is what is kept
    learner = OnlineLearner(tmp_path / "on", offline, config, weak_data())
    learner.evaluated({"success": 0.5, "return": 1.0})
    best = (tmp_path / "on/best/weights.safetensors").read_bytes()
    learner.learner.actor.log_std.data.add_(1)
    learner.evaluated({"success": 0.5, "return": 0.9})
    assert (tmp_path / "on/best/weights.safetensors").read_bytes() == best
    learner.evaluated({"success": 0.5, "return": 1.1})
    assert (tmp_path / "on/best/weights.safetensors").read_bytes() != best


def test_mistakes_are_named(tmp_path):
    offline = offline_run(tmp_path / "offline")
    with pytest.raises(BadInput, match="mix is 0.5, but no offline transitions are given"):
        OnlineLearner(tmp_path / "on", offline, SHORT)
    cloned = offline_run(tmp_path / "bc", algorithm="bc")
    with pytest.raises(BadInput, match="was trained by bc, which learns from no rewards"):
        OnlineLearner(tmp_path / "on", cloned, SHORT, weak_data())
    for change, told in (({"mix": 2}, "mix must lie in 0 to 1"), ({"utd": 0}, "utd must be above 0"),
                         ({"warmup": -1}, "warmup must be at least 0")):  # fmt: skip
        with pytest.raises(BadInput, match=told):
            OnlineConfig(**change)
    assert not (tmp_path / "on").exists()


def test_a_run_without_its_state_is_refused(tmp_path):
    offline = offline_run(tmp_path / "offline")
    (offline.root / "state/state.safetensors").unlink()
    with pytest.raises(BadInput, match="has no state/state.safetensors, .* train again"):
        load_offline(offline.root)


def test_a_run_of_an_algorithm_that_is_not_ours_is_refused(tmp_path):
    path = offline_run(tmp_path / "offline").root / "policy.json"
    path.write_text(path.read_text().replace('"algorithm": "iql"', '"algorithm": "d3rlpy:cql"', 1))
    with pytest.raises(BadInput, match="was trained by d3rlpy:cql; fine-tuning takes up iql, calql and rlpd"):
        load_offline(path.parent)
