"""The way home that a robot contract describes: what is wished on it, and whether its end is reached."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from robot_rl.specs.robot_contract import RobotContract

_PERIODS = 10  # in which a distance would be covered at the speed that it begins with


class HomeWay:
    """Leads from place to place; positions are state parts, in their units."""

    def __init__(self, contract: RobotContract) -> None:
        """The contract has a way home."""
        self._home, self._walls, self._channels = contract.home, contract.workspace, contract.channels()
        self._gain, self._place = 1 / (_PERIODS * contract.period), 0

    def begin(self) -> None:
        """Start from its beginning."""
        self._place = 0

    def wish(self, measured: Mapping[str, float]) -> dict[str, float]:
        """Actions, in the policy's units, that lead to the next place and beyond."""
        way = self._home.way
        while self._place + 1 < len(way) and self._near(way[self._place], measured):
            self._place += 1
        found = dict(self._home.actions)
        for part, place in way[self._place].items():
            action = self._walls[part].driven_by
            channel = self._channels[action]
            speed = min(max(self._gain * (place - measured[part]), channel.low), channel.high)
            found[action] = (speed - channel.offset) / channel.scale
        return found

    def there(self, measured: Mapping[str, float]) -> bool:
        """Whether its last place is reached."""
        return self._near(self._home.way[-1], measured)

    def _near(self, places: Mapping[str, float], measured: Mapping[str, float]) -> bool:
        return all(abs(place - measured[part]) <= self._home.within for part, place in places.items())


def way_home(contract: RobotContract, state_names: Collection[str]) -> HomeWay | None:
    """The contract's way home, None without one, or where these parts of the state do not show it."""
    known = contract.home is not None and contract.home.parts <= set(state_names)
    return HomeWay(contract) if known else None
