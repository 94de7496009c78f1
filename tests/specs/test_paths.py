"""The outside folders are found in a checkout and in a wheel's layout, and nowhere else."""

from pathlib import Path

import pytest

from robot_rl.errors import BadInput
from robot_rl.specs import paths

ROOT = Path(__file__).resolve().parents[2]


def test_in_this_checkout():
    assert paths.outside("sim", "tasks") == ROOT / "sim" / "tasks"
    assert paths.outside("ros_ws", "src") == ROOT / "ros_ws" / "src"


def test_unknown_and_missing_are_bad_input():
    with pytest.raises(BadInput, match="'simm/tasks'.*Did you mean 'sim'"):
        paths.outside("simm", "tasks")
    with pytest.raises(BadInput, match="no_such_task.yaml: not found"):
        paths.outside("sim", "tasks", "no_such_task.yaml")
    with pytest.raises(BadInput, match="no folder ''"):
        paths.outside()


def test_root_of_checkout_wheel_and_neither(tmp_path):
    package = tmp_path / "robot_rl"
    package.mkdir()
    (tmp_path / "pyproject.toml").touch()  # a stranger's: no sim/ beside it
    with pytest.raises(BadInput, match="install robot-rl again"):
        paths._root(package)
    (package / "_outside").mkdir()
    assert paths._root(package) == package / "_outside"
    (tmp_path / "sim").mkdir()
    assert paths._root(package) == tmp_path


def test_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOT_RL_CACHE", str(tmp_path))
    assert paths.cache_dir() == tmp_path
    monkeypatch.setenv("ROBOT_RL_CACHE", "")
    assert paths.cache_dir() == Path("~/.cache/robot_rl").expanduser()
