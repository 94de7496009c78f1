"""Each rule of a robot contract: one line that names the field; and the contracts that come along."""

import copy

import pytest
import yaml

from robot_rl.deploy.guard import Guard, Mode
from robot_rl.deploy.interface import CommandReader, CommandWriter, SourceReader
from robot_rl.errors import BadInput
from robot_rl.specs.paths import outside
from robot_rl.specs.robot_contract import RobotContract, contract_names, load_contract
from robot_rl.specs.tasks import load_task

POSE = {"field": "data[0]", "unit": "m"}
BASE = {
    "name": "axis",
    "description": "two axes",
    "tested": "never",
    "robot": "axis",
    "control_rate": 10,
    "sources": {
        "x": {"topic": "x", "type": "a_msgs/msg/B", "rate": 10, "stale": 0.25, "parts": {"x": POSE}},
        "extra": {
            "topic": "extra", "type": "a_msgs/msg/B", "rate": 10, "stale": 0.25, "required": False,
            "parts": {"e": dict(POSE)},
        },
    },
    "cameras": {"side": {"topic": "image", "rate": 10, "stale": 0.25}},
    "previous_action": {"last_v": "v"},
    "commands": {
        "move": {
            "topic": "move", "type": "a_msgs/msg/B", "kind": "velocity", "timeout": 0.3,
            "parts": {
                "v": {"field": "linear.x", "unit": "m/s", "low": -1, "high": 1, "rate_limit": 2},
                "w": {"field": "linear.y", "unit": "m/s", "low": -1, "high": 1, "rate_limit": 2},
            },
        }
    },
    "workspace": {"x": {"low": -1, "high": 1, "driven_by": "v"}},
    "faults": {"x": [-2, 2]},
    "stop": {"mode": "zero"},
}  # fmt: skip
MOVE, V, X = "commands.move", "commands.move.parts.v", "sources.x"
# A joint commanded by its position, beside BASE's velocities.
JOINT = {"field": "data[0]", "unit": "m", "low": -1, "high": 1, "rate_limit": 2, "measured": "x"}
ARM = {"topic": "arm", "type": "a_msgs/msg/B", "kind": "position", "parts": {"q": JOINT}}
JOINT_OF_POINT = JOINT | {"field": "points[0].positions{q}"}
PATH = ARM | {
    "type": "trajectory_msgs/msg/JointTrajectory", "reach_in": 0.2, "parts": {"q": JOINT_OF_POINT}
}  # fmt: skip
DAMP = {"mode": "damp", "topic": "d"}


def changed(changes):
    """BASE with some fields set ("a.b": value) or, where the value is ..., left out."""
    contract = copy.deepcopy(BASE)
    for path, value in changes.items():
        *inner, last = path.split(".")
        place = contract
        for name in inner:
            place = place[name]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return contract


def load(tmp_path, changes):
    path = tmp_path / "axis.yaml"
    path.write_text(yaml.safe_dump(changed(changes)))
    return load_contract(path)


