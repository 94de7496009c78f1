"""Real human demonstrations of opening a door (D4RL door-human) learned offline, evaluated in simulation.

25 episodes of a person with a data glove, published results to compare with: CORL's table (Tarasov et al.,
2022, arXiv:2210.07105). Scores are D4RL's: 0 is a random policy, 100 the expert.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from robot_rl import __version__
from robot_rl.data.importers import import_dataset
from robot_rl.data.replay import Transitions, transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.learners.describe import describe_policy
from robot_rl.learners.prepare import prepare
from robot_rl.learners.train import TrainConfig, make_learner, make_table, set_up_torch
from robot_rl.policies.checkpoint import PolicyDescription, PolicySpec
from robot_rl.policies.policy import MlpPolicy
from tests.benchmarks._rows import Row, report
from tests.data.real import FOLDER

SOURCE = FOLDER / "door_human" / "door_human.hdf5"
STEPS, RANDOM, EXPERT = 200, -56.5, 2880.6  # of an episode; returns
SEEDS, LOOKS, LOOK_EPISODES, EPISODES = (0, 1, 2), 10, 10, 50
PALM_TO_HANDLE = slice(35, 38)  # of the observation
IQL = {"expectile": 0.7, "temperature": 0.5}  # as published for Adroit


@dataclass(frozen=True)
class Found:
    """One run: D4RL scores at the end, and the best look during training."""

    final: float
    best: float
    seconds: float


def make_env():
    """AdroitHandDoor-v1, cut after 200 steps."""
    import gymnasium
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)
    return gymnasium.make("AdroitHandDoor-v1", max_episode_steps=STEPS)


def score(policy: MlpPolicy, env, seeds: range) -> float:
    """Mean D4RL score of one episode a seed, each from the environment's random start."""
    returns = []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        total, truncated = 0.0, False
        while not truncated:
            observation, reward, _, truncated, _ = env.step(policy.act(observation))
            # Since 1.2.1 the environment rewards the hand for being far from the handle, + .1 a metre; in
            # D4RL, in the recorded rewards and in the returns of RANDOM and EXPERT it is - .1.
            total += reward - 0.2 * float(np.linalg.norm(observation[PALM_TO_HANDLE]))
        returns.append(total)
    return 100 * (float(np.mean(returns)) - RANDOM) / (EXPERT - RANDOM)


def run(config: TrainConfig, transitions: Transitions, description: PolicyDescription, looks: int) -> Found:
    """Train as `robot-rl train` does, looking at the policy so many times on the way."""
    start, env = time.monotonic(), make_env()
    prepared = prepare(transitions, description)
    spec = PolicySpec(
        **description.model_dump(),
        version=__version__,
        state_mean=prepared.state_mean.tolist(),
        state_std=prepared.state_std.tolist(),
        hidden=config.hidden,
        algorithm=config.algorithm,
        config={},
    )
    generator = torch.Generator().manual_seed(config.seed)
    sizes = len(description.state_names), len(description.action_names)
    learner, table = make_learner(config, *sizes, generator), make_table(prepared.transitions, config)
    seen = []
    for step in range(1, config.steps + 1):
        learner.update(table.sample(config.batch_size, generator))
        if looks and step % (config.steps // looks) == 0:
            seen.append(
                score(MlpPolicy(learner.policy_weights(), spec), env, range(20_000, 20_000 + LOOK_EPISODES))
            )
    final = score(MlpPolicy(learner.policy_weights(), spec), env, range(10_000, 10_000 + EPISODES))
    env.close()
    return Found(final, max(seen, default=final), time.monotonic() - start)


def rows(steps: int) -> list[Row]:
    """Train and evaluate BC and IQL with three seeds each."""
    with tempfile.TemporaryDirectory(prefix="door-") as folder:
        root = Path(folder) / "door"
        import_dataset(SOURCE, root, task="open the door")
        dataset = Dataset.open(root)
        transitions = transitions_from_dataset(dataset)
        # The environment cuts actions at 1 in size, as D4RL's agents do.
        description = describe_policy(dataset, transitions.actions, "next.reward", "unit")
    found = {}
    for algorithm, settings, looks in (("bc", {}, 0), ("iql", IQL, LOOKS)):
        configs = [TrainConfig(algorithm, steps=steps, seed=seed, **settings) for seed in SEEDS]
        found[algorithm] = [run(config, transitions, description, looks) for config in configs]
    iql, bc = ([one.final for one in found[name]] for name in ("iql", "bc"))
    best = [one.best for one in found["iql"]]
    seconds = [one.seconds for runs in found.values() for one in runs]
    ours = f"expectile .7, temperature .5, {steps:,} updates, 2 x 128, standardised rewards, no dropout"
    return [
        row("door_human/iql", iql, f"published 3.3 ± 1.8 (dropout .1, 1M updates); {ours}", (">=", 1.5)),
        row("door_human/bc", bc, "published 2.3 ± 4.0"),
        row("door_human/iql_best", best, f"best of {LOOKS} looks while it learned; published 13.5 ± 1.2",
            episodes=LOOK_EPISODES),
        Row.of("door_human/seconds", round(statistics.mean(seconds)), "s", None, "a run, with evaluation"),
    ]  # fmt: skip


def row(
    name: str,
    scores: list[float],
    note: str,
    goal: tuple[str, float] | None = None,
    episodes: int = EPISODES,
) -> Row:
    """Mean over the seeds; the standard deviation and each seed's score are in the note."""
    each = ", ".join(f"{one:.1f}" for one in scores)
    told = f"± {statistics.stdev(scores):.1f} over {len(scores)} seeds ({each}), {episodes} episodes each"
    return Row.of(name, round(statistics.mean(scores), 2), "D4RL score", goal, f"{told}; {note}")


def missing() -> str:
    """What the benchmark lacks on this machine, "" for nothing."""
    if not SOURCE.exists():
        return "the recording door_human is absent; set ROBOT_RL_DATA to the folder that holds it"
    if importlib.util.find_spec("gymnasium_robotics") is None:
        return 'gymnasium-robotics is not installed: pip install "robot-rl[adroit]"'
    return ""


def main() -> None:
    """Run the benchmark; `--quick` takes few updates, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    warnings.filterwarnings("ignore", module="gymnasium")
    set_up_torch(1)
    torch.set_flush_denormal(True)
    lacking = missing()
    report(
        "door_human",
        [Row("door_human/skipped", 0.0, "", note=lacking)] if lacking else rows(200 if quick else 15_000),
    )


if __name__ == "__main__":
    main()
