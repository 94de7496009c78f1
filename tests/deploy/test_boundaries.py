"""Episodes begin and end as the guard says; success and reward go to the episode that they belong to."""

from __future__ import annotations

import json

import pytest

from robot_rl.deploy.boundaries import Boundaries
from robot_rl.errors import BadInput


class Heard:
    """Stands in for a recording: keeps what it was told."""

    def __init__(self) -> None:
        from tests.deploy.contracts import velocity_contract

        self.running, self.told, self.contract = False, [], velocity_contract()

    def start(self, metadata) -> None:
        self.running = True
        self.told.append(("start", metadata))

    def stop(self, why, metadata) -> None:
        self.running = False
        self.told.append(("stop", why, metadata["pauses"]))

    def executed(self, actions, stamp, intervention) -> None:
        self.told.append(("row", actions["a"], stamp, intervention))

    def judged(self, reward=None, success=None) -> None:
        self.told.append(("reward", reward) if success is None else ("success", success))


def sim(seed: int, steps: int, success: bool = False, total: float = 0.0) -> str:
    return json.dumps({"seed": seed, "steps": steps, "success": success, "return": total})


@pytest.fixture
def heard():
    return Heard()


def names(heard: Heard) -> list[str]:
    return [told[0] for told in heard.told if told[0] in ("start", "stop")]


def test_running_begins_and_disabling_ends_a_little_later(heard):
    made = Boundaries(heard)
    made.weights("abc")
    made.guard("inactive: not enabled", 0.0)
    made.guard("running", 1.0)
    made.guard("intervention", 2.0)
    made.guard("running", 3.0)
    made.guard("inactive: disabled", 4.0)
    made.tick(4.1)
    assert heard.told == [("start", {"weights": "abc"})]
    made.tick(4.2)
    assert heard.told[1:] == [("stop", "disabled", 0)]


def test_a_short_stop_is_a_pause_and_a_long_one_an_end(heard):
    made = Boundaries(heard)
    made.guard("running", 1.0)
    made.guard("stopped: silent", 2.0)
    made.tick(2.3)
    made.guard("running", 2.4)
    made.tick(9.0)
    assert names(heard) == ["start"]
    made.guard("stopped: silent", 10.0)
    made.guard("stopped: stopped for more than 0.5 s", 10.6)
    made.tick(10.66)
    assert heard.told[-1] == ("stop", "silent", 1)


def test_an_estop_after_a_stop_ends_at_once(heard):
    made = Boundaries(heard)
    made.guard("running", 1.0)
    made.guard("stopped: silent", 2.0)
    made.guard("estop: e-stop: pressed", 2.1)
    made.tick(2.3)
    assert heard.told[-1][:2] == ("stop", "e-stop: pressed")


def test_enabled_again_within_the_delay_another_episode_begins(heard):
    made = Boundaries(heard)
    made.guard("running", 1.0)
    made.guard("inactive: disabled", 2.0)
    made.guard("running", 2.05)
    made.tick(9.0)
    assert names(heard) == ["start", "start"]  # `Recording.start` ends the one before


def test_a_command_begins_its_episode_before_the_guard_says_so(heard):
    made = Boundaries(heard)
    made.executed({"a": 1.0}, 0.9, "inactive", 0.9)
    made.executed({"a": 2.0}, 1.0, "running", 1.0)
    made.guard("running", 1.01)
    made.executed({"a": 3.0}, 1.1, "intervention", 1.1)
    made.guard("inactive: disabled", 2.0)
    made.executed({"a": 0.0}, 2.01, "inactive", 2.01)
    made.executed({"a": 4.0}, 2.1, "running", 2.1)
    rows = [told[1:] for told in heard.told if told[0] == "row"]
    assert rows == [(2.0, 1.0, False), (3.0, 1.1, True), (4.0, 2.1, False)]
    assert [told[0] for told in heard.told] == ["start", "row", "row", "start", "row"]


def test_the_simulation_judges_its_own_episode_alone(heard):
    made = Boundaries(heard, reward="sim")
    made.simulated(sim(7, 1, total=1.0))
    made.guard("running", 1.0)
    assert heard.told[-1] == ("start", {"seed": 7})
    made.simulated(sim(7, 2, success=True, total=3.5))
    assert heard.told[-2:] == [("success", True), ("reward", 2.5)]
    made.guard("inactive: disabled", 2.0)
    before = list(heard.told)
    made.simulated(sim(8, 0))
    made.simulated(sim(8, 0))
    assert heard.told == before
    made.guard("running", 2.05)
    made.simulated(sim(8, 0))  # waits for the first command
    made.simulated(sim(8, 1, total=0.25))
    assert heard.told[-3:] == [("start", {"seed": 8}), ("success", False), ("reward", 0.25)]


def test_a_reset_under_a_running_policy_begins_another_episode(heard):
    made = Boundaries(heard)
    made.simulated(sim(7, 5))
    made.guard("running", 1.0)
    made.simulated(sim(8, 1))
    assert names(heard) == ["start", "start"]
    assert heard.told[-2] == ("start", {"seed": 8})


def test_by_hand_alone(heard):
    made = Boundaries(heard, auto=False)
    made.guard("running", 1.0)
    assert not heard.told
    made.start()
    made.stop("asked", 2.0)
    made.tick(2.2)
    assert names(heard) == ["start", "stop"]


def test_an_unknown_source_of_rewards_is_refused(heard):
    with pytest.raises(BadInput, match="must be sim, topic or empty"):
        Boundaries(heard, reward="guess")
