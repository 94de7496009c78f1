"""A whole dataset: clean ones say nothing, broken ones are told with episode numbers, and nothing stops."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_rl.data.findings import KINDS, inspect_dataset
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from tests.conftest import make_episode, make_writer
from tests.data.real import real


def replace_column(dataset, name, values):
    [path] = dataset.data_files
    table = pq.read_table(path)
    at = table.column_names.index(name)
    pq.write_table(table.set_column(at, name, pa.array(values).cast(table.schema.field(name).type)), path)
    return Dataset.open(dataset.root)


def test_a_clean_dataset(tiny_dataset):
    found = inspect_dataset(tiny_dataset)
    assert found.findings == () and found.pictured == (0, 1, 2, 3)
    assert sorted(found.signals) == ["action", "reward", "state", "success"]
    assert inspect_dataset(tiny_dataset, [2, 1]).pictured == (1, 2)
    assert inspect_dataset(tiny_dataset, 2).pictured == (0, 3)


def test_a_state_that_is_not_finite_is_found_and_still_refused_for_learning(tiny_dataset):
    values = tiny_dataset.column("observation.state").copy()
    values[30, 2] = np.nan
    dataset = replace_column(tiny_dataset, "observation.state", list(values))
    [found] = inspect_dataset(dataset).findings
    assert found.kind == "nan" and found.channel == "state.joint_2"
    assert str(found.places[0]) == "episode 2, step 6"
    try:
        dataset.column("observation.state")
    except Exception as error:
        assert "not finite in episode 2, frame 6" in str(error)
    else:
        raise AssertionError("a learner got NaN")


def test_time_stamps_of_the_file(tiny_dataset):
    stamps = tiny_dataset.column("timestamp").copy()
    stamps[20:24] += 0.5
    [found] = inspect_dataset(replace_column(tiny_dataset, "timestamp", stamps)).findings
    assert found.kind == "gap" and str(found.places[0]) == "episode 1, steps 7-8"


def test_a_broken_video_is_a_finding(tiny_dataset):
    tiny_dataset.camera("front").files()[0].write_bytes(b"no video")
    [found] = inspect_dataset(Dataset.open(tiny_dataset.root)).findings
    assert (found.kind, found.level, found.channel) == ("video", "error", "camera front")
    assert found.episodes == (0, 1, 2, 3) and "cannot be opened" in found.what


def test_a_dark_camera_and_a_copied_episode(tmp_path):
    writer = make_writer(tmp_path / "d")
    for index in range(3):
        episode = make_episode(index % 2, steps=30)
        if index == 1:
            episode.observations["image.front"][10:] = 2
        writer.write(index, episode)
    writer.close()
    found = {one.kind: one for one in inspect_dataset(Dataset.open(tmp_path / "d")).findings}
    assert found["duplicate"].episodes == (2,) and found["dark"].episodes == (1,)


def test_units_of_the_metadata(tmp_path):
    units = {"state_units": ["rad"] * 7, "action_units": ["1"] * 4}
    writer: DatasetWriter = make_writer(tmp_path / "d", metadata=units)
    episode = make_episode(0, steps=40)
    episode.observations["state"][:] *= 100
    writer.write(0, episode)
    writer.close()
    [found] = [f for f in inspect_dataset(Dataset.open(tmp_path / "d")).findings if f.kind == "units"]
    assert "in rad looks like degrees" in found.what


def test_the_real_door_has_no_errors(tmp_path):
    from robot_rl.data.importers import import_dataset

    import_dataset(real("door_human") / "door_human.hdf5", tmp_path / "d", task="open", fps=25.0)
    found = inspect_dataset(Dataset.open(tmp_path / "d")).findings
    assert {one.level for one in found} <= {"note"} and {one.kind for one in found} <= set(KINDS)


def test_what_the_source_did_not_have_is_no_finding(tmp_path):
    """Clips without numbers have a zero for state and action: nothing stands still, nothing is copied."""
    names = {"state_names": ["no_state"], "action_names": ["no_action"]}
    made = make_writer(tmp_path / "d", **names, metadata={"placeholders": ["state", "action"]})
    for index in range(3):
        episode = make_episode(index)
        zeros = np.zeros((12, 1), np.float32)
        observations = {**episode.observations, "state": zeros}
        made.write(index, replace(episode, observations=observations, actions=zeros, final_observation=None))
    made.close()
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.placeholders == ("state", "action")
    assert inspect_dataset(dataset).findings == ()
