"""Writes MP4 files: encodes frames as H.264 and joins or cuts files without encoding them again.

Every frame lies exactly on the grid i / fps, so episode borders in a joined file are exact.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from robot_rl.data.episode import Frames
from robot_rl.data.video import MAX_PIXELS, VideoFrames
from robot_rl.errors import BadInput

BATCH = 32  # frames held in memory while encoding


@dataclass(frozen=True)
class Encoding:
    """How frames become H.264: quality (crf, lower is better) and frames from one key frame to the next."""

    crf: int = 18
    gop: int = 4
    preset: str = "veryfast"


def as_rate(fps: float) -> Fraction:
    """Frames a second as a fraction that MP4 time stamps can hold exactly."""
    return Fraction(fps).limit_denominator(10_000)


def check_size(height: int, width: int, where: str) -> None:
    """Raise BadInput where H.264 with yuv420p cannot hold the picture."""
    if height % 2 or width % 2:
        raise BadInput(
            f"{where}: frames are {height}x{width} (height x width); H.264 needs even numbers, "
            f"crop or resize to {height + height % 2}x{width + width % 2}"
        )


def _timescale(rate: Fraction) -> int:
    """MP4 ticks a second: a multiple of the rate's numerator, so that a frame is a whole number of ticks."""
    return rate.numerator * max(1, -(-10_000 // rate.numerator))


def _open(path: Path, rate: Fraction) -> av.container.OutputContainer:
    return av.open(str(path), "w", format="mp4", options={"video_track_timescale": str(_timescale(rate))})


def encode(frames: Frames | np.ndarray, path: Path, fps: float, encoding: Encoding) -> None:
    """Encode (T, H, W, 3) uint8 RGB `frames` to H.264 in `path`."""
    _, height, width, _ = frames.shape
    check_size(height, width, str(path))
    rate = as_rate(fps)
    options = {"crf": str(encoding.crf), "preset": encoding.preset, "g": str(encoding.gop), "bf": "0"}
    options["x264-params"] = "mbtree=0"  # with it, the same frames give other bytes about once in 100 times
    with _open(path, rate) as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for start in range(0, len(frames), BATCH):
            for offset, image in enumerate(frames[start : start + BATCH]):
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                picture.pts, picture.time_base = start + offset, 1 / rate
                container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def write_frames(frames: Frames | np.ndarray, path: Path, fps: float, encoding: Encoding) -> None:
    """Write `frames` to `path`: frames that already lie in a video file are copied, others encoded.

    A cut that does not start at a key frame is encoded again.
    """
    if isinstance(frames, VideoFrames) and _copy_range(frames, path, fps):
        return
    encode(frames, path, fps, encoding)


def _copy_range(frames: VideoFrames, path: Path, fps: float) -> bool:
    first, stop = frames.file_range()
    reader = frames._pool.reader(frames.path)
    clean = stop == len(reader) or stop in reader.keyframes
    if stop - first != len(frames) or first not in reader.keyframes or not clean:
        return False
    _remux([(frames.path, first, stop)], path, fps)
    return True


def join(paths: Sequence[Path], path: Path, fps: float) -> list[float]:
    """Join videos of one `stream_key` into `path` without encoding; returns each one's start in seconds."""
    counts = _remux([(p, 0, None) for p in paths], path, fps)
    rate = as_rate(fps)
    return [float(start / rate) for start in np.cumsum([0, *counts[:-1]]).tolist()]


def stream_key(path: Path) -> tuple:
    """What two files must share to be joined: codec, its setup bytes and the picture size."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.codec.canonical_name, bytes(context.extradata or b""), context.height, context.width


def _packets(container: av.container.InputContainer, first: int, stop: int | None) -> tuple[list, list[int]]:
    """Packets of frames first..stop in file order, and each one's place in the order of presentation."""
    packets = [p for p in container.demux(container.streams.video[0]) if p.size]
    rank = np.empty(len(packets), np.int64)
    rank[np.argsort([p.pts for p in packets], kind="stable")] = np.arange(len(packets))
    stop = len(packets) if stop is None else stop
    kept = [(p, int(r) - first) for p, r in zip(packets, rank, strict=True) if first <= r < stop]
    return [p for p, _ in kept], [r for _, r in kept]


def _remux(parts: Sequence[tuple[Path, int, int | None]], path: Path, fps: float) -> list[int]:
    """Copy packets of `parts` (file, first frame, stop) behind one another; returns frames of each part."""
    rate = as_rate(fps)
    tick = _timescale(rate) // rate.numerator * rate.denominator
    delay = max(_delay(part) for part in parts)
    counts: list[int] = []
    with _open(path, rate) as target:
        stream = None
        for source_path, first, stop in parts:
            with av.open(str(source_path)) as source:
                packets, order = _packets(source, first, stop)
                if stream is None:
                    stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
                for number, (packet, place) in enumerate(zip(packets, order, strict=True)):
                    packet.time_base = Fraction(1, _timescale(rate))
                    packet.pts = (sum(counts) + place) * tick
                    packet.dts = (sum(counts) + number - delay) * tick
                    packet.duration, packet.stream = tick, stream
                    target.mux(packet)
                counts.append(len(packets))
    return counts


def _delay(part: tuple[Path, int, int | None]) -> int:
    """By how many frames decoding runs ahead of presentation in the file (0 without B-frames)."""
    with av.open(str(part[0])) as source:
        if not source.streams.video[0].codec_context.has_b_frames:
            return 0
        _, order = _packets(source, part[1], part[2])
    return max((number - place for number, place in enumerate(order)), default=0)


def encode_png(image: np.ndarray) -> bytes:
    """One (H, W, 3) uint8 RGB image as PNG, without loss."""
    context = av.CodecContext.create("png", "w")
    context.height, context.width = image.shape[:2]
    context.pix_fmt, context.time_base = "rgb24", Fraction(1, 1)
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    picture.pts, picture.time_base = 0, Fraction(1, 1)
    return b"".join(bytes(p) for p in [*context.encode(picture), *context.encode(None)])


_kept = threading.local()  # a JPEG decoder of each thread: making one takes longer than decoding a picture


def decode_image(data: bytes, where: str) -> np.ndarray:
    """A PNG or JPEG file's bytes as (H, W, 3) uint8 RGB; BadInput names `where`."""
    name = "mjpeg" if data[:2] == b"\xff\xd8" else "png" if data[:4] == b"\x89PNG" else None
    if name is None:
        raise BadInput(f"{where}: is neither a PNG nor a JPEG picture; fetch the dataset again")
    context = getattr(_kept, "jpeg", None) if name == "mjpeg" else None
    try:
        context = context or _decoder(name)
        image = context.decode(av.Packet(data))[0].to_ndarray(format="rgb24")
    except (av.FFmpegError, IndexError, OSError, ValueError) as error:
        _kept.jpeg = None  # what it holds of a damaged picture must not reach the next one
        reason = str(error) or type(error).__name__
        raise BadInput(f"{where}: the image cannot be decoded ({reason}); fetch the dataset again") from error
    if name == "mjpeg":  # a PNG decoder draws over the picture before
        _kept.jpeg = context
    return image


def _decoder(name: str) -> av.VideoCodecContext:
    """A decoder that refuses pictures of a size that only a damaged header claims."""
    context = av.CodecContext.create(name, "r")
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_count = 1
    return context
