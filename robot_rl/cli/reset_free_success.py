"""Success of a practising robot from pictures, by what `robot-rl success` saved, one classifier a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.errors import BadInput

QUALITY = ".quality.json"  # suffix, beside the kept world
_CELLS = ("true_positive", "false_positive", "false_negative", "true_negative")


class PixelSuccess:
    """Judges each picture by the present task's classifier; where a simulator knows better, it is counted."""

    def __init__(self, classifiers: Mapping[str, Any]) -> None:
        """Take each task's `SuccessClassifier`, with its encoder."""
        self.thresholds = {task: float(one.threshold) for task, one in classifiers.items()}
        self._detectors = {task: one.detector() for task, one in classifiers.items()}
        self.quality = {task: dict.fromkeys(_CELLS, 0) for task in classifiers}

    def begin(self, task: str) -> None:
        """Forget the pictures before a try."""
        self._detectors[task].reset()

    def __call__(self, picture: np.ndarray, task: str, truth: bool | None = None) -> float:
        """The probability for a picture (H, W, 3) uint8; with `truth`, how it was judged is counted."""
        detector = self._detectors[task]
        detector(picture)
        if truth is not None:
            judged = detector.probability >= self.thresholds[task]
            cell = ("true" if judged == truth else "false") + ("_positive" if judged else "_negative")
            self.quality[task][cell] += 1
        return float(detector.probability)


def load_pixel_success(folders: tuple[Path, ...], tasks: tuple[str, str]) -> PixelSuccess | None:
    """The classifiers of both tasks, None where no folder is given; raises BadInput for one alone."""
    if not folders:
        return None
    if len(folders) != 2:
        raise BadInput(
            f"--practice.success: needs a folder for {tasks[0]} and one for {tasks[1]}, not {len(folders)}"
        )
    from robot_rl.cli.success import load_success

    return PixelSuccess({task: load_success(one) for task, one in zip(tasks, folders, strict=True)})
