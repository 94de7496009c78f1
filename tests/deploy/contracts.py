"""Small contracts to test the robot's side with."""

from __future__ import annotations

from robot_rl.specs.robot_contract import RobotContract


def position_contract(
    *,
    low: float = -1.0,
    high: float = 1.0,
    rate_limit: float = 2.0,
    acceleration_limit: float | None = None,
    control_rate: float = 10.0,
    **more: object,
) -> RobotContract:
    """One joint commanded by its position; the state is where it stands."""
    channel = {
        "field": "data[0]", "unit": "rad", "low": low, "high": high, "rate_limit": rate_limit,
        "acceleration_limit": acceleration_limit, "measured": "x",
    }  # fmt: skip
    return _contract(channel, "position", "hold", control_rate, **more)


def velocity_contract(
    *,
    wall: tuple[float, float] | None = None,
    rate_limit: float = 5.0,
    control_rate: float = 10.0,
    **more: object,
) -> RobotContract:
    """One axis commanded by its velocity, perhaps between walls."""
    channel = {"field": "data[0]", "unit": "m/s", "low": -1, "high": 1, "rate_limit": rate_limit}
    if wall:
        more["workspace"] = {"x": {"low": wall[0], "high": wall[1], "driven_by": "a"}}
    return _contract(channel, "velocity", "zero", control_rate, **more)


def _contract(numbers: dict, kind: str, mode: str, control_rate: float, **more: object) -> RobotContract:
    channel = numbers | more.pop("channel", {})
    unit = channel["unit"].removesuffix("/s")
    source = {
        "topic": "x", "type": "std_msgs/msg/Float64MultiArray", "rate": control_rate,
        "stale": 2.5 / control_rate, "parts": {"x": {"field": "data[0]", "unit": unit}},
    }  # fmt: skip
    command = {
        "topic": "command", "type": "std_msgs/msg/Float64MultiArray", "kind": kind,
        "timeout": 3 / control_rate, "parts": {"a": channel},
    }  # fmt: skip
    base = {
        "name": "axis", "description": "one axis", "tested": "never", "robot": "axis",
        "control_rate": control_rate, "sources": {"x": source} | more.pop("sources", {}),
        "commands": {"axis": command},
        "stop": {"mode": mode} | more.pop("stop", {}), "ramp": 0.0,
    }  # fmt: skip
    return RobotContract.model_validate(base | more)
