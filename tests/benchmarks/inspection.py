"""How long `robot-rl inspect` takes and how large its page is: 300 episodes with pictures, a million steps.

Says also what the checks find in a million clean random steps with faults put into known places.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from robot_rl.data.episode import Episode
from robot_rl.data.findings import inspect_dataset
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from robot_rl.report.inspection import write_inspection
from tests.benchmarks._rows import Row, report

EPISODES, STEPS, SIDE = 300, 100, 64
LONG, PARTS = 1000, 24  # episodes of as many steps; channels of the state


def episode(rng: np.random.Generator, steps: int, parts: int, pictures: bool) -> Episode:
    """A robot that is pushed about at random; a bright square moves with its first part."""
    push = rng.normal(size=(steps, parts)).astype(np.float32)
    state = np.concatenate([np.zeros((1, parts), np.float32), push[:-1].cumsum(0)]).astype(np.float32)
    observations: dict = {"state": state}
    if pictures:
        frames = np.full((steps, SIDE, SIDE, 3), 90, np.uint8)
        for t in range(steps):
            column = int(state[t, 0]) % (SIDE - 16)
            frames[t, 24:40, column : column + 16] = 220
        observations["image.front"] = frames
    rewards = push[:, 0].copy()
    return Episode(observations, push, "push", 50.0, rewards, rewards > 3)


def write(path: Path, episodes: int, steps: int, parts: int, pictures: bool, stuck: int | None) -> Dataset:
    """A dataset, with one channel stuck in the middle of episode `stuck`."""
    rng = np.random.default_rng(0)
    names = [f"part_{k}" for k in range(parts)]
    cameras = {"front": (SIDE, SIDE)} if pictures else None
    writer = DatasetWriter(path, fps=50.0, state_names=names, action_names=names, cameras=cameras)
    for index in range(episodes):
        made = episode(rng, steps, parts, pictures)
        if index == stuck:
            made.observations["state"][steps // 4 : steps // 4 * 3, 1] = made.observations["state"][0, 1]
        writer.write(index, made)
    writer.close()
    return Dataset.open(path)


def main() -> None:
    """Measure, and report; `--quick` takes a tenth of the episodes, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    share = 10 if parser.parse_args().quick else 1
    episodes, long = EPISODES // share, LONG // share
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = write(root / "pictures", episodes, STEPS, 8, True, None)
        for name, drawn in (("12 drawn", None), ("all drawn", range(episodes))):
            begin = time.perf_counter()
            page = write_inspection(root / "p.html", dataset, inspect_dataset(dataset), drawn)
            rows.append(Row(f"page of {episodes} episodes, {name}", time.perf_counter() - begin, "s"))
            rows.append(Row(f"its size, {name}", page.stat().st_size / 1e6, "MB"))
        write(root / "long", long, LONG, PARTS, False, long // 2)
        begin = time.perf_counter()
        found = inspect_dataset(Dataset.open(root / "long")).findings
        rate = long * LONG / (time.perf_counter() - begin)
        rows.append(Row("numbers looked at", rate, "steps/s", note=f"{PARTS} + {PARTS} channels"))
        stuck = [one for one in found if one.kind == "stuck" and one.episodes == (long // 2,)]
        rows.append(Row.of("the stuck channel is found", len(stuck), "findings", (">=", 1)))
        rows.append(Row.of("other findings", len(found) - len(stuck), "findings", ("<=", 0)))
    report("inspection", rows)


if __name__ == "__main__":
    main()
