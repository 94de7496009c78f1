"""Messages to states and commands to messages; and a checkpoint that does not fit is refused by the field."""

from types import SimpleNamespace as Message

import numpy as np
import pytest

from robot_rl.deploy.interface import (
    CommandReader,
    CommandWriter,
    SourceReader,
    SourceWriter,
    StateBuilder,
    actions_of,
    check_fit,
)
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import Command, Source
from tests.deploy.contracts import position_contract
from tests.policies.helpers import make_spec

DEGREES = {"field": "position{elbow}", "unit": "deg", "scale": 57.3, "offset": 10.0}


def source(**more):
    base = {"topic": "joint_states", "type": "sensor_msgs/msg/JointState", "rate": 10, "stale": 1}
    return Source.model_validate(base | {"parts": {"elbow": DEGREES}} | more)


def joint_state(position, frame="base"):
    return Message(header=Message(frame_id=frame), name=["elbow"], position=[position])


def test_a_part_is_scale_times_field_plus_offset():
    assert SourceReader(source())(joint_state(2.0)) == {"elbow": pytest.approx(124.6)}


def test_another_frame_is_refused():
    read = SourceReader(source(frame="base"))
    assert read(joint_state(0.0))
    with pytest.raises(BadInput, match="^its frame is 'map', the contract says 'base'$"):
        read(joint_state(0.0, "map"))
    with pytest.raises(BadInput, match="^it has no header, but"):
        read(Message(name=["elbow"], position=[0.0]))


def test_a_simulated_robot_writes_what_is_read():
    message = joint_state(0.0, frame="")
    SourceWriter(source(frame="base"))(message, {"elbow": 124.6})
    assert message.position == pytest.approx([2.0]) and message.header.frame_id == "base"


def command(**more):
    channel = {"unit": "m/s", "low": -1, "high": 1, "rate_limit": 1, "scale": -2.0, "offset": 0.5}
    return Command.model_validate(
        {
            "topic": "twist", "type": "geometry_msgs/msg/TwistStamped", "kind": "velocity", "timeout": 1,
            "frame": "tool",
            "parts": {"a": channel | {"field": "linear.x"}, "b": channel | {"field": "data[1]"}},
        } | more
    )  # fmt: skip


def test_commands_are_written_with_frame_and_constants_and_read_back():
    message = Message(header=Message(frame_id=""), linear=Message(x=0.0), data=[], mode="")
    CommandWriter(command(constants={"mode": "servo"}))(message, {"a": 0.25, "b": -0.5})
    assert (message.header.frame_id, message.mode, message.data) == ("tool", "servo", [0.0, -0.5])
    assert CommandReader(command())(message) == {"a": 0.25, "b": -0.5}
    with pytest.raises(BadInput, match="none at place 1"):
        CommandReader(command())(Message(linear=Message(x=0.0), data=[1.0]))


def test_a_trajectory_says_when_its_one_point_is_reached():
    channel = {"unit": "rad", "low": -1, "high": 1, "rate_limit": 1, "measured": "x"}
    fields = {name: channel | {"field": f"points[0].positions{{joint_{name}}}"} for name in "ab"}
    made = Command(
        topic="t", type="trajectory_msgs/msg/JointTrajectory", kind="position", reach_in=1.25, parts=fields
    )
    point = Message(positions=[], time_from_start=Message(sec=0, nanosec=0))
    message = Message(joint_names=[], points=[point])
    CommandWriter(made)(message, {"a": 0.5, "b": -0.5})
    assert message.joint_names == ["joint_a", "joint_b"] and point.positions == [0.5, -0.5]
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (1, 250_000_000)
    assert CommandReader(made)(message) == {"a": 0.5, "b": -0.5}


def test_executed_actions_are_in_the_policy_s_units():
    contract = position_contract(channel={"scale": -2.0, "offset": 0.5})
    assert actions_of(contract, {"a": -0.5}) == {"a": 0.5} and actions_of(contract, {}) == {}


def builder(**more):
    battery = {"charge": {"field": "percentage", "unit": "1"}}
    optional = {"topic": "battery", "type": "sensor_msgs/msg/BatteryState", "rate": 1, "stale": 2}
    optional |= {"required": False, "default": 0.5, "parts": battery}
    contract = position_contract(sources={"battery": optional}, previous_action={"last_a": "a"})
    return StateBuilder(contract, ("last_a", "x", "charge"))


