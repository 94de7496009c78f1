"""Message definitions made from classes read as those of message files do."""

from __future__ import annotations

from robot_rl.deploy.definitions import definition


def message(**fields: str) -> type:
    return type("Made", (), {"get_fields_and_field_types": classmethod(lambda cls: fields)})


KINDS = {
    "builtin_interfaces/msg/Time": message(sec="int32", nanosec="uint32"),
    "std_msgs/msg/Header": message(stamp="builtin_interfaces/Time", frame_id="string"),
    "a_msgs/msg/Point": message(x="double"),
}


def test_a_definition_holds_each_nested_message_once():
    kind = message(
        header="std_msgs/Header",
        ok="boolean",
        raw="sequence<octet>",
        covariance="double[9]",
        name="string<10>",
        few="sequence<float, 3>",
        points="sequence<a_msgs/Point>",
        corner="a_msgs/Point[2]",
    )
    line = "=" * 80
    assert definition(kind, KINDS.__getitem__) == (
        "std_msgs/Header header\nbool ok\nbyte[] raw\nfloat64[9] covariance\nstring<=10 name\n"
        "float32[<=3] few\na_msgs/Point[] points\na_msgs/Point[2] corner\n"
        f"{line}\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
        f"{line}\nMSG: a_msgs/Point\nfloat64 x\n"
        f"{line}\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
    )
