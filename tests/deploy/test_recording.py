"""What a recording makes of streams: which reading stands beside which command, and what survives a kill."""

from __future__ import annotations

import resource
import subprocess
import sys

import numpy as np
import pytest

from robot_rl.data.store import Dataset
from robot_rl.deploy.journal import Journal, Plan, Row, read_journal
from robot_rl.deploy.recording import Recording
from robot_rl.errors import BadInput
from tests.deploy.contracts import position_contract, velocity_contract

CAMERA = {"cameras": {"side": {"topic": "image", "rate": 5, "stale": 1}}}


def recording(tmp_path, contract=None, **more) -> Recording:
    return Recording(contract or velocity_contract(), tmp_path / "rec", task="move", min_free=0, **more)


def picture(value: int) -> np.ndarray:
    return np.full((16, 16, 3), value, np.uint8)


def episodes_of(path):
    dataset = Dataset.open(path)
    return [dataset.episode(k) for k in range(len(dataset))]


def drive(made: Recording, count: int, first: float = 0.0) -> None:
    """Commands 0, 1, 2… at 10 Hz, each 10 ms after a reading of ten times its number."""
    for k in range(count):
        made.heard("x", {"x": 10.0 * k}, first + 0.1 * k)
        made.executed({"a": float(k)}, first + 0.1 * k + 0.01)


def test_a_row_holds_the_newest_reading_before_its_command(tmp_path):
    made = recording(tmp_path)
    made.heard("x", {"x": 1.0}, 0.0)
    made.start()
    made.heard("x", {"x": 2.0}, 0.20)  # arrives before the command, was taken after it
    made.executed({"a": 0.5}, 0.1)
    made.executed({"a": 0.6}, 0.2)
    made.heard("x", {"x": 3.0}, 0.29)
    made.heard("x", {"x": 4.0}, 0.45)
    made.stop("done")
    episode = episodes_of(made.close())[0]
    assert episode.observations["state"].tolist() == [[1.0], [2.0]]
    np.testing.assert_allclose(episode.actions, [[0.5], [0.6]])
    assert episode.final_observation["state"].tolist() == [3.0]
    assert episode.metadata["ended"] == "done"
    assert episode.metadata["seconds"] == pytest.approx(0.1)


def test_reward_and_success_belong_to_the_command_that_they_follow(tmp_path):
    made = recording(tmp_path, rewards=True)
    made.heard("x", {"x": 0.0}, 0.0)
    made.start()
    made.executed({"a": 0.0}, 0.05)  # no reward has been heard: no row
    assert made.missing() == "no reward has been heard yet"
    made.judged(reward=9.0, success=True)  # of the time before the start
    made.start()
    made.executed({"a": 0.1}, 0.1)
    made.judged(reward=1.0, success=False)
    made.executed({"a": 0.2}, 0.2, intervention=True)
    made.judged(reward=2.0, success=True)
    made.stop("done")
    episode = episodes_of(made.close())[0]
    assert episode.rewards.tolist() == [1.0, 2.0]
    assert episode.success.tolist() == [False, True]
    assert episode.labels["intervention"].tolist() == [0.0, 1.0]


def test_the_state_has_the_order_of_the_policy_and_the_action_before(tmp_path):
    contract = velocity_contract(previous_action={"last": "a"})
    made = recording(tmp_path, contract, state_names=("last", "x"))
    made.start()
    drive(made, 3)
    made.stop("done")
    assert episodes_of(made.close())[0].observations["state"].tolist() == [[0, 0], [0, 10], [1, 20]]


def test_pictures_repeat_until_the_next_one_and_none_is_recorded_before_the_first(tmp_path):
    made = recording(tmp_path, velocity_contract(**CAMERA))
    made.start()
    made.heard("x", {"x": 0.0}, 0.0)
    made.executed({"a": 0.0}, 0.1)
    assert "camera 'side' has not been heard" in made.waiting
    for k, shade in enumerate((40, None, 200)):
        if shade is not None:
            made.seen("side", picture(shade))
        made.executed({"a": 0.0}, 0.2 + 0.1 * k)
    made.stop("done")
    frames = episodes_of(made.close())[0].observations["image.side"]
    assert len(frames) == 3
    np.testing.assert_allclose(np.asarray(frames).mean((1, 2, 3)), [40, 40, 200], atol=4)


def test_a_picture_of_another_size_ends_the_recording_by_name(tmp_path):
    made = recording(tmp_path, velocity_contract(**CAMERA))
    made.seen("side", picture(0))
    made.start()
    drive(made, 3)
    made.seen("side", np.zeros((8, 8, 3), np.uint8))
    made.executed({"a": 0.0}, 9.0)
    assert "camera 'side': pictures are 8x8 now, 16x16 before" in made.problem


def test_short_and_overlong_episodes(tmp_path):
    made = recording(tmp_path, max_steps=3)
    made.start()
    drive(made, 1)
    made.start()  # the one before had a single row
    drive(made, 5, first=10.0)
    made.stop("done")
    episodes = episodes_of(made.close())
    assert [len(episode) for episode in episodes] == [3, 2]
    assert episodes[0].final_observation["state"].tolist() == [30.0]


def test_nothing_is_recorded_outside_episodes(tmp_path):
    made = recording(tmp_path)
    drive(made, 4)
    assert made.close() is None
    assert not (tmp_path / "rec" / "dataset.staging").exists()


