"""Turns a robot's messages into a policy's state and a guard's decision into messages, by the contract.

Also refuses a checkpoint that does not fit the contract, by the name of the field, before anything moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_rl.deploy.fields import reader, set_constant, writer
from robot_rl.errors import BadInput, nearest
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.policies.conditioning import PREFIX
from robot_rl.specs.robot_contract import Command, RobotContract, Source

_LARGEST = float(np.finfo(np.float32).max)


class SourceReader:
    """Reads a source's messages into state parts."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts = {name: (reader(p.field), p.scale, p.offset) for name, p in source.parts.items()}

    def __call__(self, message: Any) -> dict[str, float]:
        """State part -> value in the contract's unit; raises BadInput for another frame or missing joints."""
        frame = self._source.frame
        if frame is not None:
            header = getattr(message, "header", None)
            if header is None:
                raise BadInput(f"it has no header, but the contract says that its frame is '{frame}'")
            if header.frame_id != frame:
                raise BadInput(f"its frame is '{header.frame_id}', the contract says '{frame}'")
        return {name: scale * read(message) + offset for name, (read, scale, offset) in self._parts.items()}


class SourceWriter:
    """Writes state parts into a source's message, as the robot (or its simulation) does."""

    def __init__(self, source: Source) -> None:
        self._frame = source.frame
        self._parts = {name: (writer(p.field), p.scale, p.offset) for name, p in source.parts.items()}

    def __call__(self, message: Any, values: Mapping[str, float]) -> Any:
        """Fill `message` from state parts, and return it."""
        if self._frame is not None:
            message.header.frame_id = self._frame
        for name, (write, scale, offset) in self._parts.items():
            write(message, (values[name] - offset) / scale)
        return message


class CommandWriter:
    """Writes a guard's commands into one command topic's message."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._parts = {name: writer(channel.field) for name, channel in command.parts.items()}

    def __call__(self, message: Any, commands: Mapping[str, float]) -> Any:
        """Fill `message` from action -> command in its channel's unit, and return it."""
        if hasattr(message, "header"):
            message.header.frame_id = self._command.frame
        for name, value in self._command.constants.items():
            set_constant(message, name, value)
        if self._command.reach_in is not None:
            seconds, rest = divmod(self._command.reach_in, 1)
            time = message.points[0].time_from_start
            time.sec, time.nanosec = int(seconds), round(1e9 * rest)
        for name, write in self._parts.items():
            write(message, commands[name])
        return message


class CommandReader:
    """Reads one command topic's messages: what a person, or the guard, commands."""

    def __init__(self, command: Command) -> None:
        self._parts = {name: reader(channel.field) for name, channel in command.parts.items()}

    def __call__(self, message: Any) -> dict[str, float]:
        """Action -> command in its channel's unit; raises BadInput where a number is missing."""
        return {name: read(message) for name, read in self._parts.items()}


def actions_of(contract: RobotContract, commands: Mapping[str, float]) -> dict[str, float]:
    """Bring commands back into the policy's units: what was executed, as an action."""
    channels = contract.channels()
    return {name: (commands[name] - c.offset) / c.scale for name, c in channels.items() if name in commands}


class StateBuilder:
    """Puts the latest state parts into the order of a policy's state."""

    def __init__(self, contract: RobotContract, names: tuple[str, ...]) -> None:
        self._names = names
        self._sources = {part: name for name, s in contract.sources.items() for part in s.parts}
        self._values = dict.fromkeys(contract.previous_action, 0.0)
        for source in contract.sources.values():
            if not source.required:
                self._values.update(dict.fromkeys(source.parts, source.default))
        self._previous = contract.previous_action

    def heard(self, values: Mapping[str, float]) -> None:
        """Note state parts of a source; a source with a value that is not a finite float32 is not taken."""
        if all(abs(value) <= _LARGEST for value in values.values()):
            self._values.update(values)

    def executed(self, actions: Mapping[str, float]) -> None:
        """Note the action that was executed, for the parts that hold the previous one."""
        self._values.update({part: actions[name] for part, name in self._previous.items() if name in actions})

    @property
    def measured(self) -> Mapping[str, float]:
        """The latest value of each state part that was heard."""
        return self._values

    def missing(self) -> list[str]:
        """Sources of which nothing has been heard."""
        return sorted({self._sources.get(n, n) for n in self._names if n not in self._values})

    def __call__(self) -> np.ndarray:
        """The state (S,) float32; raises BadInput naming sources not heard yet."""
        if missing := self.missing():
            raise BadInput(f"not heard yet: {', '.join(missing)}")
        return np.array([self._values[name] for name in self._names], np.float32)


