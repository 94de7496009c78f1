"""Names, path templates and feature entries of the LeRobotDataset v3.0 layout, and their checks."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from robot_rl.errors import BadInput, nearest

CODEBASE_VERSION = "v3.0"
FORMAT_VERSION = 1  # of our own files meta/robot_rl.json and meta/robot_rl.parquet
CHUNK_SIZE = 1000  # files in one chunk folder

INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
OWN_JSON, OWN_TABLE = "meta/robot_rl.json", "meta/robot_rl.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

OBSERVATION, IMAGES = "observation.", "observation.images."
STATE, ACTION = "observation.state", "action"
REWARD, SUCCESS, DONE = "next.reward", "next.success", "next.done"
CLOCKS = ("time", "times", "timestamp", "timestamps", "stamp")  # last parts of names that hold seconds
BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_FIELD = re.compile(r"\{([a-z_]+)(:0?\d+d)?\}")


def check_name(name: str, where: str) -> str:
    """Return `name` if it may name a column or camera; it becomes part of a path, so little is allowed."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        raise BadInput(f"{where}: the name {name!r} is not allowed; use letters, digits, '_', '-' and '.'")
    return name


def safe_name(name: str) -> str:
    """A name like `name` that `check_name` allows: other characters become '_'."""
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", name).replace("..", "_").lstrip(".-") or "_"


def is_clock(name: str) -> bool:
    """Whether a column or array of that name holds time stamps."""
    return re.split(r"[./]", name)[-1].lower() in CLOCKS


