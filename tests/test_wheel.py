"""The wheel carries what a user edits, and an installed copy finds it away from the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("sim", "datasets", "launch", "ros_ws/src")


def run(*command, cwd):
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("robot_rl-*.whl"))


def test_the_wheel_holds_every_outside_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = [
        path.relative_to(ROOT).as_posix()
        for folder in OUTSIDE
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != ".gitkeep"
    ]
    assert {f"robot_rl/_outside/{name}" for name in tracked} <= names
    inside = (ROOT / "robot_rl").rglob("*")
    data = [
        path for path in inside if path.is_file() and path.suffix in (".html", ".css", ".js", ".svg", ".txt")
    ]
    assert len(data) >= 6 and {path.relative_to(ROOT).as_posix() for path in data} <= names
    assert not [name for name in names if name.startswith(("tests/", "runs/"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_an_installed_copy_finds_its_folders(wheel, tmp_path):
    site = tmp_path / "site"
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel, cwd=tmp_path)
    held = [name for name in OUTSIDE if any(path.is_file() for path in (ROOT / name).rglob("*"))]
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import robot_rl; from robot_rl.specs.paths import outside\n"
        f"print(robot_rl.__file__); [print(outside(*name.split('/'))) for name in {held!r}]"
    )
    package, *folders = run("-c", code, cwd=tmp_path).splitlines()
    assert Path(package).is_relative_to(site)
    assert folders == [str(site / "robot_rl" / "_outside" / name) for name in held] and held
