"""How fast datasets are read and imported, beside bare av, pyarrow and h5py on the same files.

What is compared is run in turns and the ratio of medians reported, since the machine may be shared.

    make bench NAME=data
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from robot_rl.cli.common import track  # noqa: E402
from robot_rl.data import layout  # noqa: E402
from robot_rl.data.episode import Episode  # noqa: E402
from robot_rl.data.importers import import_dataset  # noqa: E402
from robot_rl.data.replay import ReplayBuffer, transitions_from_dataset  # noqa: E402
from robot_rl.data.store import Dataset  # noqa: E402
from robot_rl.data.writer import DatasetWriter  # noqa: E402
from tests.benchmarks._rows import Row, report  # noqa: E402

EPISODES, STEPS, SIZE, FPS = 4, 150, (240, 320), 30.0
IMPORTED = 1_000_000  # steps
TURNS = 5
KEY = "observation.images.front"
CACHE_MB = 32.0


def frames_of(episode: int) -> np.ndarray:
    """A moving picture that compresses like a camera's: smooth shapes with a little noise."""
    rng = np.random.default_rng(episode)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    frames = np.empty((STEPS, *SIZE, 3), np.uint8)
    for t in range(STEPS):
        wave = 127 + 90 * np.sin((x + 3 * t) / 25) * np.cos((y - 2 * t) / 30)
        noise = rng.normal(0, 3, (*SIZE, 3))
        frames[t] = np.clip(wave[..., None] * [1, 0.8, 0.6] + noise, 0, 255)
    return frames


def make_video_dataset(path: Path) -> Dataset:
    """Four episodes of 150 frames, 240x320, in one MP4."""
    names = [f"joint_{i}" for i in range(7)]
    writer = DatasetWriter(
        path, fps=FPS, state_names=names, action_names=names, cameras={"front": SIZE}, metadata={}
    )
    for index in range(EPISODES):
        numbers = np.random.default_rng(index).normal(size=(2, STEPS, 7)).astype(np.float32)
        observations = {"state": numbers[0], "image.front": frames_of(index)}
        rewards = numbers[0, :, 0].copy()
        writer.write(index, Episode(observations, numbers[1], "move", FPS, rewards))
    writer.close()
    return Dataset.open(path)


def make_jpeg_dataset(video: Dataset, path: Path) -> Dataset:
    """The same data set with its pictures as JPEG inside the Parquet file, one row group an episode."""
    shutil.copytree(video.root, path)
    shutil.rmtree(path / "videos")
    source = pq.read_table(video.data_files[0])
    target = path / video.data_files[0].relative_to(video.root)
    with pq.ParquetWriter(target, source.schema.append(pa.field(KEY, PICTURE))) as writer:
        for index in range(EPISODES):
            values = [
                {"bytes": jpeg(f), "path": None} for f in video.episode(index).observations["image.front"]
            ]
            rows = source.slice(index * STEPS, STEPS)
            writer.write_table(rows.append_column(KEY, pa.array(values, PICTURE)))
    info = layout.read_json(path / layout.INFO)
    info["features"][KEY] = {**info["features"][KEY], "dtype": "image"}
    layout.write_json({**info, "video_path": None}, path / layout.INFO)
    return Dataset.open(path)


PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def jpeg(frame: np.ndarray) -> bytes:
    """One picture as JPEG."""
    context = av.CodecContext.create("mjpeg", "w")
    context.height, context.width = frame.shape[:2]
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 30)
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
        format="yuvj420p"
    )
    return b"".join(bytes(p) for p in [*context.encode(picture), *context.encode(None)])


def bare_video(path: Path) -> int:
    """Decode a whole MP4 with av alone."""
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            frame.to_ndarray(format="rgb24")
            count += 1
    return count


def bare_jpeg(path: Path) -> int:
    """Decode every picture of a Parquet column with pyarrow and av alone."""
    context = av.CodecContext.create("mjpeg", "r")
    count = 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            column = file.read_row_group(group, [KEY]).column(0).combine_chunks()
            for value in column.field("bytes"):
                for frame in context.decode(av.Packet(value.as_buffer())):
                    frame.to_ndarray(format="rgb24")
                    count += 1
    return count


