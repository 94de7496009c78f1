"""A policy acts when all sources of its own rate are fresh; others neither lead nor hold it up."""

from __future__ import annotations

import pytest

from robot_rl.deploy.pace import Pace
from robot_rl.specs.robot_contract import RobotContract
from tests.deploy.contracts import velocity_contract


def contract(**rates: float) -> RobotContract:
    base = velocity_contract().model_dump()
    (source,) = base["sources"].values()
    base["sources"] = {
        name: {**source, "rate": rate, "stale": 2 / rate, "parts": {name: source["parts"]["x"]}}
        for name, rate in rates.items()
    }
    return RobotContract.model_validate(base)


def test_it_acts_once_all_of_its_rate_are_fresh():
    pace = Pace(contract(x=10, y=10.5, fast=500, slow=2))
    assert not pace.heard("x", 1.0)
    assert not pace.heard("fast", 1.0)
    assert pace.heard("y", 1.001)
    pace.acted(1.001)
    assert not pace.heard("y", 1.1)
    assert pace.heard("x", 1.101)


def test_two_readings_at_once_are_one_step():
    pace = Pace(contract(x=10))
    assert pace.heard("x", 1.0)
    pace.acted(1.0)
    assert not pace.heard("x", 1.02)
    assert pace.heard("x", 1.03)


def test_late_sources_do_not_make_it_late():
    pace = Pace(contract(x=10))
    pace.acted(1.0)
    assert not pace.due(1.11)
    assert pace.due(1.12)  # a timer may be a little early
    assert pace.timer == 0.125 and pace.led  # a step later than 0.15 counts as missed


@pytest.mark.parametrize("late", [0.001, 0.02, 0.024, 0.026, 0.06, 0.09])
def test_readings_lead_again_after_one_was_late(late):
    pace, steps = Pace(contract(x=10)), []
    readings = [1.0, 1.125 + late, *(1.2 + late + 0.1 * k for k in range(5))]
    for now in sorted({*readings, 1.125}):  # the clock is asked once, when the reading is late
        if now in readings and pace.heard("x", now) or now == 1.125 and pace.due(now):
            steps.append(now)
            pace.acted(now)
    assert steps[1] == 1.125 and steps[-4:] == readings[-4:]
    assert all(b - a <= 0.125 for a, b in zip(steps, steps[1:], strict=False))


def test_without_a_source_of_its_rate_the_clock_leads():
    pace = Pace(contract(fast=500, slow=2))
    assert not pace.heard("fast", 1.0)
    pace.acted(1.0)
    assert not pace.due(1.05)
    assert pace.due(1.099)
    assert pace.timer == 0.1 and not pace.led
