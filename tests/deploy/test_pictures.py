"""Image messages become RGB arrays, whatever their order of channels and length of rows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from robot_rl.deploy.pictures import picture_of
from robot_rl.errors import BadInput


def message(encoding: str, rows: list[list[int]], width: int, step: int | None = None) -> SimpleNamespace:
    data = bytes(sum(rows, []))
    return SimpleNamespace(
        encoding=encoding, height=len(rows), width=width, step=step or len(rows[0]), data=data
    )


@pytest.mark.parametrize(
    ("encoding", "row"),
    [
        ("rgb8", [1, 2, 3, 4, 5, 6]),
        ("bgr8", [3, 2, 1, 6, 5, 4]),
        ("rgba8", [1, 2, 3, 9, 4, 5, 6, 9]),
        ("bgra8", [3, 2, 1, 9, 6, 5, 4, 9]),
    ],
)
def test_colours_and_padded_rows(encoding, row):
    found = picture_of(message(encoding, [row + [77], row + [77]], width=2))
    assert found.tolist() == [[[1, 2, 3], [4, 5, 6]]] * 2
    assert found.dtype == np.uint8


def test_grey_is_all_three():
    assert picture_of(message("mono8", [[5, 6]], width=2)).tolist() == [[[5] * 3, [6] * 3]]


def test_other_encodings_and_cut_pictures_are_refused():
    with pytest.raises(BadInput, match="encoding '16UC1' cannot be read"):
        picture_of(message("16UC1", [[1, 2]], width=1))
    with pytest.raises(BadInput, match="5 bytes are no picture of 1x2"):
        picture_of(message("rgb8", [[1, 2, 3, 4, 5]], width=2, step=6))
