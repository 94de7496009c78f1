"""Evaluates a policy in simulation: deterministic actions, one seed an episode, success with an interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robot_rl.envs.workers import worker_pool
from robot_rl.specs.tasks import TaskCard


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, one entry an episode."""

    seeds: tuple[int, ...]
    success: np.ndarray  # (E,) bool: the success test held at some step
    returns: np.ndarray  # (E,) float64: undiscounted sums of the true reward
    steps: np.ndarray  # (E,) int64: steps until success, or until the end
    measured: Mapping[str, np.ndarray] = field(
        default_factory=dict
    )  # (E,) each: what the task measures besides

    @property
    def rate(self) -> float:
        """Share of episodes with success."""
        return float(self.success.mean())


def evaluate(
    task: TaskCard,
    checkpoint: Path,
    seeds: Sequence[int],
    workers: int = 1,
    progress: Callable[[int], object] | None = None,
    randomise: bool = False,
) -> Evaluation:
    """Run the checkpoint's policy for one episode a seed; the result does not depend on `workers`."""
    work = [(task, checkpoint, int(seed), randomise) for seed in seeds]
    if workers == 1:
        found = _episodes(work, progress)
    else:
        parts = [work[i::workers] for i in range(workers) if work[i::workers]]
        with worker_pool(len(parts)) as pool:
            done = {}
            for part in pool.imap_unordered(_episodes, parts):
                done.update({row[0]: row for row in part})
                if progress:
                    progress(len(part))
        found = [done[int(seed)] for seed in seeds]
    _, success, returns, steps, last = zip(*found, strict=True)
    measured = {name: np.array([one[name] for one in last]) for name in last[0]}
    return Evaluation(
        tuple(int(s) for s in seeds), np.array(success), np.array(returns), np.array(steps), measured
    )


def _episodes(
    work: Sequence[tuple[TaskCard, Path, int, bool]], progress: Callable[[int], object] | None = None
) -> list[tuple]:
    """Run episodes one after the other in this process, in one environment."""
    from robot_rl.envs.make import make_task
    from robot_rl.envs.recording import seen
    from robot_rl.policies.image_policy import load_policy

    task, checkpoint, _, randomise = work[0]
    policy, env = load_policy(checkpoint), make_task(task, randomise=randomise)
    rows = []
    for _, _, seed, _ in work:
        observation, _ = env.reset(seed=seed)
        policy.reset()
        total, reached, steps, truncated = 0.0, False, 0, False
        while not (truncated or reached):
            action = policy.act(seen(env, observation, policy.spec))
            observation, reward, _, truncated, info = env.step(action)
            total, reached, steps = total + reward, reached or info["success"], steps + 1
        measured = {name: value for name, value in info.items() if isinstance(value, float)}
        rows.append((seed, reached, total, steps, measured))
        if progress:
            progress(1)
    env.close()
    return rows


def film(
    task: TaskCard, checkpoint: Path, seed: int, size: int = 256, every: int = 2, randomise: bool = False
) -> tuple[np.ndarray, bool]:
    """Film one episode: pictures (n, size, size, 3) uint8, one in `every` steps, and whether it succeeded."""
    from robot_rl.envs.make import make_task
    from robot_rl.envs.recording import policy_actor, record
    from robot_rl.policies.checkpoint import load_spec

    images = load_spec(checkpoint).images
    # A policy that sees pictures is filmed as it sees; small pictures of a large one would look different.
    env = make_task(task, size=images[0].height if images else size, randomise=randomise)
    shown = record(env, policy_actor(env, checkpoint), seed, every)
    env.close()
    return shown.frames, shown.success
