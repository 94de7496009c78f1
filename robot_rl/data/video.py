"""Reads frames of MP4 files by number: H.264 and AV1, several episodes in one file.

A frame is found by its presentation time in the file's packet index, so that what random access returns is
what sequential decoding returns, bit for bit.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from robot_rl.data.episode import Frames
from robot_rl.errors import BadInput

OPEN_FILES = 16
CACHE_MB = 256.0  # of decoded frames that a dataset keeps, over all its open files
MAX_PIXELS = 2**26  # of a frame; a damaged header may claim any size


class FrameCache:
    """Decoded frames that were used last, of any number of files, up to a size in bytes."""

    def __init__(self, limit_mb: float):
        """Keep up to `limit_mb` (MiB) of frames, and at least one."""
        self._limit, self._size, self._lock = limit_mb * 2**20, 0, threading.Lock()
        self._frames: OrderedDict[tuple[Path, int], np.ndarray] = OrderedDict()

    def get(self, path: Path, position: int) -> np.ndarray | None:
        """The frame, if it is held."""
        with self._lock:
            if (path, position) in self._frames:
                self._frames.move_to_end((path, position))
            return self._frames.get((path, position))

    def put(self, path: Path, position: int, image: np.ndarray) -> None:
        """Hold a frame, and let go of those not used for longest."""
        with self._lock:
            if (path, position) not in self._frames:
                self._frames[path, position] = image
                self._size += image.nbytes
            while self._size > self._limit and len(self._frames) > 1:
                self._size -= self._frames.popitem(last=False)[1].nbytes


class VideoReader:
    """One open MP4 file: its packet index, a decoder position and the cache of decoded frames."""

    def __init__(self, path: Path, cache: FrameCache | None = None):
        """Open `path`; frames are kept in `cache` (default a small one); BadInput where it is no video."""
        self.path = Path(path)
        try:
            self._container = av.open(str(path), metadata_errors="replace")
            self._stream = self._container.streams.video[0]
        except (av.FFmpegError, OSError, IndexError, ValueError) as error:
            raise BadInput(
                f"{path}: cannot be opened as a video ({error}); fetch or record it again"
            ) from error
        self._check_header()
        self._cache = cache or FrameCache(CACHE_MB / OPEN_FILES)
        self._stream.codec_context.thread_count = 1
        self._read_index()
        self._frames: Iterator[av.VideoFrame] | None = None
        self._next = 0  # the number of the frame that the decoder gives next
        self._lock = threading.Lock()  # threads share the decoder

    def _check_header(self) -> None:
        context = self._stream.codec_context
        if context is None or not self._stream.time_base:
            raise BadInput(f"{self.path}: the video's codec is not known here; convert it to H.264 or AV1")
        if not 0 < context.height * context.width <= MAX_PIXELS:
            raise BadInput(
                f"{self.path}: frames are {context.height}x{context.width} (height x width); "
                f"at most {MAX_PIXELS} pixels can be read; fetch or record it again"
            )
        context.options = {"max_pixels": str(MAX_PIXELS)}

    def _read_index(self) -> None:
        try:
            packets = [(p.pts, p.is_keyframe) for p in self._container.demux(self._stream) if p.size]
        except av.FFmpegError as error:
            raise BadInput(
                f"{self.path}: the video is damaged ({error}); fetch or record it again"
            ) from error
        if not packets or any(pts is None for pts, _ in packets):
            raise BadInput(f"{self.path}: the video has no frames with a time; fetch or record it again")
        packets.sort()
        self.pts = np.array([pts for pts, _ in packets], np.int64)
        self.times = self.pts * float(self._stream.time_base)  # (F,) seconds
        self.keyframes = np.flatnonzero([key for _, key in packets])
        if not len(self.keyframes) or self.keyframes[0] != 0:
            raise BadInput(f"{self.path}: the video does not start with a key frame; record it again")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._stream.codec_context.height, self._stream.codec_context.width

    @property
    def codec(self) -> str:
        """The codec's common name, e.g. "h264" or "av1"."""
        return self._stream.codec_context.codec.canonical_name

    def __len__(self) -> int:
        return len(self.pts)

    def positions(self, times: np.ndarray, fps: float) -> np.ndarray:
        """Frame numbers (n,) nearest to `times` in seconds; BadInput where none lies within half a frame."""
        after = np.clip(np.searchsorted(self.times, times), 1, max(len(self) - 1, 1))
        after = np.minimum(after, len(self) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.abs(self.times[before] - times) <= np.abs(self.times[after] - times)
        found = np.where(nearer, before, after)
        off = np.abs(self.times[found] - times) > 0.5 / fps
        if off.any():
            raise BadInput(
                f"{self.path}: no frame at {times[off][0]:.4f} s; the video's {len(self)} frames end at "
                f"{self.times[-1]:.4f} s and must lie at {fps:g} Hz; fetch or import the dataset again"
            )
        return found

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Frames (n, H, W, 3) uint8 RGB at frame numbers `positions` (n,); fast where they ascend."""
        wanted, inverse = np.unique(positions, return_inverse=True)
        frames = np.empty((len(wanted), *self.size, 3), np.uint8)
        with self._lock:
            for row, position in enumerate(wanted):
                frames[row] = self._one(int(position))
        return frames if np.array_equal(wanted, positions) else frames[inverse]

    def _one(self, position: int) -> np.ndarray:
        held = self._cache.get(self.path, position)
        if held is not None:
            return held
        try:
            image = self._decode(position).to_ndarray(format="rgb24")
        except (av.FFmpegError, StopIteration, ValueError, OverflowError) as error:
            self._frames = None
            reason = str(error) or "the file ends early"
            raise BadInput(
                f"{self.path}: frame {position} cannot be decoded ({reason}); fetch it again"
            ) from error
        if image.shape[:2] != self.size:
            raise BadInput(
                f"{self.path}: frame {position} has another size; the video is damaged, fetch it again"
            )
        self._cache.put(self.path, position, image)
        return image

    def _decode(self, position: int) -> av.VideoFrame:
        key = int(self.keyframes[np.searchsorted(self.keyframes, position, side="right") - 1])
        if self._frames is None or not key <= self._next <= position:
            self._container.seek(int(self.pts[key]), stream=self._stream, backward=True)
            self._frames = self._container.decode(self._stream)
        target = int(self.pts[position])
        frame = next(self._frames)
        while frame.pts is None or frame.pts < target:
            frame = next(self._frames)
        self._next = position + 1
        if frame.pts != target:
            self._frames = None
            raise BadInput(f"{self.path}: frame {position} is missing; the video is damaged, fetch it again")
        return frame

    def close(self) -> None:
        """Close the file."""
        self._frames = None
        self._container.close()


class VideoPool:
    """Keeps the readers used last open; a forked process opens its own."""

    def __init__(self, limit: int = OPEN_FILES, cache_mb: float = CACHE_MB):
        """Keep up to `limit` files open and `cache_mb` of decoded frames in all of them together."""
        self._limit, self._lock, self._cache = limit, threading.Lock(), FrameCache(cache_mb)
        self._readers: OrderedDict[tuple[int, Path], VideoReader] = OrderedDict()

    def reader(self, path: Path) -> VideoReader:
        """Return the open reader of `path`; BadInput if it is no readable video."""
        key = (os.getpid(), Path(path))
        with self._lock:
            if key not in self._readers:
                self._readers[key] = VideoReader(path, self._cache)
                if len(self._readers) > self._limit:
                    self._readers.popitem(last=False)  # closes itself when no thread uses it any more
            self._readers.move_to_end(key)
            return self._readers[key]


class VideoFrames(Frames):
    """The frames of one episode inside an MP4 file, decoded when asked for."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        from_timestamp: float,
        length: int,
        fps: float,
        pool: VideoPool | None = None,
    ):
        """Take `length` frames from `from_timestamp` (s) on, at `fps` (Hz); `size` is height, width (px)."""
        self.path, self.from_timestamp, self.fps = Path(path), from_timestamp, fps
        self.shape = (length, *size, 3)
        self._pool = pool or VideoPool(1)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the frames at `indices` (n,) of the episode as (n, H, W, 3) uint8."""
        reader = self._pool.reader(self.path)
        if reader.size != self.shape[1:3]:
            raise BadInput(
                f"{self.path}: frames are {reader.size[0]}x{reader.size[1]} (height x width), the dataset "
                f"says {self.shape[1]}x{self.shape[2]}; correct the feature's shape in meta/info.json"
            )
        times = self.from_timestamp + np.asarray(indices) / self.fps
        return reader.read(reader.positions(times, self.fps))

    def cut(self, first: int, stop: int) -> VideoFrames:
        """The frames `first` to `stop` - 1, still in their file."""
        begin = self.from_timestamp + first / self.fps
        return VideoFrames(self.path, self.shape[1:3], begin, stop - first, self.fps, self._pool)

    def file_range(self) -> tuple[int, int]:
        """First frame number in the file and the one after the last."""
        reader = self._pool.reader(self.path)
        ends = np.array([0, len(self) - 1]) / self.fps + self.from_timestamp
        first, last = reader.positions(ends, self.fps)
        return int(first), int(last) + 1


class ResizedFrames(Frames):
    """Frames scaled to another size (height, width in pixels) when read."""

    def __init__(self, frames: Frames | np.ndarray, size: tuple[int, int]):
        self._frames = frames
        self.shape = (len(frames), *size, 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the scaled frames at `indices` (n,)."""
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for row, image in enumerate(self._frames[np.asarray(indices)]):
            scaled = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
                width=self.shape[2], height=self.shape[1], interpolation="AREA"
            )
            out[row] = scaled.to_ndarray(format="rgb24")
        return out


