"""Runs the same thing with several seeds, each in a folder of its own, and says what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rl.cli.common import table
from robot_rl.errors import BadInput

One = Callable[[int, Path], float]  # seed and folder in, score out


def run_seeds(out: Path, seeds: int, one: One, workers: int = 1, score: str = "success") -> np.ndarray:
    """Run `one` for seeds 0 to seeds - 1 in out/seed-0 … and print a table; returns the scores (seeds,).

    The last line is the interquartile mean with its 95 % stratified bootstrap interval. Each run continues or
    finds itself finished, so the same call continues after a kill. With more than one worker, `one` must be
    a function that can be sent to another process. Raises BadInput for less than one seed.
    """
    from robot_rl.report.aggregate import stratified_bootstrap

    if seeds < 1:
        raise BadInput(f"--seeds: must be at least 1, not {seeds}")
    work = [(one, seed, Path(out) / f"seed-{seed}") for seed in range(seeds)]
    if workers > 1 and seeds > 1:
        from robot_rl.envs.workers import worker_pool

        with worker_pool(min(workers, seeds)) as pool:
            scores = np.array(pool.map(_run, work, chunksize=1))
    else:
        scores = np.array([_run(item) for item in work])
    found = stratified_bootstrap(scores)
    rows = [(seed, float(value)) for seed, value in enumerate(scores)]
    print(table(("seed", score), rows))
    print(
        f"interquartile mean over {seeds} seeds: {score} {found.mean:.3g} "
        f"(95 % interval {found.low:.3g} to {found.high:.3g})"
    )
    return scores


def _run(work: tuple[One, int, Path]) -> float:
    one, seed, folder = work
    return one(seed, folder)
