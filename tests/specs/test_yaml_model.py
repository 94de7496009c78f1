"""YAML files become models, and every mistake in them one line that names file, field and rule."""

import pytest
from pydantic import Field

from robot_rl.errors import BadInput
from robot_rl.specs.yaml_model import SpecModel, load_yaml_model, read_yaml


class Joint(SpecModel):
    name: str
    limit: float = Field(1.0, gt=0)


class Robot(SpecModel):
    rate: float = Field(gt=0)
    joints: list[Joint] = []
    cameras: dict[str, Joint] | None = None


def load(tmp_path, text):
    path = tmp_path / "robot.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_yaml_model(path, Robot)


def test_a_good_file(tmp_path):
    robot = load(tmp_path, "rate: 5e1\njoints:\n- {name: hip, limit: 2}\n")
    assert robot == Robot(rate=50.0, joints=[Joint(name="hip", limit=2.0)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate: -3", r"robot.yaml: rate: Input should be greater than 0, not -3$"),
        ("rate: .nan", r"robot.yaml: rate: Input should be a finite number"),
        ("joints: []", r"robot.yaml: rate: this field is required$"),
        ("rate: 1\nratte: 2", r"ratte: unknown field. Did you mean 'rate'\? Known: rate, cameras, joints"),
        ("rate: 1\njoints: [{name: a, limt: 2}]", r"joints.0.limt: unknown field. Did you mean 'limit'"),
        ("rate: 1\ncameras: {top: {nam: a}}", r"cameras.top.name: .*required; cameras.top.nam: .*'name'"),
        ("a: 1\nb: 1\nc: 1\nd: 1", r"; and 2 more$"),
        ("rate: [", r"robot.yaml: line 1, column 8: not valid YAML"),
        ("rate: 1\nrate: 2", r"line 2, column 1: not valid YAML: field 'rate' is there twice"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML: could not determine a constructor"),
        ("- rate", "must hold lines of 'field: value', not list"),
        ("", "must hold lines of 'field: value', not NoneType"),
        (b"rate: \xff", "not a text file in UTF-8"),
    ],
)
def test_one_line_for_each_mistake(tmp_path, text, message):
    with pytest.raises(BadInput, match=message) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match="none.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")


def test_merge_keys_and_overrides_are_no_duplicates(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("base: &b {x: 1}\nuse: {<<: *b, x: 2}\n")
    assert read_yaml(path)["use"] == {"x": 2}