class WholeVideo(Frames):
    """All frames of a video file, whatever their times."""

    def __init__(self, path: Path, pool: VideoPool):
        """Open `path`; BadInput if it is no readable video of at least two frames."""
        self.path, self._pool = Path(path), pool
        reader = pool.reader(self.path)
        if len(reader) < 2 or not reader.times[-1] > reader.times[0]:
            raise BadInput(f"{path}: the video has fewer than 2 frames; an episode needs at least 2 steps")
        self.times = reader.times - reader.times[0]  # (T,) seconds
        self.fps = (len(reader) - 1) / float(self.times[-1])  # Hz, the mean rate
        self.shape = (len(reader), *reader.size, 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the frames at `indices` (n,) as (n, H, W, 3) uint8."""
        return self._pool.reader(self.path).read(np.asarray(indices))

    def as_stored(self, fps: float) -> Frames:
        """The same frames in a form that a writer copies without encoding, where they lie at `fps` (Hz)."""
        start = float(self._pool.reader(self.path).times[0])
        even = np.abs(self.times - np.arange(len(self)) / fps).max() < 0.4 / fps
        return VideoFrames(self.path, self.shape[1:3], start, len(self), fps, self._pool) if even else self

    def at(self, times: np.ndarray) -> Frames:
        """The frames shown at `times` (n,) in seconds from the first one on; the last one is held."""
        return Chosen(self, np.clip(np.searchsorted(self.times, times + 1e-6, "right") - 1, 0, len(self) - 1))


class Chosen(Frames):
    """Some of other frames, by their numbers."""

    def __init__(self, frames: Frames | np.ndarray, numbers: np.ndarray):
        """Take `numbers` (T,) int64 of `frames`."""
        self._frames, self._numbers = frames, numbers
        self.shape = (len(numbers), *frames.shape[1:])

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the frames at `indices` (n,)."""
        return self._frames[self._numbers[np.asarray(indices)]]


def open_whole(path: Path, fps: float) -> VideoFrames:
    """All frames of the MP4 at `path`, on the grid of `fps` (Hz); BadInput if it is no readable video."""
    pool = VideoPool(1)
    reader = pool.reader(path)
    return VideoFrames(path, reader.size, float(reader.times[0]), len(reader), fps, pool)
