"""Pictures of random simulator states with the words that are true of them, to teach an in-domain judge.

No reward, success or demonstration is read: the hand is sent to random places, the object's joint is set at
random, and geometry decides which words of the task card are true.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_rl.envs.workers import worker_pool
from robot_rl.specs.tasks import TaskCard

_STEPS_PER_TARGET, _STEPS_PER_FRAME, _STEPS_PER_RESET = 20, 5, 400
_NEAR_SHARE = 0.7  # share of targets around the object; the rest lie anywhere in reach
_NEAR_SPREAD, _NEAR_CENTRE = np.array([0.04, 0.05, 0.06]), np.array([0.0, -0.01, 0.03])  # m


def random_states(
    task: TaskCard, frames: int, seed: int, workers: int = 2, progress: Callable[[int], object] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (frames, size, size, 3) uint8 and levels (frames, scales) int64, same for a seed."""
    chunk = 250
    counts = [min(chunk, frames - start) for start in range(0, frames, chunk)]
    work = [(task, count, [seed, index]) for index, count in enumerate(counts)]
    images, levels = [], []
    with worker_pool(min(workers, len(work))) as pool:
        for some_images, some_levels in pool.imap(_some, work):
            images.append(some_images)
            levels.append(some_levels)
            if progress:
                progress(len(some_images))
    return np.concatenate(images), np.concatenate(levels)


def _some(work: tuple[TaskCard, int, list[int]]) -> tuple[np.ndarray, np.ndarray]:
    from robot_rl.envs.metaworld_task import make_task

    task, count, seed = work
    env, rng = make_task(task), np.random.default_rng(seed)
    images, measured, step = [], [], 0
    while len(images) < count:
        if step % _STEPS_PER_RESET == 0:
            env.reset(seed=int(rng.integers(2**31)))
        if step % _STEPS_PER_TARGET == 0:
            target, grip = _target(env.raw[4:7], rng), rng.choice([-1.0, 1.0])
        env.step(np.append(10.0 * (target - env.raw[:3]), grip))
        step += 1
        if step % _STEPS_PER_FRAME == 0:
            env.scramble(rng)
            images.append(env.render().copy())
            measured.append(env.quantities())
    env.close()
    quantities = {name: np.array([m[name] for m in measured]) for name in measured[0]}
    return np.stack(images), np.stack([scale.level(quantities) for scale in task.scales], 1)


def _target(thing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw where the hand goes next (m), around the object more often than elsewhere."""
    from robot_rl.envs.behaviours import REACH_HIGH, REACH_LOW

    if rng.random() < _NEAR_SHARE:
        return thing + _NEAR_CENTRE + _NEAR_SPREAD * rng.normal(size=3)
    return rng.uniform(REACH_LOW, REACH_HIGH)
