"""Keeps the table of rooms in order: who may import whom, and who may import which heavy package.

Every import counts, lazy ones inside functions too; `if TYPE_CHECKING:` ones as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "robot_rl"

# room -> rooms it may import; each may import itself, `specs` and `errors` besides.
ROOMS: dict[str, set[str]] = {
    "specs": set(),
    "data": set(),
    "vision": {"data"},
    "preferences": {"data", "vision"},
    "rewards": {"data", "vision", "preferences"},
    "policies": {"data", "vision"},
    "learners": {"data", "policies"},
    "envs": {"data", "policies"},
    "deploy": {"data", "policies"},
    "report": {"data"},
}
ROOMS["cli"] = set(ROOMS)
# The learner process alone may also learn and relabel.
FILE_EXTRAS = {"deploy/learner_process.py": {"learners", "rewards"}}
# rewards sees what a preference is, not how it was got.
ONLY_MODULE = {("rewards", "preferences"): "robot_rl.preferences.types"}

# package -> rooms (or single files) that may import it, lazily or not
THIRD_PARTY: dict[str, set[str]] = {
    "torch": {"vision", "rewards", "policies", "learners", "cli", "deploy/learner_process.py"},
    "safetensors": {"vision", "rewards", "policies", "learners", "deploy/learner_process.py"},
    "open_clip": {"vision"},
    "torchvision": {"vision"},
    "mujoco": {"envs"},
    "metaworld": {"envs"},
    "robosuite": {"envs"},
    "gymnasium": {"envs"},
    "d3rlpy": {"learners/d3rlpy_adapter.py"},
    "rclpy": set(),
    "launch": {"deploy/ros_launch.py"},
    "launch_ros": {"deploy/ros_launch.py"},
    "ament_index_python": {"deploy/ros_launch.py"},
    "unitree_sdk2py": {"deploy/go2_bridge.py"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "rerun": {"report"},
    "pyarrow": {"data"},
    "av": {"data", "report/video.py"},
    "h5py": {"data"},
    "mcap": {"data"},
    "rosbags": {"data"},
    "httpx2": {"preferences"},
    "starlette": {"preferences"},
    "uvicorn": {"preferences"},
    "openskill": {"preferences"},
    "scipy": {"preferences"},
    "ray": {"cli"},
    "onnx": {"policies/onnx_export.py"},
    "onnxruntime": {"policies/onnx_policy.py"},
    "wandb": {"cli/sinks.py"},
    "tyro": {"cli"},
    "rich": {"cli"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports_of(source: str, package: str) -> Iterator[tuple[str, int]]:
    """Yield (absolute module, line) for each import; `package` resolves relative ones."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            # `from robot_rl import data` and `from robot_rl.preferences import types` name modules too.
            deeper = base.split(".")[0] == "robot_rl" and base.count(".") < 2
            yield from ((f"{base}.{a.name}" if deeper else base, node.lineno) for a in node.names)
        elif isinstance(node, ast.Call) and _imports_by_name(node):
            yield node.args[0].value, node.lineno


def _imports_by_name(node: ast.Call) -> bool:
    """Whether a call is import_module("x") or errors.need("x", ...)."""
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in ("import_module", "need") and bool(node.args) and isinstance(
        getattr(node.args[0], "value", None), str
    )  # fmt: skip


def faults_in(relative: str, source: str) -> list[str]:
    """List what a file of robot_rl imports against the tables; `relative` is its path below robot_rl."""
    room = relative.split("/")[0] if "/" in relative else ""
    package = ".".join(["robot_rl", *relative.split("/")[:-1]])
    faults = []
    for module, line in imports_of(source, package):
        top, _, rest = module.partition(".")
        allowed = (
            _room_allowed(relative, room, rest)
            if top == "robot_rl"
            else _package_allowed(relative, room, top)
        )
        if not allowed:
            faults.append(f"robot_rl/{relative}:{line}: {room or 'the top'} may not import {module}")
    return faults


def _room_allowed(relative: str, room: str, rest: str) -> bool:
    """Whether a file may import robot_rl.<rest>."""
    target = rest.split(".")[0]
    if target not in ROOMS:  # errors, __version__
        return True
    if room == "" or (room == "specs" and target != "specs"):
        return False
    only = ONLY_MODULE.get((room, target))
    if only and not f"robot_rl.{rest}.".startswith(only + "."):
        return False
    return target in ROOMS[room] | FILE_EXTRAS.get(relative, set()) | {room, "specs"}


def _package_allowed(relative: str, room: str, top: str) -> bool:
    """Whether a file may import a third-party package."""
    return top not in THIRD_PARTY or bool({room, relative} & THIRD_PARTY[top])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_table_of_rooms(path):
    assert not faults_in(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"))


def test_every_room_is_in_the_table():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} <= set(ROOMS)


@pytest.mark.parametrize(
    ("relative", "source", "count"),
    [
        ("data/a.py", "import robot_rl.policies.base", 1),
        ("data/a.py", "def f():\n    from robot_rl.vision import clip", 1),
        ("data/a.py", "from robot_rl import rewards, specs, errors", 1),
        ("data/a.py", "from ..policies import base", 1),
        ("data/a.py", "from . import episode\nfrom .episode import Episode", 0),
        ("data/importers/a.py", "from ..store import Dataset\nfrom ...errors import BadInput", 0),
        ("data/a.py", "import torch", 1),
        ("data/a.py", "need('mujoco', 'sim')\nimportlib.import_module('torch')", 2),
        ("learners/iql.py", "import d3rlpy", 1),
        ("learners/d3rlpy_adapter.py", "import d3rlpy.dataset\nimport torch", 0),
        ("rewards/model.py", "from robot_rl.preferences.types import Preference", 0),
        ("rewards/model.py", "from robot_rl.preferences import types", 0),
        ("rewards/model.py", "from robot_rl.preferences.store import LabelStore", 1),
        ("deploy/step.py", "import torch\nfrom robot_rl.learners import iql", 2),
        ("deploy/learner_process.py", "import torch\nfrom robot_rl.learners import iql", 0),
        ("preferences/store.py", "import torch", 1),
        ("specs/tasks.py", "from robot_rl.data import store", 1),
        ("cli/train.py", "from robot_rl.learners import iql\nimport tyro", 0),
        ("errors.py", "import robot_rl.data", 1),
    ],
)
def test_the_check_itself(relative, source, count):
    assert len(faults_in(relative, source)) == count
