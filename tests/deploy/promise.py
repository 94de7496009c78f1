"""What a guard promises, checked on its outputs alone, and random contracts to check it with."""

from __future__ import annotations

import math
from random import Random

from robot_rl.deploy.guard import MOVING, Mode, Output
from robot_rl.specs.robot_contract import RobotContract

REL, ABS = 1e-6, 1e-9  # of rounding


class Promise:
    """Every command obeys the contract, whatever the guard has heard.

    `broken` collects what does not hold.
    """

    def __init__(self, contract: RobotContract) -> None:
        self.contract, self.channels = contract, contract.channels()
        self._positions = {name for name in self.channels if contract.kind_of(name) == "position"}
        self.broken: list[str] = []
        self.commands = 0
        self._last: dict[str, float] | None = None  # the command in force, of a stream of ours
        self._speed: dict[str, float] = {}
        self._at = -math.inf
        self._may_say_stop = False  # it has been active since the last stop while inactive
        self._anew = True  # enabled since the last command

    def enabled(self) -> None:
        """A person enabled; where motion begins anew, the next command has no predecessor."""
        self._anew = self._may_say_stop = True

    def saw(self, output: Output, now: float) -> None:
        """Check an output published at `now` s."""
        if output.mode in MOVING or output.mode in (Mode.STOPPED, Mode.ESTOP):
            self._may_say_stop = True
        if output.commands is None and not output.damp:
            if output.mode is Mode.INACTIVE:
                self._last = None  # nothing of ours is in force any more
            return
        if output.mode is Mode.INACTIVE:
            self._say(self._may_say_stop, "a command while inactive")
            self._may_say_stop = False
        if output.damp:
            self._say(output.commands is None and self.contract.stop.mode == "damp", "a strange damp")
            self._last, self._at, self._anew = None, now, True
            return
        self.commands += 1
        self._within(output.commands)
        if output.mode in MOVING:
            self._follows(output.commands, now)
        else:
            self._stops(output.commands)
        self._last, self._at, self._anew = output.commands, now, False
        if output.mode is Mode.INACTIVE:
            self._last = None

    def _within(self, commands: dict[str, float]) -> None:
        self._say(tuple(commands) == tuple(self.channels), "other actions than the contract's")
        for name, channel in self.channels.items():
            value = commands[name]
            self._say(
                math.isfinite(value) and channel.low <= value <= channel.high, f"{name} = {value} outside"
            )

    def _follows(self, commands: dict[str, float], now: float) -> None:
        """Rates and spacing against the command before."""
        elapsed, period, begins = now - self._at, self.contract.period, self._anew or self._last is None
        if begins:
            self._last, self._speed = dict.fromkeys(commands, 0.0), {}
        self._say(begins or elapsed >= period / 2 - ABS, f"commands {elapsed} s apart")
        dt = max(min(elapsed, period), 1e-6)  # as the limiter: a start may follow a stop at once
        for name, channel in self.channels.items():
            if begins and name in self._positions:
                continue  # from where it stood, which is not known here
            change = commands[name] - self._last[name]
            size = ABS + REL * max(abs(channel.low), abs(channel.high))
            allowed = channel.rate_limit * dt * (1 + REL) + size
            self._say(abs(change) <= allowed, f"{name}: a change of {change}, more than {allowed}")
            resting = begins or elapsed > 2 * period
            before = 0.0 if resting else self._speed.get(name)
            if channel.acceleration_limit is not None and before is not None:
                turn = abs(change / dt - before)
                allowed = channel.acceleration_limit * dt * (1 + REL) + 2 * size / dt
                self._say(turn <= allowed, f"{name}: its speed changed by {turn}, more than {allowed}")
            self._speed[name] = change / dt

    def _stops(self, commands: dict[str, float]) -> None:
        if self.contract.stop.mode == "zero":
            self._say(not any(commands.values()), "a stop that is not 0")
        elif self._last is not None and not self._anew:
            self._say(commands == self._last, "a hold that moves")
        self._speed = dict.fromkeys(commands, 0.0)

    def _say(self, holds: bool, what: str) -> None:
        if not holds:
            self.broken.append(what)


def random_contract(rng: Random) -> RobotContract:
    """A robot of 1 to 3 axes, some with walls, acceleration limits, faults, ramps, clocks of their own."""
    rate = rng.choice((10.0, 50.0, 80.0, 500.0))
    stop = rng.choice(("hold", "zero", "damp"))
    kinds = {
        "hold": ("position",),
        "zero": ("velocity", "effort"),
        "damp": ("position", "velocity", "effort"),
    }[stop]
    commands: dict[str, dict] = {}
    parts: dict[str, dict] = {}
    walls = {}
    for index in range(rng.randint(1, 3)):
        name, part, kind = f"a{index}", f"x{index}", rng.choice(kinds)
        parts[part] = {"field": f"data[{index}]", "unit": "m"}
        channel = _random_channel(rng, kind, part, rate)
        channel["field"] = f"data[{index}]"
        topic = {"topic": kind, "type": "std_msgs/msg/Float64MultiArray", "kind": kind, "timeout": 3 / rate}
        commands.setdefault(kind, topic | {"parts": {}})["parts"][name] = channel
        if kind == "velocity" and "acceleration_limit" not in channel and rng.random() < 0.7:
            middle = rng.uniform(-1, 1)
            walls[part] = {"low": middle - rng.uniform(0.1, 2), "high": middle + 0.1, "driven_by": name}
    source = {
        "topic": "x", "type": "std_msgs/msg/Float64MultiArray", "rate": rate,
        "stale": rng.uniform(1.5, 5) / rate, "clock": rng.choice(("ours", "theirs")), "parts": parts,
    }  # fmt: skip
    fault = {"x0": (-rng.uniform(3, 9), rng.uniform(3, 9))} if rng.random() < 0.3 else {}
    return RobotContract.model_validate({
        "name": "random", "description": "random", "tested": "never", "robot": "random",
        "control_rate": rate, "ramp": rng.choice((0.0, 0.2, 1.0)), "sources": {"x": source},
        "commands": commands, "workspace": walls, "faults": fault,
        "stop": {"mode": stop, "topic": "damp", "resume_within": rng.choice((0.0, 0.2, 1.0))},
        "intervention": {"timeout": rng.uniform(1, 10) / rate},
    })  # fmt: skip


def _random_channel(rng: Random, kind: str, part: str, rate: float) -> dict:
    size = 10 ** rng.uniform(-2, 3)
    low, high = -size * rng.random(), size * rng.random() + 1e-3
    channel: dict = {"unit": "m" if kind == "position" else "m/s", "low": low, "high": high}
    channel["rate_limit"] = (high - low) * rate * 10 ** rng.uniform(-4, 0.5)
    if rng.random() < 0.5:
        acceleration = channel["rate_limit"] * rate * 10 ** rng.uniform(-3, 0.5)
        channel["acceleration_limit"] = min(acceleration, 1e9)
    if kind == "position":
        channel["measured"] = part
    channel["scale"], channel["offset"] = rng.choice((1.0, -0.5, 30.0)), rng.choice((0.0, 0.1))
    return channel
