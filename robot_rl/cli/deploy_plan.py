"""What `robot-rl deploy --dry-run` prints: nodes, topics, and how policy and robot fit together."""

from __future__ import annotations

import io
from collections.abc import Sequence

from robot_rl.deploy.graph import NodeSpec
from robot_rl.policies.checkpoint import PolicySpec
from robot_rl.policies.conditioning import PREFIX, tasks_of
from robot_rl.specs.robot_contract import Channel, RobotContract

_WIDTH = 130  # characters


def plan_text(
    contract: RobotContract,
    spec: PolicySpec,
    specs: Sequence[NodeSpec],
    namespace: str = "",
    width: int = 110,
) -> str:
    """All of a deployment in tables of plain text."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_WIDTH, soft_wrap=False)
    console.print(f"{contract.name}: {contract.description}", markup=False)
    console.print(f"tested: {contract.tested}", markup=False)
    kind = "hardware: a person enables it" if contract.hardware else "simulated"
    console.print(f"{kind}; {contract.control_rate:g} Hz; stops by: {contract.stop.mode}\n", markup=False)
    for table in (_nodes(specs, namespace), _hears(contract, spec), _tells(contract, spec)):
        console.print(table)
    return console.file.getvalue().rstrip()


def _table(title: str, *columns: str):
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _nodes(specs: Sequence[NodeSpec], namespace: str):
    table = _table("Nodes, in the order of their start", "node", "parameters")
    for spec in specs:
        name = f"/{namespace.strip('/')}/{spec.executable}" if namespace else f"/{spec.executable}"
        table.add_row(name, ", ".join(f"{key}={value}" for key, value in spec.parameters.items()))
    return table


def _hears(contract: RobotContract, spec: PolicySpec):
    table = _table("What the policy sees", "topic", "type", "field", "state part", "unit", "stale after")
    for source in contract.sources.values():
        for name, part in source.parts.items():
            used = name if name in spec.state_names else f"({name}: not used)"
            table.add_row(source.topic, source.type, part.field, used, part.unit, f"{source.stale:g} s")
    for task in tasks_of(spec.state_names):
        table.add_row("task/instruction", "std_msgs/msg/String", task, PREFIX + task, "1", "")
    for image in spec.images:
        camera = contract.cameras[image.camera]
        size = f"{image.height}x{image.width} pixels"
        table.add_row(camera.topic, "sensor_msgs/msg/Image", size, image.key, "", f"{camera.stale:g} s")
    for name, action in contract.previous_action.items():
        table.add_row("guard/executed", "sensor_msgs/msg/JointState", action, name, "", "")
    return table


def _limits(channel: Channel) -> str:
    unit = channel.unit
    limits = f"{channel.low:g} to {channel.high:g} {unit}, {channel.rate_limit:g} {unit}/s"
    return limits + (f", {channel.acceleration_limit:g} {unit}/s²" if channel.acceleration_limit else "")


def _tells(contract: RobotContract, spec: PolicySpec):
    columns = ("action", "policy's range", "topic", "field", "command", "limits", "driver's time-out")
    table = _table("What the robot is told", *columns)
    ranges = dict(zip(spec.action_names, zip(spec.action_low, spec.action_high, strict=True), strict=True))
    for command in contract.commands.values():
        for name, channel in command.parts.items():
            low, high = ranges[name]
            formula = f"{channel.scale:g} * action" + (f" + {channel.offset:g}" if channel.offset else "")
            limits = (
                f"{channel.low:g} to {channel.high:g} {channel.unit}, {channel.rate_limit:g} {channel.unit}/s"
            )
            if channel.acceleration_limit:
                limits += f", {channel.acceleration_limit:g} {channel.unit}/s²"
            timeout = "none" if command.timeout is None else f"{command.timeout:g} s"
            table.add_row(
                name, f"{low:g} to {high:g}", command.topic, channel.field, formula, limits, timeout
            )
    return table