def test_a_state_has_the_policy_s_order_and_defaults():
    state = builder()
    assert state.missing() == ["x"]
    with pytest.raises(BadInput, match="^not heard yet: x$"):
        state()
    state.heard({"x": 3.0})
    assert state().tolist() == [0.0, 3.0, 0.5] and state().dtype == np.float32
    state.heard({"charge": 0.25})
    state.executed({"a": -1.0, "other": 9.0})
    assert state().tolist() == [-1.0, 3.0, 0.25]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_a_reading_that_is_no_float32_is_not_taken(value):
    state = builder()
    state.heard({"x": 3.0})
    state.heard({"x": value})
    assert state()[1] == 3.0


EYE = {
    "camera": "side", "height": 8, "width": 8, "size": 8, "features": 1, "encoder": "e", "file": "e.onnx",
    "feature_mean": (0.0,), "feature_std": (1.0,),
}  # fmt: skip
FITS = {
    "robot": "axis", "fps": 10.0, "state_names": ["x"], "state_units": ["rad"], "state_mean": [0.0],
    "state_std": [1.0], "action_names": ["a"], "action_units": ["rad"], "action_low": [-1.0],
    "action_high": [1.0],
}  # fmt: skip


def test_what_fits_is_taken():
    check_fit(position_contract(), make_spec(**FITS), "run")
    check_fit(position_contract(), make_spec(**FITS | {"state_units": [""], "action_units": [""]}), "run")
    check_fit(position_contract(), make_spec(**FITS | {"fps": 10.05, "action_high": [99.0]}), "run")
    side = {"side": {"topic": "image", "rate": 10, "stale": 0.5}}
    sees = FITS | {"images": [EYE], "observation_keys": ["state", "image.side"]}
    check_fit(position_contract(cameras=side), make_spec(**sees), "run")
    scaled = position_contract(channel={"scale": 0.1})
    check_fit(scaled, make_spec(**FITS | {"action_units": ["1"]}), "run")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"robot": "ayis"}, "robot is 'ayis', the contract says 'axis'"),
        ({"fps": 20.0}, "fps is 20 Hz, the contract's control_rate 10 Hz"),
        ({"observation_keys": ["state", "image.side"]}, "observation_keys has 'image.side'"),
        ({"images": [EYE]}, "images: no camera 'side'. Known: (none)."),
        ({"state_names": ["xx"]}, "no source gives the state part 'xx'. Did you mean 'x'? Known: x."),
        ({"state_units": ["deg"]}, "state_units of 'x' is 'deg', the contract's unit 'rad'"),
        ({"action_names": ["aa"]}, "no command carries the action 'aa'. Did you mean 'a'? Known: a."),
        (
            {"action_units": ["deg"]},
            "action_units of 'a' is 'deg', the contract's unit 'rad', without a scale",
        ),
        (
            {"action_low": [1.0], "action_high": [2.0]},
            "action 'a' reaches 1 to 2 rad, outside the contract's -1 to 1",
        ),
        ({"action_low": [-3.0], "action_high": [-1.0]}, "action 'a' reaches -3 to -1 rad, outside"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_field(change, told):
    with pytest.raises(BadInput) as caught:
        check_fit(position_contract(), make_spec(**FITS | change), "runs/x")
    assert str(caught.value).startswith("runs/x: does not fit robot 'axis': ") and told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_policy_that_lacks_an_action_of_the_robot_is_refused():
    two = position_contract().model_dump()["commands"]
    two["axis"]["parts"]["b"] = two["axis"]["parts"]["a"] | {"field": "data[1]"}
    with pytest.raises(BadInput, match="the policy has no action 'b', which the contract commands"):
        check_fit(position_contract(commands=two), make_spec(**FITS), "run")


def test_limits_are_compared_after_scale_and_offset():
    contract = position_contract(channel={"scale": -1.0, "offset": 5.0})
    check_fit(contract, make_spec(**FITS | {"action_low": [4.5], "action_high": [9.0]}), "run")
    with pytest.raises(BadInput, match="action 'a' reaches 4 to 6 rad, outside the contract's -1 to 1"):
        check_fit(contract, make_spec(**FITS), "run")