def test_a_whole_contract(tmp_path):
    contract = load(tmp_path, {})
    assert contract.period == 0.1 and contract.wish_timeout == 0.2
    assert list(contract.channels()) == ["v", "w"] and contract.kind_of("w") == "velocity"
    assert contract.state_parts() == {"x": "m", "e": "m", "last_v": ""}
    assert load(tmp_path, {"policy_timeout": 0.5}).wish_timeout == 0.5
    assert load(tmp_path, {"commands.arm": PATH, "stop": DAMP}).commands["arm"].reach_in == 0.2


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"name": "Axis 1"}, "name: ", "should match pattern"),
        ({"tested": ""}, "tested: ", "at least 1 character"),
        ({"colour": "red"}, "colour: unknown field", "Known: "),
        ({"control_rate": 0}, "control_rate: ", "greater than or equal to 0.01"),
        ({"control_rate": 1e6}, "control_rate: ", "less than or equal to 10000"),
        ({"policy_timeout": 0}, "policy_timeout: ", "greater than 0"),
        ({"policy_timeout": 0.1}, "policy_timeout must be above one period, 0.1 s", ""),
        ({"ramp": -1}, "ramp: ", "greater than or equal to 0"),
        ({"sources": {}}, "sources: ", "at least 1 item"),
        ({"commands": {}}, "commands: ", "at least 1 item"),
        ({f"{X}.topic": "no topic"}, f"{X}.topic: ", "should match pattern"),
        ({f"{X}.type": "Pose"}, f"{X}.type: ", "should match pattern"),
        ({f"{X}.rate": 0}, f"{X}.rate: ", "greater than 0"),
        ({f"{X}.stale": 0.1}, f"{X}: stale must be above one period of the source, 0.1 s", ""),
        ({f"{X}.clock": "mine"}, f"{X}.clock: ", "'ours' or 'theirs'"),
        ({f"{X}.parts": {}}, f"{X}.parts: ", "at least 1 item"),
        ({f"{X}.parts.x.field": "data[x]"}, f"{X}.parts.x: field 'data[x]' must read a.b.c", ""),
        ({f"{X}.parts.x.scale": 0}, f"{X}.parts.x: scale must not be 0", ""),
        ({f"{X}.parts.x.offset": float("nan")}, f"{X}.parts.x.offset: ", "finite number"),
        ({"cameras.side.stale": 0.05}, "cameras.side: stale must be above one period", ""),
        ({"cameras.x": BASE["cameras"]["side"]}, "sources and cameras: 'x' is there twice", ""),
        ({"sources.extra.parts.x": POSE}, "sources: 'x' is there twice", ""),
        ({"previous_action.x": "v"}, "sources: 'x' is there twice", ""),
        (
            {"previous_action.last_v": "vv"},
            "previous_action: unknown name 'vv'. Did you mean 'v'?",
            "Known: v, w",
        ),
        ({f"{MOVE}.kind": "speed"}, f"{MOVE}.kind: ", "'position', 'velocity' or 'effort'"),
        (
            {f"{MOVE}.timeout": ...},
            f"{MOVE}: timeout is required for velocity commands",
            "the robot's driver alone",
        ),
        ({f"{MOVE}.kind": "effort", f"{MOVE}.timeout": ...}, f"{MOVE}: timeout is required for effort", ""),
        ({f"{MOVE}.timeout": 0.1}, "commands.move.timeout must be above one period, 0.1 s", ""),
        ({f"{MOVE}.parts": {}}, f"{MOVE}.parts: ", "at least 1 item"),
        ({f"{V}.field": "linear.y"}, f"{MOVE}: parts.field: 'linear.y' is there twice", ""),
        ({f"{MOVE}.constants": {"linear.y": 1}}, f"{MOVE}: parts.field: 'linear.y' is there twice", ""),
        ({f"{MOVE}.constants": {"a b": 1}}, f"{MOVE}: field 'a b' must read a.b.c", ""),
        ({"commands.more": BASE["commands"]["move"] | {"topic": "more"}}, "commands: 'v' is there twice", ""),
        ({"commands.arm": ARM | {"topic": "/move"}}, "commands.topic: 'move' is there twice", ""),
        ({f"{V}.low": 1}, f"{V}: low 1.0 must be below high 1.0", ""),
        ({f"{V}.low": 0.5}, f"{MOVE}: parts.v: 0 must lie within low and high", "since it stops the robot"),
        ({f"{V}.scale": 0}, f"{V}: scale must not be 0", ""),
        ({f"{V}.scale": 1e300}, f"{V}.scale: ", "less than or equal to 1000000000"),
        ({f"{V}.high": float("inf")}, f"{V}.high: ", "finite number"),
        ({f"{V}.low": -1e10}, f"{V}.low: ", "greater than or equal to -1000000000"),
        ({f"{V}.rate_limit": 0}, f"{V}.rate_limit: ", "greater than 0"),
        ({f"{V}.rate_limit": ...}, f"{V}.rate_limit: this field is required", ""),
        ({f"{V}.acceleration_limit": -1}, f"{V}.acceleration_limit: ", "greater than 0"),
        ({f"{V}.acceleration_limit": 9}, "workspace.x: 'v' has an acceleration_limit", "its jerk"),
        ({f"{V}.measured": "x"}, f"{MOVE}: parts.v.measured is for position commands", "starts at 0"),
        ({f"{V}.unit": "cm/s"}, "workspace.x: is in m, but 'v' in cm/s; it must be in m/s", ""),
        ({"workspace.x.low": 2}, "workspace.x: low 2.0 must be below high 1.0", ""),
        ({"workspace.x.driven_by": "u"}, "workspace.driven_by: unknown name 'u'.", "Known: v, w"),
        ({"workspace.y": BASE["workspace"]["x"]}, "workspace: unknown name 'y'.", "Known: x"),
        (
            {"workspace.e": BASE["workspace"]["x"]},
            "workspace: unknown name 'e'. its source must be required",
            "",
        ),
        ({"workspace.last_v": BASE["workspace"]["x"]}, "workspace: unknown name 'last_v'.", ""),
        ({"faults.y": [0, 1]}, "faults: unknown name 'y'.", ""),
        ({"faults.x": [2, -2]}, "faults.x: low 2.0 must be below high -2.0", ""),
        ({"faults.x": [0, float("nan")]}, "faults.x.1: ", "finite number"),
        ({"stop.mode": "freeze"}, "stop.mode: ", "'hold', 'zero' or 'damp'"),
        ({"stop.mode": "damp"}, "stop.topic is required for stop.mode damp", ""),
        (
            {"stop.mode": "hold"},
            "stop.mode hold would repeat a velocity or effort for ever",
            "use zero or damp",
        ),
        ({"stop.resume_within": -1}, "stop.resume_within: ", "greater than or equal to 0"),
        ({"intervention": {"timeout": 0}}, "intervention.timeout: ", "greater than 0"),
        ({"commands.arm": ARM}, "stop.mode zero would send positions to 0; use hold or damp", ""),
        (
            {"commands.arm": ARM | {"parts": {"q": JOINT | {"measured": "z"}}}},
            "commands.measured: unknown name 'z'.",
            "Known: x",
        ),
        (
            {"commands.arm": ARM | {"parts": {"q": JOINT | {"measured": "e"}}}},
            "commands.measured: unknown name 'e'. its source must be required",
            "",
        ),
        (
            {"commands.arm": ARM | {"parts": {"q": {**JOINT, "measured": None}}}},
            "commands.arm: parts.q.measured is required for position commands",
            "motion starts from there",
        ),
        (
            {
                "commands.arm": ARM | {"parts": {"q": JOINT | {"unit": "deg"}}},
                "stop": {"mode": "damp", "topic": "d"},
            },
            "commands: the unit of 'q', deg, is not that of its measured 'x', m",
            "jump",
        ),
        (
            {"commands.arm": PATH | {"reach_in": None}, "stop": DAMP},
            "commands.arm: reach_in is required for trajectory_msgs/msg/JointTrajectory, and for it alone",
            "",
        ),
        ({"commands.arm": ARM | {"reach_in": 1}, "stop": DAMP}, "commands.arm: reach_in is required for", ""),
        ({"commands.arm": PATH | {"reach_in": 0}, "stop": DAMP}, "commands.arm.reach_in: ", "greater than 0"),
        (
            {"commands.arm": PATH | {"reach_in": 0.09}, "stop": DAMP},
            "commands.arm.reach_in must be at least one period, 0.1 s",
            "faster than rate_limit",
        ),
        (
            {"commands.arm": PATH | {"kind": "velocity", "timeout": 1}, "stop": DAMP},
            "commands.arm: kind must be position",
            "",
        ),
        (
            {"commands.arm": PATH | {"parts": {"q": JOINT}}, "stop": DAMP},
            "commands.arm: parts.q.field must read points[0].positions{joint}, not 'data[0]'",
            "",
        ),
        (
            {"commands.arm": ARM, "workspace.x.driven_by": "q", "stop": {"mode": "damp", "topic": "d"}},
            "workspace.x: 'q' is not a velocity command; bound positions by low and high",
            "",
        ),
    ],
)
def test_each_rule_in_one_line_that_names_the_field(tmp_path, changes, field, told):
    with pytest.raises(BadInput) as caught:
        load(tmp_path, changes)
    text = str(caught.value).removeprefix(f"{tmp_path}/axis.yaml: ").removeprefix("the file: ")
    assert text.startswith(field) and told in text and "\n" not in text