def sequential(root: Path) -> int:
    """Read every frame of a data set in order."""
    return sum(len(frames) for _, frames in Dataset.open(root).iter_frames("front", 32))


def compare(ours: Callable[[], int], bare: Callable[[], int]) -> tuple[float, float, float]:
    """Units a second of both, run in turns, and the ratio of medians."""
    times: tuple[list[float], list[float]] = ([], [])
    count = 0
    for _ in range(TURNS):
        for work, found in zip((ours, bare), times, strict=True):
            start = time.perf_counter()
            count = work()
            found.append(time.perf_counter() - start)
    mine, theirs = (statistics.median(found) for found in times)
    return count / mine, count / theirs, theirs / mine


def compared(
    name: str, unit: str, ours: Callable[[], int], bare: Callable[[], int], beside: str
) -> list[Row]:
    """Rows of one comparison; sequential reading should reach 80 % of the bare libraries."""
    mine, theirs, ratio = compare(ours, bare)
    return [
        Row.of(name, mine, unit, None, f"{beside}: {theirs:,.0f} {unit}"),
        Row.of(f"{name}, beside {beside}", ratio, "of its speed", (">=", 0.8)),
    ]


def random_access(dataset: Dataset, kind: str) -> list[Row]:
    """Single frames at random, and how many frames had to be decoded for one."""
    rng = np.random.default_rng(0)
    wanted = rng.integers(dataset.info.total_frames, size=100)
    decoded = counted(dataset, wanted) if kind == "MP4" else 1.0
    start = time.perf_counter()
    for index in wanted:
        dataset.frames("front", [int(index)])
    rate = len(wanted) / (time.perf_counter() - start)
    note = f"{dataset.info.total_frames} frames in the file"
    return [
        Row.of(f"{kind}, one frame at random", rate, "frames/s", None),
        Row.of(f"{kind}, frames decoded for one at random", decoded, "frames", ("<=", 8), note),
    ]


def counted(dataset: Dataset, wanted: np.ndarray) -> float:
    """Mean number of frames that the decoder gives for one frame at random."""
    from robot_rl.data.video import VideoReader

    count, decode = 0, VideoReader._decode

    def watched(self: VideoReader, position: int) -> av.VideoFrame:
        nonlocal count
        key = int(self.keyframes[np.searchsorted(self.keyframes, position, side="right") - 1])
        goes_on = self._frames is not None and key <= self._next <= position
        count += position + 1 - (self._next if goes_on else key)
        return decode(self, position)

    VideoReader._decode = watched
    try:
        for index in wanted:
            dataset.frames("front", [int(index)])
    finally:
        VideoReader._decode = decode
    return count / len(wanted)


def memory(root: Path) -> float:
    """MB by which a process grows while it reads all frames twice, at random, with a cache of CACHE_MB."""
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "def mb():\n"
        "    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / 2**20\n"
        "from robot_rl.data.store import Dataset\n"
        f"ds = Dataset.open(sys.argv[1], cache_mb={CACHE_MB})\n"
        "ds.frames('front', [0])\n"
        "before = peak = mb()\n"
        "for i in np.random.default_rng(0).integers(ds.info.total_frames, size=600):\n"
        "    ds.frames('front', [int(i)])\n"
        "    peak = max(peak, mb())\n"
        "print(peak - before)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, env=env)
    return float(done.stdout)


def bounded(kind: str, dataset: Dataset) -> Row:
    """A row on the memory that reading at random takes."""
    name = f"memory for frames of {kind}, cache of {CACHE_MB:g} MB"
    return Row.of(name, memory(dataset.root), "MB", ("<=", 2 * CACHE_MB))


def make_d4rl(path: Path, steps: int) -> Path:
    """A D4RL file of episodes of 1,000 steps, sized as HalfCheetah's."""
    rng = np.random.default_rng(0)
    timeouts = np.zeros(steps, bool)
    timeouts[999::1000] = True
    with h5py.File(path, "w") as file:
        file["observations"] = rng.standard_normal((steps, 17), np.float32)
        file["actions"] = rng.uniform(-1, 1, (steps, 6)).astype(np.float32)
        file["rewards"] = rng.standard_normal(steps, np.float32)
        file["terminals"], file["timeouts"] = np.zeros(steps, bool), timeouts
        file["next_observations"] = rng.standard_normal((steps, 17), np.float32)
    return path


