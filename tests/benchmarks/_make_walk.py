"""Makes the walking policy that `deployment` tries: python tests/benchmarks/_make_walk.py (a minute).

A network with two layers of 64 learns what the trot's pattern generator does in states that it came into with
noise on its commands, and with some that came late, so that it finds its way back where it strays.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from robot_rl.data.replay import transitions_from_dataset
from robot_rl.envs.collect import Plan, collect
from robot_rl.envs.make import make_task
from robot_rl.learners.describe import describe_policy
from robot_rl.learners.train import TrainConfig, train
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import TaskCard, load_task

HERE = Path(__file__).resolve().parent / "walk"
EPISODES, UPDATES = 120, 20_000
NOISE, LATE = (
    0.15,
    0.15,
)  # standard deviation in parts of an action's half range; share of commands; both at most


def shown(task: TaskCard, episodes: int) -> tuple[np.ndarray, np.ndarray]:
    """States (N, S) under noise, and what the trot does in each of them (N, A)."""
    env, states, actions = make_task(task), [], []
    for seed in range(episodes):
        rng = np.random.default_rng(seed)
        observation, _ = env.reset(seed=seed)
        act, drift = env.behave("expert", rng), np.zeros(len(task.actions))
        noise, late, done = NOISE * rng.uniform(), LATE * rng.uniform(), None
        for _ in range(task.episode_length):
            wanted = act()
            states.append(observation["state"])
            actions.append(np.clip(wanted, -1, 1))
            drift = 0.7 * drift + 0.7 * rng.normal(size=len(drift))
            if done is None or rng.random() >= late:
                done = wanted + noise * drift
            observation = env.step(done)[0]
    return np.array(states, np.float32), np.array(actions, np.float32)


def main() -> None:
    """Collect, learn, and keep what a deployment needs."""
    task = load_task("go2_walk")
    states, actions = shown(task, EPISODES)
    with tempfile.TemporaryDirectory() as folder:
        card = load_dataset_card(task.name, "expert")
        data = collect(Plan(task, card, Path(folder) / "data", 4, 0, images=False))
        like = transitions_from_dataset(data)
        count = len(states)
        learned = dataclasses.replace(
            like, observations=states, actions=actions, rewards=np.zeros(count, np.float32),
            masks=np.ones(count, np.float32), next_observations=states,
            episode_ends=np.zeros(count, bool), frame=np.full(count, -1),
        )  # fmt: skip
        config = TrainConfig("bc", steps=UPDATES, hidden=(64, 64), seed=0)
        described = describe_policy(data, like.actions)
        run = train(learned, Path(folder) / "run", config, description=described, keep_state=False)
        HERE.mkdir(exist_ok=True)
        for name in ("policy.json", "weights.safetensors"):
            shutil.copy(run / name, HERE / name)


if __name__ == "__main__":
    main()
