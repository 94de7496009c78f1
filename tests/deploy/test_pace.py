"""A policy acts when all sources of its own rate are fresh; others neither lead nor hold it up."""

from __future__ import annotations

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
    assert not pace.heard("x", 1.04)
    assert pace.heard("x", 1.06)


def test_late_sources_do_not_stop_it():
    pace = Pace(contract(x=10))
    pace.acted(1.0)
    assert not pace.due(1.14)
    assert pace.due(1.16)
    assert pace.timer == 0.025


def test_without_a_source_of_its_rate_the_clock_leads():
    pace = Pace(contract(fast=500, slow=2))
    assert not pace.heard("fast", 1.0)
    pace.acted(1.0)
    assert not pace.due(1.05)
    assert pace.due(1.099)
    assert pace.timer == 0.1