def importing(room: Path) -> list[Row]:
    """A million steps without pictures, from D4RL HDF5; the best of three, as the disk is shared."""
    source = make_d4rl(room / "big.hdf5", IMPORTED)
    walls, cpus = [], []
    for turn in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        import_dataset(source, room / f"big{turn}", task="run")
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    note = f"{min(cpus):.1f} s of processor time; others: {', '.join(f'{IMPORTED / w:,.0f}' for w in walls)}"
    return [Row.of("import of a million steps", IMPORTED / min(walls), "steps/s", (">=", 200_000), note)]


def columns(room: Path) -> list[Row]:
    """States, actions and rewards of a million steps, beside pyarrow and h5py on the same numbers."""
    root, source = room / "big0", room / "big.hdf5"
    names = [layout.STATE, layout.ACTION, layout.REWARD]

    def ours() -> int:
        dataset = Dataset.open(root)
        return len(dataset.columns(names)[names[0]])

    def arrow() -> int:
        files = sorted((root / "data").glob("*/*.parquet"))
        tables = [pq.read_table(path, columns=names) for path in files]
        arrays = [np.concatenate([flat(table.column(name)) for table in tables]) for name in names]
        return len(arrays[2])

    def hdf5() -> int:
        with h5py.File(source) as file:
            return len([file[name][:] for name in ("observations", "actions", "rewards")][0])

    rows = compared("columns of Parquet", "steps/s", ours, arrow, "pyarrow")
    _, theirs, ratio = compare(ours, hdf5)
    rows.append(
        Row.of("columns of Parquet, beside h5py", ratio, "of its speed", None, f"{theirs:,.0f} steps/s")
    )
    buffer = ReplayBuffer.from_transitions(transitions_from_dataset(Dataset.open(root)))
    rng, start = np.random.default_rng(0), time.perf_counter()
    for _ in range(2000):
        buffer.sample(rng, 256)
    rate = 2000 * 256 / (time.perf_counter() - start)
    return [*rows, Row.of("replay buffer, batches of 256 at random", rate, "transitions/s", None)]


def flat(column: pa.ChunkedArray) -> np.ndarray:
    """The numbers of a column in one row."""
    array = column.combine_chunks()
    return (array.flatten() if pa.types.is_fixed_size_list(array.type) else array).to_numpy()


def learner_bytes(jpeg_dataset: Dataset) -> list[Row]:
    """How much of a file with pictures is read for what a learner needs."""
    before = read_bytes()
    transitions_from_dataset(Dataset.open(jpeg_dataset.root))
    size = sum(path.stat().st_size for path in jpeg_dataset.data_files)
    share = (read_bytes() - before) / size
    return [Row.of("read for a learner, of a Parquet file with pictures", share, "of the file", ("<=", 0.1))]


def read_bytes() -> int:
    """Bytes that this process has read so far, from files or their cache."""
    words = Path("/proc/self/io").read_text().split()
    return int(words[words.index("rchar:") + 1])


def main() -> None:
    """Run all parts and print the rows."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-data-") as folder:
        room = Path(folder)
        video = make_video_dataset(room / "video")
        pictures = make_jpeg_dataset(video, room / "jpeg")
        mp4 = next(video.root.glob("videos/*/*/*.mp4"))
        parts = [
            lambda: compared(
                "MP4 in order", "frames/s", lambda: sequential(video.root), lambda: bare_video(mp4), "av"
            ),
            lambda: compared(
                "JPEG in Parquet in order",
                "frames/s",
                lambda: sequential(pictures.root),
                lambda: bare_jpeg(pictures.data_files[0]),
                "pyarrow and av",
            ),
            lambda: random_access(Dataset.open(video.root), "MP4"),
            lambda: random_access(Dataset.open(pictures.root), "JPEG in Parquet"),
            lambda: [bounded("MP4", video), bounded("JPEG in Parquet", pictures)],
            lambda: learner_bytes(pictures),
            lambda: importing(room),
            lambda: columns(room),
        ]
        for part in track(parts, "data", "parts"):
            rows += part()
    report("data", rows)


if __name__ == "__main__":
    main()
