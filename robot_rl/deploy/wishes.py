"""What the policy wishes: whether it can be obeyed, how new it is, and by which weights it was wished."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_rl.deploy.sources import is_finite
from robot_rl.specs.robot_contract import RobotContract


class Wishes:
    """The policy's latest wish; times in s, `now` monotonic and `wall` of the clock that stamps."""

    def __init__(self, contract: RobotContract) -> None:
        self._channels = contract.channels()
        self._timeout = contract.wish_timeout
        self.policy: str | None = None  # names the weights
        self._unheeded = ""  # why the latest wish did not count
        self.expect(float("-inf"))

    def expect(self, now: float) -> None:
        """Forget what was wished; the first new wish has one time-out to come."""
        self.values: np.ndarray | None = None  # (A,) in the channels' units
        self.fresh = False  # not yet sent
        self._at, self._stamp, self._unheeded = now, float("-inf"), ""

    def heard(self, wish: Mapping[str, float], stamp: float, wall: float, now: float, policy: str) -> str:
        """Note a wish, action -> value in the policy's units; returns what is wrong with its values, or "".

        One that is not newer than the last, too old or from the future is not heeded.
        """
        wrong, values = self._scaled(wish)
        if wrong:
            return wrong
        if self._in_time(stamp, wall):
            self.values, self.fresh, self.policy = values, True, policy
            self._stamp, self._unheeded = stamp, ""
            self._at = now - max(wall - stamp, 0.0)
        return ""

    def silent(self, now: float) -> str:
        """Why there is no wish to follow, or ""."""
        age = now - self._at
        if age <= self._timeout:
            return ""
        told = f"the policy has been silent for {age:.3g} s (limit {self._timeout:.3g} s)"
        return f"{told}: {self._unheeded or 'is policy_node running and active?'}"

    def _in_time(self, stamp: float, wall: float) -> bool:
        age = wall - stamp
        if not abs(age) <= self._timeout:
            when = f"{age:.3g} s old" if age > 0 else f"stamped {-age:.3g} s ahead of our clock"
            self._unheeded = f"its wishes are {when}; is one clock wrong, or the machine overloaded?"
            return False
        if stamp <= self._stamp:
            if self._stamp - stamp > self._timeout:
                self._unheeded = "the stamps of its wishes went back; reset, then enable"
            return False
        return True

    def _scaled(self, wish: Mapping[str, float]) -> tuple[str, np.ndarray | None]:
        if set(wish) != set(self._channels):
            missing = sorted(set(self._channels) - set(wish))
            extra = sorted(map(str, set(wish) - set(self._channels)))
            return f"other actions than the contract has (missing {missing}, unknown {extra})", None
        values = np.zeros(len(self._channels))
        for index, (name, channel) in enumerate(self._channels.items()):
            value = channel.scale * float(wish[name]) + channel.offset if is_finite(wish[name]) else None
            if not is_finite(value):
                return f"{str(wish[name])[:20]} for '{name}'", None
            values[index] = value
        return "", values
