"""Relabeling 100,000 frames on one core: decoding, embedding, rewards and the new version, and its memory.

Bare is `encoder.images` on pictures of 84x84 in memory: bringing them to the encoder's own 64x64 is part of
it, decoding is not. What the pictures show does not matter here, so the dataset is synthetic.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from robot_rl.data.episode import Episode
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from tests.benchmarks._rows import Row, report

SIDE, STEPS, STATE, ACTION = 84, 200, 39, 4  # px, an episode, numbers
RIGHT = 18  # px; the shapes' half size is half of it
ROUNDS = 7  # of the two speeds, in turn
PIECE = 2000  # frames of a round


def one_core() -> None:
    """Keep this process, and what it starts, to one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def pictures(rng: np.random.Generator) -> np.ndarray:
    """An episode's pictures (STEPS, SIDE, SIDE, 3) uint8: two squares on their ways over a noisy ground."""
    noise = rng.integers(0, 24, (16, SIDE, SIDE, 3), dtype=np.uint8)
    images = noise[np.arange(STEPS) % 16] + rng.integers(20, 100, 3, dtype=np.uint8)
    phase, colours = rng.uniform(0, 6.28, (2, 2)), rng.integers(100, 255, (2, 3))
    for step, image in enumerate(images):
        for (a, b), colour in zip(phase, colours, strict=True):
            y, x = (int(SIDE / 2 + 30 * np.sin(v)) for v in (a + step / 15, b + step / 20))
            image[max(y - RIGHT // 2, 0) : y + RIGHT // 2, max(x - RIGHT // 2, 0) : x + RIGHT // 2] = colour
    return images


def episode(index: int) -> Episode:
    """One synthetic episode."""
    rng = np.random.default_rng(index)
    return Episode(
        observations={
            "state": rng.normal(size=(STEPS, STATE)).astype(np.float32),
            "image.front": pictures(rng),
        },
        actions=rng.uniform(-1, 1, (STEPS, ACTION)).astype(np.float32),
        task="open the drawer",
        fps=20.0,
        rewards=np.zeros(STEPS, np.float32),
    )


def synthesise(path: Path, frames: int) -> Path:
    """Write a dataset of so many frames."""
    names = {"state_names": [f"s{i}" for i in range(STATE)], "action_names": [f"a{i}" for i in range(ACTION)]}
    writer = DatasetWriter(path, fps=20.0, cameras={"front": (SIDE, SIDE)}, **names)
    for index in range(frames // STEPS):
        writer.write(index, episode(index))
    writer.close()
    return path


def judge():
    """The in-domain encoder of drawer_open, from the cache or trained."""
    from robot_rl.cli.common import progress
    from robot_rl.cli.judging import in_domain_encoder
    from robot_rl.specs.tasks import load_task
    from robot_rl.vision.in_domain import InDomainConfig

    return in_domain_encoder(load_task("drawer_open"), InDomainConfig(), 2, progress)


def reward_model(encoder, images: np.ndarray):
    """A reward model of the usual size; what it says does not matter."""
    from robot_rl.rewards.model import RewardConfig, RewardModel

    pairs = np.random.default_rng(0).integers(0, len(images), (200, 2))
    return RewardModel.fit(encoder.images(images), pairs, np.full(200, 0.5), RewardConfig(epochs=1))


def relabel_whole(source: Path, out: Path) -> dict[str, float]:
    """Relabel a dataset as `robot-rl reward` does, its cache empty; returns seconds and peak memory."""
    import torch

    from robot_rl.rewards.relabel import relabel_dataset, stream_rewards
    from robot_rl.vision.cache import embed_dataset

    torch.set_num_threads(1)
    encoder = judge()
    os.environ["ROBOT_RL_CACHE"] = str(out.with_name(out.name + "-cache"))
    model = reward_model(encoder, Dataset.open(source).frames("front", np.arange(STEPS)))
    start = time.monotonic()
    dataset = Dataset.open(source)
    vectors = embed_dataset(dataset, "front", encoder)
    relabel_dataset(dataset, stream_rewards(model, vectors), out, {})
    seconds = time.monotonic() - start
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    return {"frames": len(vectors), "seconds": seconds, "peak": int(peak.split()[1]) / 1024}


def in_fresh_process(source: Path, out: Path) -> dict[str, float]:
    """Run `relabel_whole` in a process of its own, whose peak memory is its own."""
    command = [sys.executable, __file__, "--whole", str(source), str(out)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def speeds(source: Path) -> list[Row]:
    """Frames a second of the encoder alone and of the whole way to the reward, measured in turn."""
    import torch

    from robot_rl.vision.shards import Shard, embed_shards

    torch.set_num_threads(1)
    encoder, images = judge(), Dataset.open(source).frames("front", np.arange(PIECE))
    model, bare, whole = reward_model(encoder, images[:STEPS]), [], []
    for _ in range(ROUNDS):
        start = time.monotonic()
        encoder.images(images)
        middle = time.monotonic()
        for _, vectors in embed_shards(Dataset.open(source), "front", encoder, [Shard(0, PIECE)]):
            model.reward(vectors)
        bare.append(middle - start)
        whole.append(time.monotonic() - middle)
    share = statistics.median(b / w for b, w in zip(bare, whole, strict=True))
    note = f"median of {ROUNDS} rounds of {PIECE} frames, one core, load {os.getloadavg()[0]:.1f}"
    rate = [PIECE / statistics.median(seconds) for seconds in (bare, whole)]
    return [
        Row.of(
            "bare_encoder", round(rate[0]), "frames/s", None, f"{SIDE} to {encoder.size} px included; {note}"
        ),
        Row.of("embed_and_reward", round(rate[1]), "frames/s", None, "decoding included"),
        Row.of("share_of_bare", round(share, 3), "", (">=", 0.60), "median of the rounds' own shares"),
    ]


def main() -> None:
    """Run the benchmark; `--quick` uses a tenth of the frames, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--whole", nargs=2, type=Path, metavar=("DATASET", "OUT"))
    args = parser.parse_args()
    if args.whole:
        print(json.dumps(relabel_whole(*args.whole)))
        return
    judge()  # trained, if it must be, before the clock starts
    many, few = (10_000, 2000) if args.quick else (100_000, 10_000)
    one_core()
    with tempfile.TemporaryDirectory(prefix="relabel-") as name:
        folder = Path(name)
        small, large = (synthesise(folder / str(count), count) for count in (few, many))
        rows = speeds(small)
        peaks = {path: in_fresh_process(path, folder / f"{path.name}-out") for path in (small, large)}
    found = peaks[large]
    note = f"{found['frames']:,} frames, the new version included; load {os.getloadavg()[0]:.1f}"
    goal = None if args.quick else ("<=", 300)
    rows.append(Row.of("seconds_100k" if goal else "seconds", round(found["seconds"], 1), "s", goal, note))
    growth = found["peak"] / peaks[small]["peak"]
    note = f"peak {found['peak']:.0f} MiB, with {few:,} frames {peaks[small]['peak']:.0f} MiB"
    rows.append(Row.of("memory_growth", round(growth, 3), "", ("<=", 1.20), note))
    report("relabel", rows)


if __name__ == "__main__":
    main()