def inside(root: Path, relative: str, where: str) -> Path:
    """Join a path that a file names to `root`; BadInput if it would leave the folder."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or "\\" in relative or "\0" in relative:
        raise BadInput(f"{where}: the path '{relative}' leaves the dataset's folder; it must stay inside")
    return root / path


def fill(root: Path, template: Any, where: str, **values: int | str) -> Path:
    """Fill the path template of an info.json; BadInput for unknown fields or a path outside `root`."""
    if not isinstance(template, str):
        raise BadInput(f"{where} is {template!r}; it must be a path template such as '{DATA_PATH}'")
    for name, _ in _FIELD.findall(template):
        if name not in values:
            raise BadInput(
                f"{where}: the path template has the unknown field '{name}'.{nearest(name, values)}"
            )
    if re.search(r"[{}]", _FIELD.sub("", template)):
        raise BadInput(
            f"{where}: '{template}' is not a path template; allowed fields look like {{file_index:03d}}"
        )
    try:
        relative = template.format(**values)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{where}: '{template}' cannot be filled with {values} ({error})") from error
    return inside(root, relative, where)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; BadInput names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; the dataset is incomplete, fetch or import it again") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not readable JSON ({error}); fetch or import the dataset again") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path} holds a {type(value).__name__}; it must hold a JSON object")
    return value


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write a JSON object and flush it to the disk; numpy numbers and arrays become plain ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_json(value, indent=2) + "\n", encoding="utf-8")
    sync(path)


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON text of `value`; BadInput where it holds something that JSON cannot."""
    try:
        return json.dumps(value, indent=indent, default=_plain, ensure_ascii=False)
    except TypeError as error:
        raise BadInput(
            f"metadata cannot be written as JSON: {error}; use numbers, text, lists and dicts"
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON type")


def sync(path: Path) -> None:
    """Flush a file or folder to the disk, so that it outlives a crash of the machine."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    """Flush every file and folder under `root`."""
    for folder, _, files in os.walk(root):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))


def check_version(info: Mapping[str, Any], where: Path) -> None:
    """Raise BadInput unless the info.json says codebase_version v3.x."""
    version = info.get("codebase_version")
    match = re.fullmatch(r"v?(\d+)\.(\d+).*", str(version))
    if not match:
        raise BadInput(f"{where}: codebase_version is {version!r}; it must be '{CODEBASE_VERSION}'")
    major = int(match[1])
    if major < 3:
        raise BadInput(f"{where}: codebase_version is {version}; only v3.x opens, run robot-rl import first")
    if major > 3:
        raise BadInput(
            f"{where}: codebase_version {version} is newer than v3, which this version reads; "
            "upgrade robot-rl"
        )


def check_own_version(own: Mapping[str, Any], where: Path) -> None:
    """Raise BadInput if our own metadata file was written by a newer version."""
    version = own.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise BadInput(
            f"{where}: format_version is {version!r}, but this version reads up to {FORMAT_VERSION}; "
            "upgrade robot-rl"
        )


def vector_feature(names: Sequence[str]) -> dict[str, Any]:
    """The info.json entry of a float vector."""
    return {"dtype": "float32", "shape": [len(names)], "names": list(names)}


def scalar_feature(dtype: str) -> dict[str, Any]:
    """The info.json entry of one number a step."""
    return {"dtype": dtype, "shape": [1], "names": None}


def video_feature(size: Sequence[int], fps: float, codec: str) -> dict[str, Any]:
    """The info.json entry of a camera of `size` (height, width in pixels)."""
    height, width = (int(v) for v in size)
    return {
        "dtype": "video",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height,
            "video.width": width,
            "video.codec": codec,
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": whole(fps),
            "video.channels": 3,
            "has_audio": False,
        },
    }


def whole(number: float) -> int | float:
    """A whole number as int, as LeRobot expects of fps; others stay float."""
    return int(number) if float(number).is_integer() else float(number)


def shape_of(feature: Mapping[str, Any], where: str) -> tuple[int, ...]:
    """The shape that a feature entry declares; BadInput if it is not a list of positive numbers."""
    shape = feature.get("shape")
    fits = isinstance(shape, list) and all(isinstance(n, int) and 0 < n < 2**31 for n in shape)
    if not fits or math.prod(shape) >= 2**31:
        raise BadInput(f"{where}: shape is {shape!r}; it must be a list of positive numbers")
    return tuple(shape)


def names_of(feature: Mapping[str, Any], size: int, prefix: str) -> list[str]:
    """The names of a vector's parts in whatever form the source wrote them; numbered where it has none."""
    names = feature.get("names")
    if isinstance(names, dict):
        values = list(names.values())
        if all(isinstance(v, int) for v in values):  # {"x": 0, "y": 1}
            names = sorted(names, key=names.get)
        else:  # {"axes": [...]}, {"motors": [...]}
            names = [part for value in values if isinstance(value, list) for part in value]
    while isinstance(names, list) and len(names) == 1 and isinstance(names[0], list):
        names = names[0]
    if isinstance(names, list) and len(names) == size and len(set(map(str, names))) == size:
        return [str(name) for name in names]
    return [f"{prefix}_{i}" for i in range(size)]


def image_size(feature: Mapping[str, Any], where: str) -> tuple[int, int]:
    """Height and width of an image or video feature, whichever axis comes first."""
    shape = shape_of(feature, where)
    if len(shape) != 3:
        raise BadInput(
            f"{where}: shape is {list(shape)}; an image has three axes, height, width and channels"
        )
    names = feature.get("names")
    if isinstance(names, list) and "height" in names and "width" in names and len(names) == 3:
        return shape[names.index("height")], shape[names.index("width")]
    return (shape[1], shape[2]) if shape[0] == 3 and shape[2] != 3 else (shape[0], shape[1])


def camera_name(key: str) -> str:
    """The camera of a picture feature: "observation.images.front" -> "front"."""
    return key.removeprefix(IMAGES) if key.startswith(IMAGES) else key


def building_folder(target: Path) -> Path:
    """A name beside `target` to build it under before the rename; removes what killed runs left."""
    pattern = re.compile(re.escape(f".{target.name}.building-") + "[0-9a-f]{8}")
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in target.parent.iterdir():
        if pattern.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
    return target.with_name(f".{target.name}.building-{uuid.uuid4().hex[:8]}")


def check_target(path: Path) -> None:
    """Raise BadInput unless `path` is free for a new dataset: absent or an empty folder."""
    if path.exists() or path.is_symlink():
        if (path / INFO).is_file():
            raise BadInput(
                f"{path} already holds a finished dataset; choose another folder or remove it first"
            )
        if not path.is_dir() or any(path.iterdir()):
            raise BadInput(f"{path} holds something else; a dataset needs a new or an empty folder")
