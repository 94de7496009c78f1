"""`robot-rl sim`: a video, sheets of pictures, and what it says where it cannot show anything."""

import io
import os
import subprocess
import sys

import av
import numpy as np
import pytest

pytest.importorskip("metaworld")
pytest.importorskip("matplotlib")
from matplotlib import image

from robot_rl.cli.main import main
from robot_rl.envs.make import make_task
from robot_rl.envs.recording import AFTER, record, scripted_actor
from robot_rl.report.task_sheet import CELL, GAP, TITLE, Strip, task_sheet
from robot_rl.specs.tasks import load_task
from tests.cli.processes import COMMAND
from tests.cli.test_bad_input import fails


def test_a_video_of_the_expert_and_how_it_ended(tmp_path, capsys):
    assert main(["sim", "drawer_open", "--seed", "3", "--size", "96", "--out", str(tmp_path / "a.mp4")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("drawer_open: success in ") and told[1] == f"video: {tmp_path / 'a.mp4'}"
    steps = int(told[0].split()[3])
    with av.open(str(tmp_path / "a.mp4")) as video:
        stream = video.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
        assert stream.average_rate == 40 and frames[0].shape == (96, 96, 3)
    assert len(frames) == 1 + steps // 2 and steps < 200
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 3


def test_a_recording_shows_a_little_after_success():
    env = make_task(load_task("drawer_open"), size=32)
    seen = record(env, scripted_actor(env, "expert", 0), seed=0, every=1)
    assert seen.success and len(seen.frames) == seen.steps + 1
    short = make_task(load_task("drawer_open").model_copy(update={"episode_length": 7}), size=32)
    brief = record(short, scripted_actor(short, "retreat", 0), seed=0, every=3)
    assert not brief.success and brief.steps == 7 and len(brief.frames) == 3  # steps 0, 3 and 6
    long = record(env, scripted_actor(env, "expert", 0), seed=1)
    assert long.steps > AFTER and long.returned > seen.returned / 10
    env.close()


def test_a_sheet_of_one_task_and_of_its_draws(tmp_path, capsys):
    for more, strips, each, columns in ((["--sheet"], 1, 3, 1), (["--sheet", "--randomise"], 18, 1, 6)):
        out = tmp_path / "sheet.png"
        assert main(["sim", "drawer_open", "--size", "64", *more, "--out", str(out)]) == 0
        assert capsys.readouterr().out == f"contact sheet: {out}\n"
        width = columns * (each * CELL + GAP) - GAP
        height = -(-strips // columns) * (TITLE + CELL + GAP) - GAP
        shape = image.imread(io.BytesIO(out.read_bytes()), format="png").shape
        assert shape[:2] == (1.5 * height, 1.5 * width)


def test_strips_stand_where_their_titles_are():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    strips = [Strip(str(c), np.full((2, 8, 8, 3), c, np.uint8)) for c in colours]
    picture = image.imread(io.BytesIO(task_sheet(strips, columns=2)), format="png")
    across, down, middle = 2 * CELL + GAP, TITLE + CELL + GAP, TITLE + CELL // 2
    for (top, left), colour in zip([(0, 0), (0, across), (down, 0)], colours, strict=True):
        seen = picture[int(1.5 * (top + middle)), int(1.5 * (left + CELL)), :3]
        np.testing.assert_allclose(seen, np.array(colour) / 255, atol=0.02)
    np.testing.assert_allclose(picture[int(1.5 * (down + middle)), int(1.5 * (across + CELL)), :3], 1.0)


def test_mistakes_are_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "no task 'soccr'. Did you mean 'soccer'? Known: soccer, " in fails(capsys, "sim", "soccr")
    assert "TASK: is missing" in fails(capsys, "sim")
    assert "there is no display here" in fails(capsys, "sim", "soccer", "--show")
    assert "Did you mean 'expert'" in fails(capsys, "sim", "soccer", "--behaviour", "expart")
    assert "--size: must be 32 to 1024" in fails(capsys, "sim", "soccer", "--size", "8")
    assert "give one of them" in fails(capsys, "sim", "soccer", "--policy", tmp_path, "--behaviour", "expert")
    assert str(tmp_path) in fails(capsys, "sim", "soccer", "--policy", tmp_path)


NO_GL = """
import ctypes
load = ctypes.CDLL.__init__
def refuse(self, name, *args, **more):
    if "GL" in str(name) or "OSMesa" in str(name):
        raise OSError(f"{name}: cannot open shared object file")
    load(self, name, *args, **more)
ctypes.CDLL.__init__ = refuse
"""


@pytest.mark.parametrize(("first", "chosen"), [(NO_GL, "egl"), (NO_GL, "osmesa"), ("", "nonsense")])
def test_no_graphics_library_is_one_line(first, chosen, tmp_path):
    command = [sys.executable, "-c", first + COMMAND, "sim", "soccer", "--out", str(tmp_path / "a.mp4")]
    environment = {**os.environ, "MUJOCO_GL": chosen}
    environment.pop("PYOPENGL_PLATFORM", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert (
        f"MUJOCO_GL={chosen} does not work here" in done.stderr and "apt-get install libegl1" in done.stderr
    )


def test_a_renderer_of_windows_without_a_display_is_one_line(tmp_path):
    command = [sys.executable, "-c", COMMAND, "sim", "soccer", "--out", str(tmp_path / "a.mp4")]
    environment = {**os.environ, "MUJOCO_GL": "glx"}
    environment.pop("DISPLAY", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "MUJOCO_GL=glx needs a display" in done.stderr and "MUJOCO_GL=egl" in done.stderr
