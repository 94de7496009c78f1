"""Numbers in messages by their path; messages are plain objects with the attributes of ROS messages."""

from types import SimpleNamespace as Message

import pytest

from robot_rl.deploy.fields import reader, set_constant, writer
from robot_rl.errors import BadInput


def pose(x=1.0, w=1.0, qx=0.0, qy=0.0, qz=0.0):
    return Message(
        pose=Message(position=Message(x=x, y=2.0, z=3.0)),
        orientation=Message(w=w, x=qx, y=qy, z=qz),
        data=[5.0, 6.0],
    )


def joints(*names, position=(0.1, 0.2, 0.3)):
    return Message(name=list(names), position=list(position))


@pytest.mark.parametrize(
    ("path", "value"), [("pose.position.x", 1.0), ("data[1]", 6.0), ("pose.position.z", 3.0)]
)
def test_attributes_and_places(path, value):
    assert reader(path)(pose()) == value


def test_joints_are_found_by_name_in_any_order():
    read = reader("position{elbow}")
    assert read(joints("shoulder", "elbow", "wrist")) == 0.2
    assert read(joints("elbow", "wrist", "shoulder")) == 0.1


def test_a_trajectory_calls_its_list_of_joints_otherwise():
    message = Message(joint_names=["a", "b"], points=[Message(positions=[0.1, 0.2])])
    assert reader("points[0].positions{b}")(message) == 0.2
    writer("points[0].positions{c}")(message, 0.3)
    assert (message.joint_names, message.points[0].positions) == (["a", "b", "c"], [0.1, 0.2, 0.3])
    with pytest.raises(BadInput, match=r"none at place 0$"):
        reader("points[0].positions{b}")(Message(joint_names=["b"], points=[]))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            joints("shoulder", "wrist"),
            "joint 'elbow': the message has no such joint; it names shoulder, wrist",
        ),
        (joints(), r"it names \(none\)"),
        (joints("elbow", "elbow"), "joint 'elbow': the message names it more than once"),
        (joints("shoulder", "elbow", position=(0.1,)), "has 1 entries there, none at place 1"),
        (Message(position=[0.1]), "SimpleNamespace has no field 'name'"),
        (Message(name=["elbow"]), "SimpleNamespace has no field 'position'"),
        (Message(name=["elbow"], position=3.0), "holds float, not a list"),
        (Message(name=["elbow"], position=["far"]), "holds str, not a number"),
        (Message(name=["elbow"], position=[None]), "holds NoneType, not a number"),
    ],
)
def test_what_is_not_there_is_told(message, told):
    with pytest.raises(BadInput, match=told):
        reader("position{elbow}")(message)


def test_elements_on_the_way():
    message = Message(points=[Message(positions=[1.0, 2.0]), Message(positions=[3.0])])
    assert reader("points[1].positions[0]")(message) == 3.0
    with pytest.raises(
        BadInput, match=r"^points\[2\].positions\[0\]: the message has 2 entries there, none at place 2$"
    ):
        reader("points[2].positions[0]")(message)


@pytest.mark.parametrize(
    ("orientation", "gravity"),
    [
        ((1.0, 0.0, 0.0, 0.0), (0, 0, -1)),
        ((0.5**0.5, 0.5**0.5, 0.0, 0.0), (0, -1, 0)),  # rolled by 90°: its left side (y) is up
        ((0.5**0.5, 0.0, 0.5**0.5, 0.0), (1, 0, 0)),  # pitched by 90°: its nose (x) points down
        ((0.0, 1.0, 0.0, 0.0), (0, 0, 1)),  # on its back
        ((0.5**0.5, 0.0, 0.0, 0.5**0.5), (0, 0, -1)),  # yawed
    ],
)
def test_gravity_in_the_body_s_frame(orientation, gravity):
    w, x, y, z = orientation
    message = pose(w=w, qx=x, qy=y, qz=z)
    assert [reader(f"orientation.gravity_{axis}")(message) for axis in "xyz"] == pytest.approx(gravity)


@pytest.mark.parametrize("w", [0.0, 0.9, float("nan")])
def test_an_orientation_that_is_none_does_not_look_upright(w):
    with pytest.raises(
        BadInput, match=r"^orientation.gravity_z: the orientation's squared norm is .*, not 1"
    ):
        reader("orientation.gravity_z")(pose(w=w))


@pytest.mark.parametrize(
    "path", ["", "a..b", "A", "data[-1]", "data[]", "a{}", "__class__", "a b", "data[1000]"]
)
def test_paths_that_are_none(path):
    with pytest.raises(BadInput, match="must read a.b.c"):
        reader(path)


def test_writing_what_is_read():
    message = Message(name=[], position=[], data=[], header=Message(x=0.0), points=[Message(positions=[])])
    for path, value in (("position{b}", 1), ("position{a}", 2), ("data[2]", 3), ("header.x", 4)):
        writer(path)(message, value)
        assert reader(path)(message) == value
    writer("points[0].positions[1]")(message, 5)
    assert message.points[0].positions == [0.0, 5.0]
    assert (message.name, message.position, message.data) == (["b", "a"], [1.0, 2.0], [0.0, 0.0, 3.0])


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("speed", "has no field 'speed'"),
        ("data.x", "list has no field 'x'"),
        ("points[0].x", "0 entries there"),
    ],
)
def test_writing_where_nothing_is(path, told):
    with pytest.raises(BadInput, match=told):
        writer(path)(Message(data=[], points=[]), 1.0)


def test_constants_keep_the_field_s_own_type():
    message = Message(points=[Message(time=Message(nanosec=0))], mode="", gain=0.0, on=False, flags=[])
    for path, value in (
        ("points[0].time.nanosec", 2e7),
        ("mode", "servo"),
        ("gain", 1.0),
        ("on", 1.0),
        ("flags[1]", 3.0),
    ):
        set_constant(message, path, value)
    found = (message.points[0].time.nanosec, message.mode, message.gain, message.on, message.flags)
    assert found == (20_000_000, "servo", 1.0, True, [0.0, 3.0]) and isinstance(found[0], int)


@pytest.mark.parametrize(("path", "value"), [("gain", "high"), ("mode", 1.0), ("points", 1.0)])
def test_constants_of_another_type_are_refused(path, value):
    with pytest.raises(BadInput, match=f"^{path}: holds .*, which cannot be set to"):
        set_constant(Message(gain=0.0, mode="", points=[]), path, value)
