"""A contact sheet: a titled strip of camera frames for each task, as PNG for a README."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.errors import BadInput, need
from robot_rl.report.drawing import INK, figure, style

Image = need("PIL.Image", "report")

_DPI, _COLOURS = 108, 256  # one and a half times the drawn size
CELL, TITLE, GAP = 128, 20, 6  # px: a frame's side as drawn, the line above a strip, the space between strips


@dataclass(frozen=True)
class Strip:
    """Frames of one kind, in order, below their title."""

    title: str
    frames: np.ndarray  # (n, H, W, 3) uint8


def task_sheet(strips: Sequence[Strip], columns: int = 3) -> bytes:
    """Strips in rows of `columns`, each with the same number of frames, as PNG bytes."""
    if not strips or len({np.shape(strip.frames)[0] for strip in strips}) > 1:
        raise BadInput("contact sheet: needs at least one strip, all with the same number of frames")
    columns, each = min(columns, len(strips)), len(strips[0].frames)
    width, height = each * CELL, TITLE + CELL
    rows = -(-len(strips) // columns)
    total = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP)
    with style():
        fig = figure(*total, layout=None)
        fig.patch.set(facecolor="white")
        for index, strip in enumerate(strips):
            left, top = index % columns * (width + GAP), index // columns * (height + GAP)
            box = (left / total[0], 1 - (top + height) / total[1], width / total[0], CELL / total[1])
            axes = fig.add_axes(box)
            axes.imshow(np.concatenate(list(strip.frames), 1), aspect="auto", interpolation="lanczos")
            axes.set_axis_off()
            place = ((left + 2) / total[0], 1 - (top + TITLE - 6) / total[1])
            fig.text(*place, strip.title, color=INK, fontsize=11)
        drawn = io.BytesIO()
        fig.savefig(drawn, format="png", dpi=_DPI)
    # A palette takes a third of the bytes, and pictures of plain scenes lose nothing that one would see.
    small = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(_COLOURS).save(small, "png", optimize=True)
    return small.getvalue()
