"""Which nodes make up a deployment, in which order, with which parameters: one list for both launchers.

`launch/*.launch.py` turns it into launch_ros actions, `launcher` into processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.errors import BadInput, need_installed
from robot_rl.policies.checkpoint import SPEC, load_spec
from robot_rl.specs.robot_contract import RobotContract, load_contract
from robot_rl.specs.tasks import load_task, task_names

PACKAGE = "robot_rl_deployment"
Value = str | int | float | bool
# family of tasks -> the module that simulates it, and the extra that brings it; others need mujoco alone
_SIMULATORS = {"metaworld": ("metaworld", "sim"), "robosuite": ("robosuite", "robosuite")}
_LEARNING = 30.0  # s, for an update and what is saved to end
_WRITING = 300.0  # s, for the recorder to make the last episode and the dataset


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph."""

    executable: str  # of the package; also the node's name
    parameters: dict[str, Value] = field(default_factory=dict)
    essential: bool = True  # the whole graph ends when it ends
    terminal: bool = False  # it talks to the person at the terminal
    patience: float = 5.0  # s that it may take to end
    respawn: bool = False  # started anew where it was killed


@dataclass(frozen=True)
class Deployment:
    """What a person asks for when deploying."""

    robot: str  # name of a contract, or a file's path
    policy: str = ""  # folder of a run
    runtime: str = "auto"  # auto, onnx or numpy
    task: str = ""  # of the simulated robot, where it is not the contract's
    seed: int = 0  # of the simulated robot's episodes
    enable: bool = False  # a simulation only: let the guard enable itself
    trials: int = 0  # a simulation only: episodes to play, then end
    results: str = ""  # file of the trials' results
    namespace: str = ""
    realtime: bool = False  # control before everything else on the machine; fine_tune asks for it too
    view: bool = False  # show what goes on in the terminal
    record: str = ""  # folder to record into
    interface: str = ""  # network interface of a driver of ours; "" lets it choose
    # With fine_tune, two of these with os.pathsep between: the task's and its reverse's; see `joined`.
    reward: str = ""  # folder of a labeling: its reward model judges what the camera sees
    success: str = ""  # folder of a success classifier: it says whether the goal is reached
    fine_tune: str = ""  # folder inside the run's to fine-tune it in, without resets
    # Noise while it is fine-tuned, in the learner's own standard deviations; None: to be looked up first.
    explore: float | None = 1.0


def joined(paths: Iterable[Path]) -> str:
    """Several folders as one text; `folders` takes it apart."""
    return os.pathsep.join(map(str, paths))


def folders(text: str) -> list[Path]:
    """The folders of a text that `joined` wrote."""
    return [Path(one) for one in text.split(os.pathsep) if one]


def nodes(deployment: Deployment) -> list[NodeSpec]:
    """The nodes of a deployment, in the order in which they start; raises BadInput by the field's name."""
    contract = load_contract(deployment.robot)
    _check(deployment, contract)
    common: dict[str, Value] = {"contract": str(deployment.robot)}
    realtime: dict[str, Value] = {"realtime": True} if deployment.realtime or deployment.fine_tune else {}
    found = []
    if contract.simulated:
        task: dict[str, Value] = {"task": deployment.task} if deployment.task else {}
        watched = bool(deployment.record or deployment.reward or deployment.success) or _sees(
            deployment.policy
        )
        pair: dict[str, Value] = {"pair": True} if deployment.fine_tune else {}
        simulation = {**common, **task, **pair, "seed": deployment.seed, "watched": watched, **realtime}
        found.append(NodeSpec("sim_robot_node", simulation))
    if contract.driver:
        interface: dict[str, Value] = {"interface": deployment.interface} if deployment.interface else {}
        found.append(NodeSpec(contract.driver, {**common, **interface, **realtime}))
    guard = {"auto_enable": True} if deployment.enable else {}
    found.append(NodeSpec("guard_node", {**common, **guard, **realtime}))
    if deployment.record:
        found.append(_recorder(deployment, contract, common))
    if deployment.reward or deployment.success:
        found.append(_judging(deployment, common))
    policy: dict[str, Value] = {"policy": str(Path(deployment.policy).resolve())}
    acting = {**common, **policy, "runtime": deployment.runtime, **realtime}
    if deployment.fine_tune:
        practising = {**acting, "instructed": True, "explore": deployment.explore}
        found.append(NodeSpec("policy_node", practising, respawn=True))
        found += _fine_tuning(deployment, contract, {**common, **policy})
    else:
        asked = {"task": deployment.task} if deployment.task in task_names() else {}
        found.append(NodeSpec("policy_node", {**acting, **asked}))
    if deployment.trials:
        found.append(NodeSpec("trial_node", _trials(deployment, contract, common)))
    if deployment.view:
        found.append(NodeSpec("monitor_node", terminal=True))
    return found


def _sees(policy: str) -> bool:
    """Whether a run's policy sees pictures; what is wrong with its folder is told by those who load it."""
    return (Path(policy) / SPEC).exists() and bool(load_spec(policy).images)


