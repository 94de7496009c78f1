"""Pictures of random simulator states with the words that are true of them, to teach an in-domain judge.

No reward, success or demonstration is read: the environment is brought to random states (its `explore`), and
geometry decides which words of the task card are true.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np

from robot_rl.envs.workers import worker_pool
from robot_rl.specs.tasks import TaskCard


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
    from robot_rl.envs.make import make_task

    task, count, seed = work
    env = make_task(task)
    images, measured = [], []
    for _ in islice(env.explore(np.random.default_rng(seed)), count):
        images.append(env.render().copy())
        measured.append(env.quantities())
    env.close()
    quantities = {name: np.array([m[name] for m in measured]) for name in measured[0]}
    return np.stack(images), np.stack([scale.level(quantities) for scale in task.scales], 1)