def check_fit(contract: RobotContract, spec: PolicyDescription, where: str) -> None:
    """Raise BadInput, naming the field, unless a checkpoint's policy can run on the contract's robot."""
    for wrong in (_robot, _rate, _observations, _images, _state, _actions, _units, _limits):
        if told := wrong(contract, spec):
            raise BadInput(f"{where}: does not fit robot '{contract.name}': {told}")


def _robot(contract: RobotContract, spec: PolicyDescription) -> str:
    if spec.robot == contract.robot:
        return ""
    return f"robot is '{spec.robot}', the contract says '{contract.robot}'"


def _rate(contract: RobotContract, spec: PolicyDescription) -> str:
    if np.isclose(spec.fps, contract.control_rate, rtol=0.01):
        return ""
    return f"fps is {spec.fps:g} Hz, the contract's control_rate {contract.control_rate:g} Hz"


def _observations(contract: RobotContract, spec: PolicyDescription) -> str:
    """What is observed must be the state, or pictures that `images` describes."""
    given = {"state", *(image.key for image in spec.images)}
    for key in getattr(spec, "observation_keys", ("state",)):
        if key not in given:
            return f"observation_keys has '{key}', of which neither state_names nor images says more"
    return ""


def _images(contract: RobotContract, spec: PolicyDescription) -> str:
    for image in spec.images:
        if image.camera not in contract.cameras:
            return f"images: no camera '{image.camera}'.{nearest(image.camera, contract.cameras)}"
    return ""


def _state(contract: RobotContract, spec: PolicyDescription) -> str:
    parts = contract.state_parts()
    for name, unit in zip(spec.state_names, spec.state_units, strict=True):
        if name.startswith(PREFIX):  # said by the supervisor's instruction
            continue
        if name not in parts:
            return f"no source gives the state part '{name}'.{nearest(name, parts)}"
        if name not in contract.previous_action and unit and unit != parts[name]:
            return f"state_units of '{name}' is '{unit}', the contract's unit '{parts[name]}'"
    return ""


def _actions(contract: RobotContract, spec: PolicyDescription) -> str:
    channels = contract.channels()
    for name in spec.action_names:
        if name not in channels:
            return f"no command carries the action '{name}'.{nearest(name, channels)}"
    for name in channels:
        if name not in spec.action_names:
            return f"the policy has no action '{name}', which the contract commands"
    return ""


def _units(contract: RobotContract, spec: PolicyDescription) -> str:
    """Where the contract writes no scale or offset, an action's unit must be that of the command."""
    for name, unit in zip(spec.action_names, spec.action_units, strict=True):
        channel = contract.channels()[name]
        converted = {"scale", "offset"} & channel.model_fields_set  # also a written scale of 1
        if not converted and unit and unit != channel.unit:
            return (
                f"action_units of '{name}' is '{unit}', the contract's unit '{channel.unit}', without a "
                "scale or offset that converts it"
            )
    return ""


def _limits(contract: RobotContract, spec: PolicyDescription) -> str:
    """Actions may reach beyond the channel's limits (they are clipped), but not lie outside altogether."""
    for name, low, high in zip(spec.action_names, spec.action_low, spec.action_high, strict=True):
        channel = contract.channels()[name]
        ends = sorted((channel.scale * low + channel.offset, channel.scale * high + channel.offset))
        if ends[0] >= channel.high or ends[1] <= channel.low:
            return (
                f"action '{name}' reaches {ends[0]:g} to {ends[1]:g} {channel.unit}, outside the contract's "
                f"{channel.low:g} to {channel.high:g}"
            )
    return ""