def _recorder(deployment: Deployment, contract: RobotContract, common: dict[str, Value]) -> NodeSpec:
    """Rewards come from the model, else from the simulation; the robot goes on when the recorder ends."""
    parameters: dict[str, Value] = {
        **common,
        "out": str(Path(deployment.record).resolve()),
        "policy": str(Path(deployment.policy).resolve()),
        "reward": "topic" if deployment.reward else "sim" if contract.simulated else "",
    }
    return NodeSpec("recorder_node", parameters, essential=False, patience=_WRITING)


def _fine_tuning(deployment: Deployment, contract: RobotContract, common: dict[str, Value]) -> list[NodeSpec]:
    """Who decides what is practised, and who learns from it; both go on where they were killed."""
    shared = {**common, "out": str(Path(deployment.fine_tune).resolve()), "task": deployment.task}
    simulated: dict[str, Value] = {}
    if contract.simulated and not (deployment.reward or deployment.success):
        simulated["simulated"] = True  # it judges itself
    if deployment.success and not deployment.reward:
        simulated["by_success"] = True
    if contract.simulated and deployment.enable:
        simulated["auto_enable"] = True
    return [
        NodeSpec("supervisor_node", {**shared, **simulated}, respawn=True),
        NodeSpec("learner_node", shared, respawn=True, patience=_LEARNING),
    ]


def _judging(deployment: Deployment, common: dict[str, Value]) -> NodeSpec:
    """Who judges what the camera sees; the robot goes on when it ends."""
    models = {"model": deployment.reward, "success": deployment.success}
    found: dict[str, Value] = {
        name: joined(path.resolve() for path in folders(text)) for name, text in models.items() if text
    }
    if deployment.fine_tune:
        found["forward"] = deployment.task or load_spec(deployment.policy).task
    return NodeSpec("reward_node", {**common, **found}, essential=False, respawn=bool(deployment.fine_tune))


def _trials(deployment: Deployment, contract: RobotContract, common: dict[str, Value]) -> dict[str, Value]:
    card = load_task(deployment.task or contract.simulated)
    return {
        **common,
        "episodes": deployment.trials,
        "first_seed": deployment.seed,
        "steps": card.episode_length,
        "results": str(Path(deployment.results).resolve()),
        "recorded": bool(deployment.record),
    }


def _check(deployment: Deployment, contract: RobotContract) -> None:
    if not deployment.policy:
        raise BadInput("policy: give the folder of a run, as `robot-rl train` writes it")
    if deployment.interface and not contract.driver:
        raise BadInput(f"interface: '{contract.name}' has no driver of ours; its own has settings for that")
    if deployment.enable and contract.hardware:
        raise BadInput(
            f"enable: '{contract.name}' is hardware; a person enables it when all is ready "
            "(ros2 service call …/guard_node/enable, or 'e' in the terminal view)"
        )
    if contract.simulated:
        family = load_task(deployment.task or contract.simulated).environment.partition(":")[0]
        need_installed(*_SIMULATORS.get(family, ("mujoco", "sim")))
    if contract.simulated is None and (deployment.trials or deployment.task):
        raise BadInput(f"trials, task: '{contract.name}' is not simulated, so there is nothing to reset")
    if deployment.record:
        from robot_rl.deploy.recording_folder import DATASET  # brings pyarrow and av

        need_installed("mcap", "bags")
        if (Path(deployment.record) / DATASET).exists():
            raise BadInput(f"record: {deployment.record} already holds a recording; choose another folder")
    _check_judges(deployment, contract)
    if deployment.fine_tune:
        _check_fine_tuning(deployment, contract)
    if deployment.trials < 0 or (deployment.trials and not deployment.results):
        raise BadInput("trials: must be 0 or more, with a file for the results")


def _check_judges(deployment: Deployment, contract: RobotContract) -> None:
    asked = {"reward": folders(deployment.reward), "success": folders(deployment.success)}
    for name, paths in asked.items():
        if paths and not contract.cameras:
            raise BadInput(f"{name}: '{contract.name}' has no camera, so there is nothing to judge by")
        if paths and len(paths) != (count := 2 if deployment.fine_tune else 1):
            each = "a folder for the task and one for its reverse" if count == 2 else "one folder"
            raise BadInput(f"{name}: needs {each}, not {len(paths)}")
    for path in asked["reward"]:
        if not (path / "reward").is_dir():
            raise BadInput(f"reward: {path} has no reward model in reward/; robot-rl label makes one")
    for path in asked["success"]:
        if not (path / "success.json").is_file():
            raise BadInput(f"success: {path} is no success classifier; robot-rl success makes one")


def _check_fine_tuning(deployment: Deployment, contract: RobotContract) -> None:
    need_installed("torch", "train")
    out, run = Path(deployment.fine_tune).resolve(), Path(deployment.policy).resolve()
    if not out.is_relative_to(run) or out == run:
        raise BadInput(
            f"fine_tune: {deployment.fine_tune} must lie inside the run's folder, {deployment.policy}: new "
            "weights are taken from there alone"
        )
    if deployment.trials:
        raise BadInput("trials, fine_tune: choose one; trials set the world up anew, fine-tuning never does")
    if deployment.explore is not None and deployment.explore < 0:
        raise BadInput(f"explore: must be at least 0, not {deployment.explore:g}")
    if not deployment.success and (deployment.reward or contract.simulated is None):
        raise BadInput(
            f"success: to fine-tune '{contract.name}', success classifiers of the task and of its reverse "
            "must judge what its camera sees; robot-rl success makes them"
        )
