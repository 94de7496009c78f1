"""Frames come back by number, exactly, however they are asked for and however files are joined."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from robot_rl.data.video import FrameCache, ResizedFrames, VideoFrames, open_whole
from robot_rl.data.video_write import (
    Encoding,
    decode_image,
    encode,
    encode_png,
    join,
    stream_key,
    write_frames,
)
from robot_rl.errors import BadInput
from tests.conftest import picture


def clip(steps: int, episode: int, size: int = 32) -> np.ndarray:
    return np.stack([picture(t, episode, size) for t in range(steps)])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def encode_as(path: Path, frames: np.ndarray, codec: str, options: dict[str, str]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("fps", [10.0, 12.5, 29.97, 30.0])
def test_joined_episodes_have_exact_borders(tmp_path: Path, fps: float) -> None:
    clips = [clip(n, i) for i, n in enumerate([7, 12, 5])]
    paths = [tmp_path / f"{i}.mp4" for i in range(3)]
    for path, frames in zip(paths, clips, strict=True):
        encode(frames, path, fps, Encoding())
    starts = join(paths, tmp_path / "joined.mp4", fps)
    np.testing.assert_allclose(starts, np.array([0, 7, 19]) / fps, rtol=1e-12)
    for start, frames, path in zip(starts, clips, paths, strict=True):
        part = VideoFrames(tmp_path / "joined.mp4", (32, 32), start, len(frames), fps)
        np.testing.assert_array_equal(part, np.asarray(open_whole(path, fps)))
        assert psnr(np.asarray(part), frames) > 30


def test_random_access_equals_sequential_access(tmp_path: Path) -> None:
    encode(clip(40, 0), tmp_path / "a.mp4", 10, Encoding(gop=6))
    sequential = np.asarray(open_whole(tmp_path / "a.mp4", 10))
    frames = open_whole(tmp_path / "a.mp4", 10)
    for index in np.random.default_rng(0).permutation(40):
        np.testing.assert_array_equal(frames[int(index)], sequential[index])
    wanted = np.array([30, 2, 2, 39, 0])
    np.testing.assert_array_equal(frames[wanted], sequential[wanted])


@pytest.mark.parametrize(
    ("codec", "options"), [("libx264", {"bf": "3", "g": "12"}), ("libsvtav1", {"g": "2", "preset": "12"})]
)
def test_other_encodings_are_joined_and_read(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec} encoder")
    paths = [tmp_path / "0.mp4", tmp_path / "1.mp4"]
    for i, path in enumerate(paths):
        encode_as(path, clip(20, i, 64), codec, options)
    assert stream_key(paths[0]) == stream_key(paths[1])
    starts = join(paths, tmp_path / "joined.mp4", 30)
    for start, path in zip(starts, paths, strict=True):
        part = VideoFrames(tmp_path / "joined.mp4", (64, 64), start, 20, 30)
        whole = np.asarray(open_whole(path, 30))
        for index in (13, 2, 19, 0):
            np.testing.assert_array_equal(part[index], whole[index])


def test_frames_of_a_file_are_copied_not_encoded_again(tmp_path: Path) -> None:
    for i in range(2):
        encode(clip(8, i), tmp_path / f"{i}.mp4", 10, Encoding())
    starts = join([tmp_path / "0.mp4", tmp_path / "1.mp4"], tmp_path / "joined.mp4", 10)
    part = VideoFrames(tmp_path / "joined.mp4", (32, 32), starts[1], 8, 10)
    write_frames(part, tmp_path / "copy.mp4", 10, Encoding(crf=51))
    np.testing.assert_array_equal(open_whole(tmp_path / "copy.mp4", 10), part)


def test_a_cut_between_key_frames_is_encoded(tmp_path: Path) -> None:
    encode(clip(12, 0), tmp_path / "a.mp4", 10, Encoding(gop=4))
    part = VideoFrames(tmp_path / "a.mp4", (32, 32), 0.1, 5, 10)
    write_frames(part, tmp_path / "cut.mp4", 10, Encoding())
    assert psnr(np.asarray(open_whole(tmp_path / "cut.mp4", 10)), np.asarray(part)) > 30


def test_encoding_is_deterministic(tmp_path: Path) -> None:
    for name in "ab":
        encode(clip(10, 0), tmp_path / f"{name}.mp4", 10, Encoding())
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_odd_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="33x33.*even.*34x34"):
        encode(clip(3, 0, 33), tmp_path / "a.mp4", 10, Encoding())


def test_damaged_videos_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(clip(30, 0), path, 10, Encoding())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="a.mp4"):
        open_whole(path, 10)
    path.write_bytes(b"not a video")
    with pytest.raises(BadInput, match="a.mp4"):
        open_whole(path, 10)
    path.write_bytes(whole)
    with pytest.raises(BadInput, match="no frame at"):
        VideoFrames(path, (32, 32), 2.0, 20, 10)[15]
    with pytest.raises(BadInput, match="32x32.*16x16"):
        VideoFrames(path, (16, 16), 0.0, 5, 10)[0]


def test_resize_keeps_the_picture(tmp_path: Path) -> None:
    grey = np.full((2, 32, 48, 3), 120, np.uint8)
    small = ResizedFrames(grey, (16, 24))
    assert small.shape == (2, 16, 24, 3)
    assert np.abs(np.asarray(small).astype(int) - 120).max() <= 2


def test_png_is_lossless() -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 51, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode_image(encode_png(image), "x"), image)
    with pytest.raises(BadInput, match="frame 3"):
        decode_image(b"nothing", "frame 3")


def test_the_cache_holds_what_was_used_last_up_to_its_size() -> None:
    frame = np.zeros((64, 64, 4), np.uint8)  # 16 KiB
    cache = FrameCache(3 * 16 / 1024)
    one, other = Path("a.mp4"), Path("b.mp4")
    for path, position in ((one, 0), (one, 1), (other, 0)):
        cache.put(path, position, frame)
    assert cache.get(one, 0) is frame  # now the one used last
    cache.put(other, 1, frame)
    assert cache.get(one, 1) is None and cache.get(one, 0) is frame and cache.get(other, 0) is frame
    tiny = FrameCache(0)
    tiny.put(one, 0, frame), tiny.put(one, 1, frame)
    assert tiny.get(one, 0) is None and tiny.get(one, 1) is frame
