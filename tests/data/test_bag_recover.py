"""A cut bag becomes a whole one with all messages that can be read."""

from __future__ import annotations

import pytest

from robot_rl.data.bag_recover import finish_bag, is_cut
from tests.data.test_bag_write import point, read, written


@pytest.mark.parametrize("garbage", [b"", b"\x06\xff", bytes(50)])
def test_a_cut_bag_reads_again(tmp_path, garbage):
    bag = written(tmp_path / "bag", 3, close=False)
    with bag.path.open("ab") as file:
        file.write(garbage)
    assert is_cut(bag.path)
    assert finish_bag(bag.path) == 3
    assert not is_cut(bag.path)
    assert [x for x, _, _ in read(bag.path)] == [0.0, 1.0, 2.0]


def test_a_chunk_that_is_cut_costs_its_messages_alone(tmp_path):
    bag = written(tmp_path / "bag", 3, close=False)
    size = bag.path.stat().st_size
    bag.write("/point", point(9), 2_000_000_000)
    bag.flush()
    with bag.path.open("r+b") as file:
        file.truncate(size + 20)
    assert finish_bag(bag.path) == 3


def test_a_whole_bag_is_not_cut(tmp_path):
    assert not is_cut(written(tmp_path / "bag", 3).path)
