"""A bag is read by a robot's contract: what the recorder heard comes back, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rl.data.findings import inspect_dataset
from robot_rl.data.importers import import_dataset
from robot_rl.data.store import Dataset
from robot_rl.deploy.boundaries import Boundaries
from robot_rl.deploy.recording import Recording
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import RobotContract
from tests.conftest import picture
from tests.data.importers.test_bags import HEADER, IMAGE, PARTS

pytest.importorskip("mcap_ros2")
import yaml  # noqa: E402
from mcap_ros2.writer import Writer  # noqa: E402

QUATERNION = "\n================\nMSG: geometry_msgs/Quaternion\nfloat64 x\nfloat64 y\nfloat64 z\nfloat64 w"
TYPES = {
    "sensor_msgs/msg/JointState": f"{HEADER}\nstring[] name\nfloat64[] position{PARTS}",
    "sensor_msgs/msg/Imu": f"{HEADER}\ngeometry_msgs/Quaternion orientation{QUATERNION}{PARTS}",
    "sensor_msgs/msg/Image": IMAGE,
    "std_msgs/msg/Float64MultiArray": "float64[] data",
}
PERIOD = 0.1  # s
CONTRACT: dict[str, Any] = {
    "name": "toy",
    "description": "an elbow that is sped up",
    "tested": "never",
    "robot": "toy",
    "control_rate": 1 / PERIOD,
    "ramp": 0,
    "sources": {
        "joints": {
            "topic": "joint_states", "type": "sensor_msgs/msg/JointState", "rate": 50, "stale": 0.1,
            "frame": "arm",
            "parts": {"elbow": {"field": "position{elbow}", "unit": "rad", "scale": 2, "offset": 1}},
        },
        "imu": {
            "topic": "imu", "type": "sensor_msgs/msg/Imu", "rate": 50, "stale": 0.1, "clock": "theirs",
            "parts": {"down": {"field": "orientation.gravity_z", "unit": "1"}},
        },
        "load": {
            "topic": "load", "type": "std_msgs/msg/Float64MultiArray", "rate": 1, "stale": 9,
            "required": False, "default": 7, "parts": {"load": {"field": "data[0]", "unit": "kg"}},
        },
    },
    "cameras": {"front": {"topic": "camera", "rate": 5, "stale": 1}},
    "previous_action": {"last": "speed"},
    "commands": {
        "arm": {
            "topic": "speed", "type": "std_msgs/msg/Float64MultiArray", "kind": "velocity", "timeout": 0.5,
            "parts": {
                "speed": {
                    "field": "data[0]", "unit": "rad/s", "scale": 4, "offset": 0.5, "low": -9, "high": 9,
                    "rate_limit": 9,
                }
            },
        }
    },
    "stop": {"mode": "zero"},
}  # fmt: skip


def contract_file(folder: Path, **changes: Any) -> Path:
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(CONTRACT | changes, sort_keys=False))
    return path


class Bag:
    """Writes messages as they would come, at times in seconds."""

    def __init__(self, path: Path, namespace: str = "") -> None:
        self._file = path.open("wb")
        self._writer, self._namespace = Writer(self._file), namespace
        self._types = {kind: self._writer.register_msgdef(kind, text) for kind, text in TYPES.items()}

    def say(self, topic: str, kind: str, time: float, late: float = 0.002, **message: Any) -> None:
        """Publish a message stamped `time`, which is published 1 ms and logged `late` s later."""
        log, published = (int((time + more) * 1e9) for more in (late, 0.001))
        name = next(name for name in TYPES if name.endswith("/" + kind))
        self._writer.write_message(
            f"{self._namespace}/{topic}", self._types[name], message, log_time=log, publish_time=published
        )

    def close(self) -> None:
        self._writer.finish()
        self._file.close()


def header(time: float, frame: str = "") -> dict:
    return {"stamp": {"sec": int(time), "nanosec": round(time % 1 * 1e9)}, "frame_id": frame}


START = 1000.0  # s
MODES = (
    ["inactive"] + ["running"] * 6 + ["stopped"] * 2 + ["running"] * 4  # a pause of 0.3 s
    + ["intervention"] * 3 + ["inactive"] + ["running"] * 5 + ["inactive"]
)  # fmt: skip


def run(bag: Bag, recording: Recording | None = None, guard: bool = True, gap: range = range(0)) -> None:
    """A run whose numbers are all different; what the recorder node would hear goes to `recording` too."""
    heard = None if recording is None else Boundaries(recording)
    for k, mode in enumerate(MODES):
        now = START + PERIOD * k
        for early in (0.04, 0.02):
            said, stamp = round(k - 10 * early, 3), now - early
            if k not in gap:
                places = {"name": ["wrist", "elbow"][:: 1 if k % 2 else -1], "position": [9.0, said]}
                places["position"] = places["position"][:: 1 if k % 2 else -1]
                # A reading is published late, after the command that was given later than it.
                bag.say("joint_states", "JointState", stamp, 0.05, header=header(stamp, "arm"), **places)
            turn = {"x": 0.0, "y": np.sin(said / 9), "z": 0.0, "w": np.cos(said / 9)}
            bag.say("imu", "Imu", stamp, header=header(5.0), orientation=turn)
            if recording:
                recording.heard("joints", {"elbow": 2 * said + 1}, stamp)
                recording.heard("imu", {"down": _down(turn)}, stamp + 0.001)
        if k == 4:
            bag.say("load", "Float64MultiArray", now - 0.01, data=[3.0])
            if recording:
                recording.heard("load", {"load": 3.0}, now - 0.01)
        if k % 3 == 0:
            _show(bag, recording, k, now - 0.03)
        speed = k / 10
        bag.say("speed", "Float64MultiArray", now, data=[4 * speed + 0.5])
        if guard:
            bag.say(
                "guard/executed",
                "JointState",
                now,
                header=header(now, mode),
                name=["speed"],
                position=[speed],
            )
        if heard:
            heard.guard(mode, now)
            heard.executed({"speed": speed}, now, mode, now)
            heard.tick(now + 0.001)
    bag.close()


def _down(turn: dict) -> float:
    return 2 * turn["x"] ** 2 + 2 * turn["y"] ** 2 - 1  # minus the last entry of the rotation matrix


def _show(bag: Bag, recording: Recording | None, k: int, time: float) -> None:
    frame = picture(k, 0)
    shape = {"height": 32, "width": 32, "encoding": "rgb8", "is_bigendian": 0, "step": 96}
    bag.say("camera", "Image", time, header=header(time), **shape, data=frame.tobytes())
    if recording:
        recording.seen("front", frame)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Dataset, Dataset]:
    """The same run as the recorder made a dataset of it, and as it comes from the bag."""
    contract = RobotContract.model_validate(CONTRACT)
    recording = Recording(contract, tmp_path / "rec", task="bend", min_free=0)
    run(Bag(tmp_path / "bag.mcap"), recording)
    made = Dataset.open(recording.close())
    robot = contract_file(tmp_path)
    import_dataset(tmp_path / "bag.mcap", tmp_path / "d", task="bend", robot=robot)
    return made, Dataset.open(tmp_path / "d")


def test_a_bag_comes_back_as_the_recorder_wrote_it(recorded: tuple[Dataset, Dataset]) -> None:
    made, imported = recorded
    assert imported.info.state_names == made.info.state_names == ("elbow", "down", "load", "last")
    assert imported.info.action_names == ("speed",) and imported.info.robot_type == "toy"
    assert imported.lengths.tolist() == made.lengths.tolist() == [13, 5]
    assert imported.info.fps == made.info.fps == 10
    np.testing.assert_array_equal(imported.column("action"), made.column("action"))
    np.testing.assert_allclose(imported.column("observation.state"), made.column("observation.state"), 1e-6)
    np.testing.assert_array_equal(imported.column("intervention"), made.column("intervention"))
    np.testing.assert_array_equal(
        imported.frames("front", np.arange(18)), made.frames("front", np.arange(18))
    )
    for ours, theirs in zip(imported, made, strict=True):
        np.testing.assert_allclose(ours.final_observation["state"][2:], theirs.final_observation["state"][2:])


def test_numbers_worked_by_hand(recorded: tuple[Dataset, Dataset]) -> None:
    state = recorded[1].episode(0).observations["state"]
    # Step 0 is command 1: the elbow was 0.8 at its last reading, 2 * 0.8 + 1; the command before was 0.
    np.testing.assert_allclose(state[0], [2.6, 2 * np.sin(0.8 / 9) ** 2 - 1, 7, 0], rtol=1e-6)
    np.testing.assert_allclose(state[3, 2:], [3, 0.3], rtol=1e-6)
    assert recorded[1].info.metadata["state_units"] == ["rad", "1", "kg", ""]
    assert "action_units" not in recorded[1].info.metadata  # an action of 1 is 4 rad/s


def test_without_a_guard_the_commands_are_the_actions_at_the_contracts_rate(tmp_path: Path) -> None:
    run(Bag(tmp_path / "bag.mcap", "/left"), guard=False)
    robot = contract_file(tmp_path)
    import_dataset(tmp_path / "bag.mcap", tmp_path / "d", task="bend", robot=robot)
    dataset = Dataset.open(tmp_path / "d")
    assert len(dataset) == 1
    actions = dataset.column("action")[:, 0]
    np.testing.assert_allclose(actions, np.arange(len(actions)) / 10, atol=1e-6)
    last = dataset.column("observation.state")[:, 3]
    np.testing.assert_allclose(last, [0, *actions[:-1]])


def test_what_the_bag_lacks_of_the_contract_is_noted_where_it_may_be_absent(tmp_path: Path) -> None:
    run(Bag(tmp_path / "bag.mcap"))
    sources = CONTRACT["sources"] | {"load": CONTRACT["sources"]["load"] | {"topic": "weight"}}
    robot = contract_file(tmp_path, sources=sources, cameras={"top": {"topic": "t", "rate": 5, "stale": 1}})
    report = import_dataset(tmp_path / "bag.mcap", tmp_path / "d", task="bend", robot=robot)
    assert report.cameras == ()
    assert "there is no message of 'weight': load is 7" in report.notes
    assert "camera 'top' is left out: there is no message of 't'" in report.notes
    assert (Dataset.open(tmp_path / "d").column("observation.state")[:, 2] == 7).all()


def changed(source: str, **values: Any) -> dict[str, Any]:
    return {"sources": CONTRACT["sources"] | {source: CONTRACT["sources"][source] | values}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            changed("joints", topic="arm/joints"),
            r"robot 'toy': there is no message of 'arm/joints' \(sensor_msgs/msg/JointState\); the bag's "
            "topics of this type are /guard/executed, /joint_states; correct the topic",
        ),
        (
            changed("joints", type="sensor_msgs/msg/Temperature"),
            r"/joint_states is a sensor_msgs/msg/JointState\); none of the bag's topics has this type",
        ),
        (changed("joints", frame="base"), "its frame is 'arm', the contract says 'base'"),
        (
            changed("joints", parts={"elbow": {"field": "position{knee}", "unit": "rad"}}),
            r"/joint_states: position\{knee\}: joint 'knee': the message has no such joint; it names",
        ),
    ],
)
def test_a_contract_that_does_not_fit_is_named(tmp_path: Path, changes: dict, words: str) -> None:
    run(Bag(tmp_path / "bag.mcap"))
    with pytest.raises(BadInput, match=words):
        robot = contract_file(tmp_path, **changes)
        import_dataset(tmp_path / "bag.mcap", tmp_path / "d", task="bend", robot=robot)
    assert not (tmp_path / "d").exists()


def test_an_unknown_robot_lists_the_known_ones(tmp_path: Path) -> None:
    run(Bag(tmp_path / "bag.mcap"))
    with pytest.raises(BadInput, match="no robot 'ur5e_serv'. Did you mean 'ur5e_servo'. Known: .*go2"):
        import_dataset(tmp_path / "bag.mcap", tmp_path / "d", task="bend", robot="ur5e_serv")
    with pytest.raises(BadInput, match="give one of them"):
        import_dataset(tmp_path / "bag.mcap", tmp_path / "d", task="x", robot="go2", mapping="m.yaml")


def test_a_bag_that_is_cut_before_its_first_message_is_named(tmp_path: Path) -> None:
    run(Bag(tmp_path / "bag.mcap"))
    data = (tmp_path / "bag.mcap").read_bytes()
    (tmp_path / "bag.mcap").write_bytes(data[: len(data) // 2])  # of a single chunk
    with pytest.raises(BadInput, match="bag.mcap: no message of it can be read; try `mcap recover`"):
        import_dataset(tmp_path / "bag.mcap", tmp_path / "d", task="x", robot=contract_file(tmp_path))


def test_the_folder_of_a_recording_says_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "rec/raw").mkdir(parents=True)
    with pytest.raises(
        BadInput, match="recording's folder; its dataset is .*dataset, and its bags are in .*raw"
    ):
        import_dataset(tmp_path / "rec", tmp_path / "d", task="x", robot="go2")


def test_a_robot_is_for_bags_alone(tmp_path: Path) -> None:
    from tests.data.importers import files

    with pytest.raises(BadInput, match="is a robomimic HDF5 file; 'robot' is for bags"):
        import_dataset(files.robomimic(tmp_path / "x.hdf5"), tmp_path / "d", task="x", robot="go2")


def test_a_source_that_falls_silent_is_found_with_its_steps(tmp_path: Path) -> None:
    run(Bag(tmp_path / "bag.mcap"), guard=False, gap=range(9, 11))
    import_dataset(tmp_path / "bag.mcap", tmp_path / "d", task="bend", robot=contract_file(tmp_path))
    found = [f for f in inspect_dataset(Dataset.open(tmp_path / "d")).findings if f.channel == "source.stamp"]
    assert [f.kind for f in found] == ["time", "gap"]
    # Joints were last heard just before command 8; commands 8 to 10 stand beside that reading.
    first, last = found[0].places[0], found[0].places[-1]
    assert (first.episode, first.last, last.last) == (0, 9, 10)
    assert str(found[1].places[0]) == "episode 0, steps 10-11"
