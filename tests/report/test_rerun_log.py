"""Files for the Rerun viewer hold the dataset's numbers and pictures, read back with the SDK itself."""

import numpy as np
import pytest

from robot_rl.data.findings import inspect_dataset
from robot_rl.errors import BadInput
from robot_rl.report.rerun_log import write_rerun


def test_what_is_written_is_read_back(tiny_dataset, tmp_path):
    rerun = pytest.importorskip("rerun")
    inspection = inspect_dataset(tiny_dataset)
    paths = write_rerun(tmp_path / "r", tiny_dataset, inspection, [1, 3], ["front"])
    assert [path.name for path in paths] == ["episode_000001.rrd", "episode_000003.rrd"]
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [path.name for path in paths]
    recording = rerun.dataframe.load_recording(paths[1])
    assert recording.recording_id() == "tiny/episode_000003"
    table = recording.view(index="step", contents="/**").select().read_all()
    episode = tiny_dataset.episode(3)
    state = np.array(table.column("/state:Scalar").to_pylist())
    np.testing.assert_array_equal(state.astype(np.float32), episode.observations["state"])
    reward = np.array(table.column("/reward:Scalar").to_pylist()).ravel()
    np.testing.assert_array_equal(reward.astype(np.float32), episode.rewards)
    seconds = np.array([t.total_seconds() for t in table.column("time").to_pylist()])
    np.testing.assert_allclose(seconds, np.arange(12) / 10)
    [blob] = table.column("/camera/front:Blob").to_pylist()[0]
    assert bytes(blob)[:3] == b"\xff\xd8\xff"


def test_a_file_in_the_way(tiny_dataset, tmp_path):
    pytest.importorskip("rerun")
    (tmp_path / "r").write_text("x")
    with pytest.raises(BadInput, match="is a file; give a folder"):
        write_rerun(tmp_path / "r", tiny_dataset, inspect_dataset(tiny_dataset), [0], [])
