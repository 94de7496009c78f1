"""The graph as launch actions, for `ros2 launch`: the same nodes that `launcher` starts as processes.

Needs ROS 2's own `launch` and `launch_ros`, which no package index has; only launch/ imports this.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from robot_rl.deploy.graph import PACKAGE, Deployment, NodeSpec, nodes
from robot_rl.deploy.launcher import command, environment
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import contract_names, load_contract

# What a launch file can ask for: name -> (what it is, choices or None).
ARGUMENTS: Mapping[str, tuple[str, list[str] | None]] = {
    "robot": ("Robot contract; `file` takes the path in contract_file.", [*contract_names(), "file"]),
    "contract_file": ("Path of a contract of your own, with robot:=file.", None),
    "policy": ("Folder of a run, as `robot-rl train` writes it.", None),
    "runtime": (
        "What runs the policy; auto takes policy.onnx where it was exported.",
        ["auto", "onnx", "numpy"],
    ),
    "task": ("Simulated robots: another task than the contract's.", None),
    "seed": ("Simulated robots: seed of the first episode.", None),
    "enable": ("Simulated robots: start moving at once. Hardware is enabled by a person.", ["true", "false"]),
    "realtime": ("Control at real-time priority, where permitted; fine_tune asks for it.", ["true", "false"]),
    "record": ("Folder to record into: a dataset and raw bags.", None),
    "reward": (
        "Folder of a labeling whose reward model judges what the camera sees; two as in success.",
        None,
    ),
    "success": (
        "Folder of a success classifier, which says when the goal is reached (fine_tune: two, ':' between).",
        None,
    ),
    "fine_tune": ("Folder inside the run's to fine-tune it in, without resets.", None),
    "explore": (
        "Noise while it is fine-tuned, in the learner's own standard deviations; empty: robot-rl finetune's.",
        None,
    ),
    "interface": ("Network interface of a driver of ours; empty lets it choose.", None),
    "namespace": ("ROS namespace of all nodes and topics.", None),
}


def description(
    defaults: Mapping[str, str],
    adapt: Callable[[Deployment], Deployment] = lambda d: d,
    finished: Callable[[Deployment], object] = lambda _: None,
) -> Any:
    """A LaunchDescription with the named arguments; one whose default is None must be given.

    `finished` is called when a node has ended by itself and without an error, and all others end.
    """
    declared = [_argument(name, default) for name, default in defaults.items()]
    actions = OpaqueFunction(function=_actions, args=[tuple(defaults), adapt, finished])
    return LaunchDescription([*declared, actions])


def _argument(name: str, default: str | None) -> DeclareLaunchArgument:
    told, choices = ARGUMENTS[name]
    return DeclareLaunchArgument(name, default_value=default, description=told, choices=choices)


def _actions(
    context: Any,
    names: tuple[str, ...],
    adapt: Callable[[Deployment], Deployment],
    finished: Callable[[Deployment], object],
) -> list[Any]:
    """Read the arguments, and make the graph's actions; bad input ends the launch with one line."""
    asked = {name: LaunchConfiguration(name).perform(context) for name in names}
    try:
        deployment = adapt(deployment_of(asked))
        specs = nodes(deployment)
        contract = load_contract(deployment.robot)
    except BadInput as error:
        raise RuntimeError(f"robot_rl: {error}") from None
    env = environment(contract.simulated is not None, bool(contract.cameras))
    wanted = [SetEnvironmentVariable(name, value) for name, value in _added(env).items()]
    end = partial(finished, deployment)
    return [*wanted, *(_action(spec, deployment.namespace, end) for spec in specs)]


def deployment_of(asked: Mapping[str, str]) -> Deployment:
    """A Deployment from launch arguments, which are all text; raises BadInput naming the argument."""
    values: dict[str, Any] = dict(asked)
    file = values.pop("contract_file", "")
    if values.get("robot") == "file":
        if not file:
            raise BadInput("contract_file: with robot:=file, give the path of a contract")
        values["robot"] = str(Path(file).resolve())
    for name, kind in (("seed", int), ("trials", int), ("explore", float)):
        if name in values:
            values[name] = _number(name, kind, values[name])
    for name in {"enable", "realtime"} & set(values):
        values[name] = values[name] == "true"
    known = {field.name for field in fields(Deployment)}
    return Deployment(**{name: value for name, value in values.items() if name in known})


def _number(name: str, kind: type, text: str) -> float | None:
    """A number from an argument's text, None where it is empty; raises BadInput naming the argument."""
    try:
        return kind(text) if text else None
    except ValueError:
        told = "a whole number" if kind is int else "a number"
        raise BadInput(f"{name}: must be {told}, not '{text}'") from None


def _added(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if os.environ.get(name) != value}


def _action(spec: NodeSpec, namespace: str, finished: Callable[[], object]) -> Any:
    """A launch_ros Node where the package was built with colcon, else the same command as a process."""
    ending = _ending(spec, namespace, finished)
    patience = str(spec.patience)  # s after Ctrl-C before launch insists: a recording has to be finished
    try:
        get_package_prefix(PACKAGE)
    except (PackageNotFoundError, OSError):  # not built, or no ROS environment at all
        line = command(spec, namespace, Path(mkdtemp(prefix="robot_rl_")))
        return ExecuteProcess(
            cmd=line, name=spec.executable, output="screen", on_exit=ending, sigterm_timeout=patience
        )
    return Node(
        package=PACKAGE,
        executable=spec.executable,
        namespace=namespace,
        parameters=[spec.parameters],
        output="screen",
        on_exit=ending,
        sigterm_timeout=patience,
    )


def _ending(spec: NodeSpec, namespace: str, finished: Callable[[], object]) -> Any:
    """What follows a node's end: nothing, the end of all, or, where it was killed, the same node anew."""
    all_ends = [Shutdown(reason=f"{spec.executable} ended")] if spec.essential else None

    def after(event: Any, context: Any) -> list[Any] | None:
        if context.is_shutdown:
            return None
        if event.returncode < 0 and spec.respawn:
            return [_action(spec, namespace, finished)]
        if event.returncode == 0 and spec.essential:
            finished()
        return all_ends

    return after
