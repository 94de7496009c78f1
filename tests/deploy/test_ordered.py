"""Messages of several topics come out in the order of their publication."""

from __future__ import annotations

import math

from robot_rl.deploy.ordered import Ordered


def told(*messages: tuple[float, float]) -> tuple[Ordered, list]:
    ordered, done = Ordered(0.1), []
    for number, (published, now) in enumerate(messages):
        ordered.put(published, now, lambda time, number=number: done.append((number, time)))
    return ordered, done


def test_the_order_of_publication_counts_and_equal_times_keep_that_of_arrival():
    ordered, done = told((1.02, 1.05), (1.01, 1.06), (1.01, 1.07))
    assert ordered.release(1.115) == 1.115 - 0.1
    assert done == [(1, 1.01), (2, 1.01)]
    ordered.release(1.13)
    assert [number for number, _ in done] == [1, 2, 0]


def test_a_clock_that_is_far_off_is_not_believed():
    ordered, done = told((500.0, 1.05), (-9.0, 1.06))
    ordered.release(math.inf)
    assert done == [(0, 1.05), (1, 1.06)]
