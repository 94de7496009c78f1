"""Pictures of a practising robot's first and latest tries, one strip a try, kept small."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.deploy.practice import Practice
from robot_rl.deploy.supervisor import Order
from robot_rl.policies.checkpoint import write_atomically

FOLDER = "film"
FIRST, LAST = 4, 4  # tries that are kept from the beginning and from the end
_FRAMES = 8  # pictures of a strip


class Film:
    """Collects pictures of the try that runs, and keeps those of the first and the latest tries."""

    def __init__(self, folder: Path, every: int) -> None:
        """Take one picture in `every` control steps; strips of earlier processes stay."""
        self._folder, self._every = folder / FOLDER, every
        self._frames: list[np.ndarray] = []
        self._step = 0

    def wants(self) -> bool:
        """Whether the step that comes is to be pictured."""
        self._step += 1
        return (self._step - 1) % self._every == 0

    def add(self, picture: np.ndarray) -> None:
        """Add a picture (H, W, 3) uint8."""
        self._frames.append(picture.copy())

    def end(self, episode: int, task: str, why: str, last: np.ndarray | None = None) -> None:
        """Write the strip of a try that ended, and let go of those between the first and the latest."""
        frames, self._frames, self._step = self._frames, [], 0
        if last is not None:
            frames.append(last)
        if not frames:
            return
        chosen = np.linspace(0, len(frames) - 1, min(_FRAMES, len(frames))).round().astype(int)
        from robot_rl.report.drawing import encode_image

        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{episode:06d}.{task}.{why}.png"
        write_atomically(path, encode_image(np.concatenate([frames[k] for k in chosen], 1), "png"))
        for old in strips(self._folder.parent)[FIRST:-LAST]:
            old.unlink()


def tick(practice: Practice, film: Film | None) -> Order:
    """One control step of a practising robot whose world can be pictured."""
    if film is not None and practice.order.mode == "act" and film.wants():
        film.add(practice.world.pair.render())
    order = practice.tick()
    if film is not None and order.ended:
        film.end(practice.episode, order.ended_task, order.ended, practice.world.pair.render())
    return order


def strips(run: Path) -> list[Path]:
    """The strips of a run, in order of their tries."""
    return sorted((run / FOLDER).glob("*.png"))