def test_closed_episodes_are_staged_while_the_next_one_runs(tmp_path):
    made = recording(tmp_path)
    for first in (0.0, 10.0):
        made.start()
        drive(made, 3, first)
    made.sync()
    made._worker.join()
    assert (tmp_path / "rec" / "dataset.staging" / "episode-000000").is_dir()
    assert not (tmp_path / "rec" / "journal" / "episode-000000").exists()
    made.close()


def test_a_folder_with_a_finished_or_another_recording_is_refused(tmp_path):
    made = recording(tmp_path)
    made.start()
    drive(made, 3)
    with pytest.raises(BadInput, match="unfinished recording has robot = 'axis', not 'other'"):
        recording(tmp_path, velocity_contract(robot="other"))
    made.close()
    with pytest.raises(BadInput, match="already holds a finished recording"):
        recording(tmp_path)


def test_too_little_room_stops_the_recording_until_there_is_some(tmp_path):
    room = [1000.0]
    made = Recording(
        velocity_contract(), tmp_path / "rec", task="move", min_free=500, free=lambda path: room[0]
    )
    made.start()
    drive(made, 3)
    room[0] = 499.0
    made.sync()
    assert "less than 500 MB are free" in made.problem
    drive(made, 3, first=1.0)  # not recorded
    room[0] = 1000.0
    made.sync()
    assert not made.problem
    drive(made, 4, first=2.0)
    episodes = episodes_of(made.close())
    assert [len(episode) for episode in episodes] == [2, 4]  # the first one's last row was not yet judged


def test_a_write_that_fails_stops_the_recording_and_raises_nothing(tmp_path):
    made = recording(tmp_path)
    made.start()
    drive(made, 3)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        drive(made, 10, first=1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "make room" in made.problem
    assert len(episodes_of(made.close())[0]) == 2


KILLED = """
import sys
from pathlib import Path
from robot_rl.deploy.recording import Recording
from tests.deploy.contracts import velocity_contract
from tests.deploy.test_recording import CAMERA, drive, picture
made = Recording(velocity_contract(**CAMERA), Path(sys.argv[1]), task="move", min_free=0)
made.seen("side", picture(7))
made.start()
drive(made, 5)
made.stop("done")
made.start()
for k in range(10_000):
    made.seen("side", picture(k % 256))
    drive(made, 1, first=10.0 + 0.1 * k)
    print(k, flush=True)
"""


def test_a_killed_recorder_loses_at_most_the_row_it_was_writing(tmp_path):
    out = tmp_path / "rec"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(out)], stdout=subprocess.PIPE, text=True)
    while int(child.stdout.readline()) < 40:
        pass
    child.kill()
    done = max([40, *(int(line) for line in child.stdout.read().split())])
    child.wait()
    line = [sys.executable, "-m", "robot_rl.deploy.recording_folder", str(out)]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(out / "dataset")
    episodes = episodes_of(out / "dataset")
    assert len(episodes[0]) == 5
    assert done - 1 <= len(episodes[1]) <= done + 1
    assert episodes[1].metadata["recovered"] is True
    last = np.asarray(episodes[1].observations["image.side"][-1]).mean()
    assert last == pytest.approx((len(episodes[1]) - 1) % 256, abs=4)


def test_a_recording_goes_on_where_a_killed_one_was(tmp_path):
    made = recording(tmp_path)
    made.start()
    drive(made, 4)
    made._journal.close()  # killed: nothing is ended
    again = recording(tmp_path)
    again.sync()
    again.start()
    drive(again, 6, first=5.0)
    assert [len(e) for e in episodes_of(again.close())] == [3, 6]


@pytest.fixture
def journal(tmp_path):
    plan = Plan(10.0, ("x",), ("a",), {"side": (2, 2)}, "axis", "move", rewards=False)
    made = Journal(tmp_path / "episode-000000", plan, {})
    for k in range(6):
        place = made.picture("side", np.full((2, 2, 3), k, np.uint8))
        made.append(Row(0.1 * k, np.array([float(k)]), np.array([0.0]), False, 0.0, False, [place]))
    made.close()
    return made.folder


@pytest.mark.parametrize("cut", range(0, 68, 7))
def test_a_journal_cut_anywhere_reads_up_to_the_last_whole_row(journal, cut):
    rows = journal / "rows.bin"
    size = 8 * 7 + 4
    assert rows.stat().st_size == 6 * size
    with rows.open("r+b") as file:
        file.truncate(6 * size - cut)
    assert len(read_journal(journal)) == 6 - -(-cut // size)


def test_a_journal_ends_before_a_damaged_row_or_picture(journal):
    with (journal / "side.bin").open("r+b") as file:
        file.seek(4 * 16 + 3)
        file.write(b"\xff")  # picture 4; a power cut may leave anything
    assert len(read_journal(journal)) == 4
    with (journal / "rows.bin").open("r+b") as file:
        file.seek(3 * 60)
        file.write(b"\xff")
    assert len(read_journal(journal)) == 3


def test_position_contracts_record_too(tmp_path):
    made = recording(tmp_path, position_contract())
    made.start()
    drive(made, 3)
    assert len(episodes_of(made.close())[0]) == 3
