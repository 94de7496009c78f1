"""Several datasets as one that says of which task each transition is."""

import numpy as np
import pytest

from robot_rl.data.episode import Episode
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from robot_rl.errors import BadInput
from robot_rl.learners.by_task import join_tasks
from robot_rl.learners.prepare import Scaler, prepare


def dataset(path, task, names, units, start, **changes):
    about = {"fps": 10, "robot_type": "arm", "action_names": ["push"], **changes}
    metadata = {"state_units": units, "action_units": ["1"], **({"task": task} if task else {})}
    writer = DatasetWriter(path, state_names=names, metadata=metadata, **about)
    states = start + np.arange(3 * len(names), dtype=np.float32).reshape(3, -1)
    actions = np.zeros((3, len(about["action_names"])), np.float32)
    final = {"state": states[-1] + 1}
    told = {"rewards": np.float32([0, 1, 2]), "final_observation": final}
    writer.write(0, Episode({"state": states}, actions, task=f"do {task}", fps=about["fps"], **told))
    writer.close()
    return Dataset.open(path)


def test_two_tasks_with_other_parts(tmp_path):
    a = dataset(tmp_path / "a", "open", ["x", "angle"], ["m", "rad"], 10)
    b = dataset(tmp_path / "b", "close", ["y", "x"], ["m", "m"], 100)
    c = dataset(tmp_path / "c", "open", ["x", "angle"], ["m", "rad"], 50)
    transitions, description = join_tasks([a, b, c], "next.reward")
    assert description.state_names == ("x", "angle", "y", "task.open", "task.close")
    assert description.state_units == ("m", "rad", "m", "1", "1")
    assert (description.task, description.task_text) == ("open", "do open; do close")
    np.testing.assert_array_equal(transitions.observations[0], [10, 11, 0, 1, 0])
    np.testing.assert_array_equal(transitions.observations[3], [101, 0, 100, 0, 1])
    np.testing.assert_array_equal(transitions.next_observations[5], [106, 0, 105, 0, 1])
    np.testing.assert_array_equal(transitions.observations[6], [50, 51, 0, 1, 0])
    assert transitions.frame.tolist() == list(range(9)) and transitions.rewards.tolist() == [0, 1, 2] * 3
    assert transitions.episode_ends.nonzero()[0].tolist() == [2, 5, 8]


def test_a_task_with_little_data_stays_0_and_1(tmp_path):
    a = dataset(tmp_path / "a", "open", ["x"], ["m"], 10)
    b = dataset(tmp_path / "b", "close", ["x"], ["m"], 100)
    transitions, description = join_tasks([a, b, a, a, a], None)
    prepared = prepare(transitions, description)
    np.testing.assert_allclose(prepared.transitions.observations[:, 1:].sum(1), 1, atol=1e-6)
    assert set(prepared.transitions.observations[:, 2].round(6).tolist()) == {0.0, 1.0}
    assert Scaler.measure(transitions, description).state_mean[0] > 0


def test_a_dataset_that_does_not_say_its_task_is_named_by_its_folder(tmp_path):
    a = dataset(tmp_path / "push_left", None, ["x"], ["m"], 10)
    b = dataset(tmp_path / "b", "close", ["x"], ["m"], 10)
    assert join_tasks([a, b], None)[1].state_names == ("x", "task.push_left", "task.close")


@pytest.mark.parametrize(
    ("changes", "units", "message"),
    [
        ({"robot_type": "hand"}, ["m"], "robot_type is hand, that of .*a arm; they must be alike"),
        ({"fps": 20}, ["m"], "fps is 20.0"),
        ({}, ["mm"], "task close: unit of 'x' is 'mm', elsewhere 'm'"),
    ],
)
def test_what_cannot_be_joined(tmp_path, changes, units, message):
    a = dataset(tmp_path / "a", "open", ["x"], ["m"], 10)
    with pytest.raises(BadInput, match=message):
        join_tasks([a, dataset(tmp_path / "b", "close", ["x"], units, 10, **changes)], None)
    with pytest.raises(BadInput, match="all datasets are of the task open"):
        join_tasks([a, a], None)
