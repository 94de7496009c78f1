"""Finds out which format a path holds, by its files and their contents, never by asking."""

from __future__ import annotations

from pathlib import Path

import h5py

from robot_rl.data import layout
from robot_rl.data.importers.bags import BagSource
from robot_rl.data.importers.clips import SUFFIXES, ClipsSource, has_clips
from robot_rl.data.importers.d3rlpy import D3rlpySource
from robot_rl.data.importers.d4rl import D4rlSource
from robot_rl.data.importers.hdf5 import Hdf5
from robot_rl.data.importers.lerobot_v3 import LeRobotV3Source
from robot_rl.data.importers.lerobot_v21 import LeRobotV21Source
from robot_rl.data.importers.minari import MinariSource
from robot_rl.data.importers.robomimic import RobomimicSource
from robot_rl.errors import BadInput

FORMATS = {
    "lerobot_v21": "a LeRobotDataset v2.x folder",
    "lerobot_v3": "a LeRobotDataset v3 folder",
    "robomimic": "a robomimic HDF5 file",
    "d4rl": "a D4RL HDF5 file",
    "minari": "a Minari folder",
    "d3rlpy": "a d3rlpy ReplayBuffer dump",
    "bag": "a rosbag2 MCAP file or folder",
    "clips": "a folder of video clips",
}
SOURCES = {
    "lerobot_v21": LeRobotV21Source,
    "lerobot_v3": LeRobotV3Source,
    "robomimic": RobomimicSource,
    "d4rl": D4rlSource,
    "minari": MinariSource,
    "d3rlpy": D3rlpySource,
    "bag": BagSource,
    "clips": ClipsSource,
}
MCAP = b"\x89MCAP0\r\n"
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".npy", ".npz", ".joblib")
_KNOWN = "; importable are " + ", ".join(FORMATS.values())


def detect(src: str | Path) -> str:
    """Name the format at `src`, a key of FORMATS; BadInput where it is none of them."""
    path = Path(src)
    if not path.exists():
        raise BadInput(f"{path} does not exist{_KNOWN}")
    return _detect_folder(path) if path.is_dir() else _detect_file(path)


def _detect_folder(path: Path) -> str:
    if (path / layout.INFO).is_file():
        version = str(layout.read_json(path / layout.INFO).get("codebase_version"))
        if version.startswith("v2."):
            return "lerobot_v21"
        if version.startswith("v3."):
            return "lerobot_v3"
        raise BadInput(f"{path / layout.INFO}: codebase_version is {version!r}; importable are v2.x and v3.x")
    if (path / "data/metadata.json").is_file() or (path / "main_data.hdf5").is_file():
        return "minari"
    if (path / "metadata.yaml").is_file() or any(path.glob("*.mcap")) or any(path.glob("*/metadata.yaml")):
        return "bag"
    if has_clips(path):
        return "clips"
    files = sorted(p for p in path.iterdir() if p.suffix in (".hdf5", ".h5"))
    if files:
        raise BadInput(f"{path} is a folder; give one of its files, e.g. {files[0]}")
    if (path / "raw").is_dir() or (path / "dataset").is_dir():  # of `deploy --record`
        raise BadInput(
            f"{path} is a recording's folder; its dataset is {path / 'dataset'}, and its bags are in "
            f"{path / 'raw'}, which a robot's contract explains (--robot NAME)"
        )
    raise BadInput(f"{path} is no dataset: it has no {layout.INFO} and nothing else that is known{_KNOWN}")


def _detect_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(len(MCAP))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); give a file that you may read") from error
    if h5py.is_hdf5(path):
        return _detect_hdf5(path)
    if start == MCAP:
        return "bag"
    if path.suffix.lower() in SUFFIXES:
        return "clips"
    if path.suffix == ".db3":
        raise BadInput(f"{path} is a bag in SQLite; convert it to MCAP first: ros2 bag convert")
    if path.suffix.lower() in _PICKLES:
        raise BadInput(f"{path}: pickled and NumPy files are not read, for they can run code{_KNOWN}")
    if path.suffix.lower() in (".hdf5", ".h5"):
        raise BadInput(f"{path} is no HDF5 file, or a damaged one; fetch it again")
    raise BadInput(f"{path} is no HDF5 file (or a damaged one), bag or video{_KNOWN}")


def _detect_hdf5(path: Path) -> str:
    with Hdf5(path) as file:
        keys = file.keys()
        if "actions_0" in keys or "num_episodes" in keys:
            return "d3rlpy"
        if any(key.startswith("demo_") for key in file.keys("data")):
            return "robomimic"
        if any(key.startswith("episode_") for key in keys):
            raise BadInput(f"{path} is part of a Minari data set; give its folder, {path.parent}")
        if "data" in keys and "observations" not in keys:
            return "robomimic"
        return "d4rl"