@pytest.mark.parametrize(
    "path", ["points[0].positions[6]", "position{panda_joint1}", "motor_cmd[3].q", "a1.b2"]
)
def test_fields_that_messages_have(tmp_path, path):
    assert load(tmp_path, {f"{V}.field": path})


def test_an_unknown_robot_is_told_the_nearest_first():
    with pytest.raises(
        BadInput, match=r"^no robot 'sim_drawr'. Did you mean 'sim_drawer'\? Known: sim_drawer"
    ):
        load_contract("sim_drawr")
    with pytest.raises(BadInput, match="Or give the path of a contract file"):
        load_contract("zzz")
    with pytest.raises(BadInput, match="nowhere.yaml: cannot be read"):
        load_contract("nowhere.yaml")


# Conformance: every contract that comes along.


@pytest.fixture(params=contract_names())
def shipped(request) -> RobotContract:
    return load_contract(request.param)


def test_there_are_contracts():
    assert "sim_drawer" in contract_names()


def test_a_shipped_contract_bears_its_file_s_name(shipped):
    path = outside("ros_ws", "src") / "robot_rl_bringup" / "config" / f"{shipped.name}.yaml"
    assert load_contract(path) == shipped


def test_a_simulated_robot_is_that_of_its_task(shipped):
    if shipped.simulated is None:
        return
    task = load_task(shipped.simulated)
    assert task.robot == shipped.robot and task.control_rate == shipped.control_rate
    units = shipped.state_parts()
    sensed = {part.name: part.unit for part in task.state if part.name not in shipped.previous_action}
    assert sensed.items() <= units.items() and {part.name for part in task.state} <= set(units)
    assert sorted(part.name for part in task.actions) == sorted(shipped.channels())


