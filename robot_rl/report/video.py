"""Videos and contact sheets small enough to live inside a page: H.264 bytes in, H.264 bytes or PNG out."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.drawing import encode_image

VIDEO_LIMIT_MB = 8.0  # a video inside a page grows by a third and must be read whole before the page shows


def read_mp4(path: Path, limit_mb: float = VIDEO_LIMIT_MB) -> bytes:
    """The bytes of an H.264 MP4 file to embed; BadInput when too large or not playable in a browser."""
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: no such video file")
    _check_size(str(path), path.stat().st_size, limit_mb)
    try:
        with av.open(str(path)) as container:
            codec = container.streams.video[0].codec_context.name if container.streams.video else "no video"
            kind = container.format.name
    except av.error.FFmpegError as error:
        raise BadInput(f"{path}: not a readable video ({error.strerror})") from error
    if codec != "h264" or "mp4" not in kind:
        raise BadInput(
            f"{path}: a page plays H.264 in MP4, this is {codec} in {kind}; encode its frames anew"
        )
    return path.read_bytes()


def encode_mp4(frames: np.ndarray, fps: float, limit_mb: float = VIDEO_LIMIT_MB) -> bytes:
    """Encode frames (T, H, W, 3) uint8 at `fps` Hz as H.264 MP4 bytes that every browser plays."""
    if len(frames) == 0 or np.shape(frames)[3:] != (3,):
        raise BadInput(f"video: frames must be (T, H, W, 3) with T >= 1, got {np.shape(frames)}")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        # Chroma is stored at half size, so both sides must be even: the last odd row or column is left out.
        stream.height, stream.width = (side // 2 * 2 for side in np.shape(frames)[1:3])
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "24", "preset": "medium"}
        for image in frames:
            pixels = np.ascontiguousarray(image[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    _check_size("video", len(buffer.getvalue()), limit_mb)
    return buffer.getvalue()


def contact_sheet(frames: np.ndarray, columns: int, gap: int = 4) -> bytes:
    """Frames (n, H, W, 3) uint8 in rows of `columns`, `gap` see-through pixels apart, as PNG bytes."""
    frames = np.asarray(frames)
    if frames.ndim != 4 or len(frames) == 0 or columns < 1:
        raise BadInput(
            f"contact sheet: needs frames (n, H, W, 3) and columns >= 1, got {frames.shape}, {columns}"
        )
    n, height, width = frames.shape[:3]
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), dtype=np.uint8)
    for i, frame in enumerate(frames):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        cell = sheet[top : top + height, left : left + width]
        cell[..., :3], cell[..., 3] = frame, 255
    return encode_image(sheet, "png")


def _check_size(name: str, size: int, limit_mb: float) -> None:
    """Refuse a video of more than `limit_mb` megabytes."""
    if size > limit_mb * 1e6:
        raise BadInput(
            f"{name}: {size / 1e6:.1f} MB is more than the {limit_mb:g} MB a page may embed; "
            "take fewer episodes, smaller frames or a lower frame rate"
        )
