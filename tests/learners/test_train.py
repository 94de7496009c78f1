"""The loop: a checkpoint comes out, a killed run continues bit for bit, and mistakes are named."""

import dataclasses
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.learners.train import TrainConfig, settings_of, train
from robot_rl.policies.policy import MlpPolicy
from tests.learners.helpers import GOAL, describe, line_transitions, move, random_transitions

TINY = TrainConfig(steps=400, batch_size=16, hidden=(8, 8), log_every=50, save_every=100)
# Trains until the log's line of step 250, says so, and waits to be killed: the state is that of step 200.
KILLED = """
import sys, time
from pathlib import Path
from tests.learners.test_train import TINY, describe, random_transitions, train
done = 0
def progress(count, note):
    global done
    done += count
    if done == 250:
        print("ready", flush=True)
        time.sleep(60)
train(random_transitions(), Path(sys.argv[1]), TINY, description=describe(), progress=progress)
"""


def rows_of(out):
    return [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]


def test_a_killed_run_continues_bit_for_bit(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(random_transitions(), whole, TINY, description=describe())
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(killed)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert rows_of(killed)[-1]["step"] == 250 and not (killed / "policy.json").exists()
    told = []
    train(random_transitions(), killed, TINY, description=describe(), progress=lambda n, note: told.append(n))
    assert told[0] == 200 and sum(told) == 400
    assert (killed / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert [row["step"] for row in rows_of(killed)[1:]] == list(range(50, 401, 50))
    assert (killed / "state/state.safetensors").read_bytes() == (
        whole / "state/state.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("algorithm", ["iql", "bc"])
def test_a_finished_run_is_left_alone(tmp_path, algorithm):
    config = dataclasses.replace(TINY, algorithm=algorithm, steps=20)
    out = train(random_transitions(), tmp_path / "run", config, description=describe())
    before = (out / "policy.json").stat().st_mtime_ns
    assert train(random_transitions(), out, config, description=describe()) == out
    assert (out / "policy.json").stat().st_mtime_ns == before
    head = rows_of(out)[0]
    assert head["config"]["algorithm"] == algorithm and head["clipped_actions"] == 0
    spec = MlpPolicy.load(out).spec
    assert spec.algorithm == algorithm and spec.config["steps"] == 20 and spec.state_units == ("m",) * 3


def test_a_finished_run_keeps_its_state_unless_told(tmp_path):
    config = dataclasses.replace(TINY, steps=20)
    kept = train(random_transitions(), tmp_path / "kept", config, description=describe())
    assert int(load_file(kept / "state/state.safetensors")["step"]) == 20
    bare = train(random_transitions(), tmp_path / "bare", config, description=describe(), keep_state=False)
    assert not (bare / "state").exists()
    assert (bare / "weights.safetensors").read_bytes() == (kept / "weights.safetensors").read_bytes()


def test_a_run_of_an_earlier_version_is_known_again(tmp_path):
    # Its log has no n_step and no settings, which have their defaults now.
    out = train(random_transitions(), tmp_path, dataclasses.replace(TINY, steps=20), description=describe())
    assert not {"n_step", "settings"} & set(rows_of(out)[0]["config"])
    with pytest.raises(BadInput, match=r"holds a run with n_step None \(asked for 2\)"):
        train(
            random_transitions(), out, dataclasses.replace(TINY, steps=20, n_step=2), description=describe()
        )


def test_settings_reach_the_algorithm_and_win():
    config = TrainConfig(expectile=0.8, discount=0.9, settings={"expectile": 0.6, "schedule": "constant"})
    found = settings_of(config)
    assert (found.expectile, found.discount, found.schedule) == (0.6, 0.9, "constant")
    with pytest.raises(BadInput, match="settings: iql has no 'expectil'. Did you mean 'expectile'"):
        TrainConfig(settings={"expectil": 0.6})


def test_the_words_of_iql_do_not_reach_other_algorithms():
    # temperature 3 is IQL's weight of advantages; in RLPD it is the entropy's.
    found = settings_of(TrainConfig("rlpd", temperature=3.0, hidden=(8, 8), settings={"utd": 2}))
    assert found.temperature == 1.0 and found.hidden == (8, 8) and found.utd == 2


def test_n_steps_change_what_is_learned(tmp_path):
    weights = []
    for n in (1, 3):
        config = dataclasses.replace(TINY, steps=20, n_step=n)
        out = train(random_transitions(), tmp_path / str(n), config, description=describe())
        weights.append((out / "weights.safetensors").read_bytes())
    assert weights[0] != weights[1]
    with pytest.raises(BadInput, match="n_step must be 1 for calql"):
        TrainConfig("calql", n_step=3)


def test_another_run_in_the_folder_is_refused(tmp_path):
    config = dataclasses.replace(TINY, steps=10)
    train(random_transitions(), tmp_path, config, description=describe())
    with pytest.raises(BadInput, match=r"holds a run with seed 0 \(asked for 1\); choose another folder"):
        train(random_transitions(), tmp_path, dataclasses.replace(config, seed=1), description=describe())
    with pytest.raises(BadInput, match="holds a run on other transitions"):
        train(random_transitions(seed=1), tmp_path, config, description=describe())
    with pytest.raises(BadInput, match=r"task reach \(asked for push\)"):
        train(random_transitions(), tmp_path, config, description=describe(task="push"))


def test_not_finite_rewards_stop_it_before_anything_is_written(tmp_path):
    rewards = random_transitions().rewards.copy()
    rewards[17] = np.nan
    with pytest.raises(BadInput, match="^rewards: step 17 "):
        train(
            dataclasses.replace(random_transitions(), rewards=rewards),
            tmp_path / "run",
            TINY,
            description=describe(),
        )
    assert not (tmp_path / "run").exists()


def test_divergence_names_tensor_and_step(tmp_path):
    config = dataclasses.replace(TINY, learning_rate=1e30)
    with pytest.raises(RobotRLError, match="diverged at update 2: not finite in .*q_loss.*critics"):
        train(random_transitions(), tmp_path, config, description=describe())
    batch = load_file(tmp_path / "nan_batch.safetensors")
    assert batch["observations"].shape == (16, 3) and np.isfinite(batch["rewards"]).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"algorithm": "iqll"}, "no algorithm 'iqll'. Did you mean 'iql'"),
        ({"steps": 0}, "steps must be above 0, not 0"),
        ({"hidden": ()}, "hidden must name at least one layer"),
        ({"expectile": 1.5}, "expectile must lie in 0 to 1, not 1.5"),
        ({"temperature": -1}, "temperature must be at least 0"),
    ],
)
def test_settings_are_checked(change, told):
    with pytest.raises(BadInput, match=told):
        TrainConfig(**change)


def test_a_broken_state_is_named(tmp_path):
    config = dataclasses.replace(TINY, steps=10)
    train(random_transitions(), tmp_path, config, description=describe())
    (tmp_path / "policy.json").unlink()
    (tmp_path / "state/state.safetensors").write_bytes(b"torn")
    with pytest.raises(BadInput, match="state.safetensors is not a saved state"):
        train(random_transitions(), tmp_path, config, description=describe())


def test_iql_reaches_the_goal_from_random_actions_and_cloning_does_not(tmp_path):
    distance = {}
    for algorithm in ("iql", "bc"):
        config = TrainConfig(
            algorithm, steps=1200, batch_size=64, hidden=(32, 32), discount=0.9, learning_rate=2e-3
        )
        out = train(line_transitions(), tmp_path / algorithm, config, description=describe(1, 1))
        policy, x = MlpPolicy.load(out), np.linspace(-1, 1, 21, dtype=np.float32)[:, None]
        for _ in range(20):
            x = move(x, policy.act(x))
        distance[algorithm] = float(abs(x - GOAL).mean())
    assert distance["iql"] < 0.1 < 0.4 < distance["bc"]