def test_every_field_of_a_shipped_contract_can_be_read_and_written(shipped):
    for source in shipped.sources.values():
        SourceReader(source)
    for command in shipped.commands.values():
        CommandReader(command), CommandWriter(command)


def test_a_shipped_contract_runs_and_stops(shipped):
    """In the middle of all its limits it is enabled, follows a wish, and an e-stop is told."""
    guard, now = Guard(shipped), 10.0
    middle = {n: (f[0] + f[1]) / 2 for n, f in shipped.faults.items()}
    middle |= {n: (w.low + w.high) / 2 for n, w in shipped.workspace.items()}
    middle |= {c.measured: (c.low + c.high) / 2 for c in shipped.channels().values() if c.measured}
    for name, source in shipped.sources.items():
        guard.heard(name, {part: middle.get(part, 0.0) for part in source.parts}, now, now, now)
    for name, camera in shipped.cameras.items():
        if camera.required:
            guard.heard(name, {}, now, now, now)
    guard.enable(now, now)
    now += shipped.period
    rest = {n: middle.get(c.measured, 0.0) for n, c in shipped.channels().items()}
    wish = {n: (rest[n] - c.offset) / c.scale for n, c in shipped.channels().items()}
    guard.wished(wish, now, now, now)
    output = guard.tick(now, now)
    assert output.mode is Mode.RUNNING and output.commands == pytest.approx(rest)
    guard.estop()
    output = guard.tick(now, now)
    assert output.mode is Mode.ESTOP and (output.damp or output.commands == pytest.approx(rest))
