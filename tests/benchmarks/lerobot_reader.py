"""The real LeRobot opens our datasets, and we open its: in an environment of its own, outside the tests.

LeRobot does not install beside our versions of torch and av, so this makes runs/lerobot-venv with
`pip install lerobot==0.4.4` (about 7 GB with what torch brings; LEROBOT_PYTHON names the Python of an
environment that has it already). Needs the package index the first time, and two minutes after that.

    make bench NAME=lerobot_reader
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from robot_rl.data import layout  # noqa: E402
from robot_rl.data.importers import import_dataset  # noqa: E402
from robot_rl.data.relabel import relabel  # noqa: E402
from robot_rl.data.store import Dataset  # noqa: E402
from tests.benchmarks._lerobot_child import STEPS  # noqa: E402
from tests.benchmarks._rows import Row, report  # noqa: E402
from tests.conftest import write_tiny  # noqa: E402

VERSION = "0.4.4"
VENV = ROOT / "runs/lerobot-venv"


def python() -> str:
    """The Python of an environment with LeRobot, made where there is none."""
    given = os.environ.get("LEROBOT_PYTHON")
    if given:
        return given
    path = VENV / "bin/python"
    done = VENV / ".installed"
    if not done.exists():
        print(f"making {VENV} with lerobot {VERSION}; this takes some minutes", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        subprocess.run([str(path), "-m", "pip", "install", "--quiet", f"lerobot=={VERSION}"], check=True)
        done.touch()
    return str(path)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio of pictures in 0..255, in dB; 99 where they are the same."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def ours_in_lerobot(dataset: Dataset, found: Path) -> list[Row]:
    """Compare what LeRobot's reader gave with what ours gives."""
    theirs = np.load(found, allow_pickle=False)
    frames = len(theirs["index"])
    names = [k for k in theirs.files if k in dataset.info.features and k not in ("timestamp",)]
    numbers = [n for n in names if dataset.info.features[n]["dtype"] != "video"]
    apart = [np.abs(theirs[n].astype(float) - dataset.column(n).astype(float)).max() for n in numbers]
    key = layout.IMAGES + "front"
    pictures = np.moveaxis(theirs[key], 1, -1) * 255
    shown = dataset.frames("front", np.arange(frames))
    same_task = bool((theirs["task"] == dataset.info.tasks[0]).all())
    return [
        Row.of("our frames that LeRobot reads", frames, "frames", (">=", dataset.info.total_frames)),
        Row.of("largest difference of a number", float(max(apart)), "", ("<=", 0), ", ".join(numbers)),
        Row.of("its task texts are ours", float(same_task), "", (">=", 1)),
        Row.of(
            "its pictures beside ours",
            psnr(pictures, shown),
            "dB",
            (">=", 40),
        ),
    ]


def theirs_here(root: Path, kind: str, room: Path) -> list[Row]:
    """Open and import a dataset that LeRobot wrote."""
    from tests.benchmarks._lerobot_child import picture

    opened = Dataset.open(root)
    import_dataset(root, room / f"from-{kind}")
    imported = Dataset.open(room / f"from-{kind}")
    expected = np.array([[e, s, s / 2] for e in range(2) for s in range(STEPS)], np.float32)
    wrong = max(float(np.abs(d.column(layout.STATE) - expected).max()) for d in (opened, imported))
    shown = np.stack([picture(s, 1) for _ in range(2) for s in range(STEPS)])
    loss = min(psnr(d.frames("wrist", np.arange(2 * STEPS)), shown) for d in (opened, imported))
    tasks = [imported.episode(i).task for i in range(2)]
    note = f"codebase_version {opened.raw['codebase_version']}, {'; '.join(tasks)}"
    return [
        Row.of(f"LeRobot's dataset with {kind}: largest difference of a state", wrong, "", ("<=", 0), note),
        Row.of(f"LeRobot's dataset with {kind}: its pictures here", loss, "dB", (">=", 25)),
    ]


def main() -> None:
    """Let both sides read each other's datasets."""
    with tempfile.TemporaryDirectory(prefix="lerobot-") as folder:
        room = Path(folder)
        tiny = write_tiny(room / "tiny")
        ours = relabel(tiny, room / "ours", {"reward.mean": np.linspace(0, 1, 48, dtype=np.float32)})
        child = Path(__file__).with_name("_lerobot_child.py")
        env = {**os.environ, "HF_HOME": str(room / "hf")}
        env.pop("PYTHONPATH", None)
        args = [python(), str(child), str(ours.root), str(room / "found.npz"), str(room)]
        subprocess.run(args, check=True, env=env, cwd=room)
        rows = ours_in_lerobot(ours, room / "found.npz")
        rows += theirs_here(room / "videos", "videos", room)
        rows += theirs_here(room / "images", "images in Parquet", room)
    report("lerobot_reader", rows)


if __name__ == "__main__":
    main()
