"""The queue between robot and learner: what was appended is read, after kills and with a full disk too."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from robot_rl.deploy.claim import Claim
from robot_rl.deploy.durable_queue import DurableQueue, Executed, QueueFull
from robot_rl.errors import BadInput, RobotRLError

NAMES = ("x", "y"), ("push",)


def step(k, episode=0, **changes):
    values = {"observation": [k, 0.5], "action": [-k], "reward": k / 4, "next_observation": [k + 1, 0.5]}
    return Executed(episode=episode, task="open", **{**values, **changes})


def test_what_was_appended_is_read_back(tmp_path):
    queue = DurableQueue(tmp_path / "run" / "queue.sqlite", *NAMES)
    assert (queue.count(), queue.next_episode(), queue.read()) == (0, 0, [])
    assert [queue.append(step(k, weights=7, stamp=k / 8)) for k in range(3)] == [1, 2, 3]
    told = {"terminated": True, "success": 0.75, "intervention": True, "ended": "success"}
    assert queue.append(step(3, **told)) == 4
    reader = DurableQueue(tmp_path / "run" / "queue.sqlite", *NAMES)
    found = reader.read(after=1)
    assert [id_ for id_, _ in found] == [2, 3, 4] and reader.count() == 4 and reader.next_episode() == 1
    first, last = found[0][1], found[-1][1]
    np.testing.assert_array_equal(first.observation, np.float32([1, 0.5]))
    np.testing.assert_array_equal(first.action, np.float32([-1]))
    np.testing.assert_array_equal(first.next_observation, np.float32([2, 0.5]))
    assert (first.reward, first.weights, first.stamp, first.last, first.task) == (
        0.25,
        7,
        0.125,
        False,
        "open",
    )
    assert (last.terminated, last.truncated, last.success, last.intervention) == (True, False, 0.75, True)
    assert last.ended == "success" and [id_ for id_, _ in reader.read(0, limit=2)] == [1, 2]


def test_the_newest_is_held_back_until_it_is_known_how_it_goes_on(tmp_path):
    queue = DurableQueue(tmp_path / "q", *NAMES)
    queue.append(step(0))
    assert queue.read() == []
    queue.append(step(1))
    assert [id_ for id_, _ in queue.read()] == [1]
    queue.append(step(0, episode=1))  # episode 0 never ended: its robot's process was killed
    (_, cut) = queue.read(after=1)[0]
    assert cut.truncated and cut.ended == "broken" and not queue.read(after=1)[0][1].terminated
    assert len(queue.read(after=1, limit=1)) == 1


def test_other_parts_of_the_state_and_other_files_are_refused(tmp_path):
    DurableQueue(tmp_path / "q", *NAMES)
    with pytest.raises(BadInput, match="state is 'x,y', not 'x'; choose another folder"):
        DurableQueue(tmp_path / "q", ("x",), ("push",))
    (tmp_path / "other").write_bytes(b"no database at all" * 100)
    with pytest.raises(BadInput, match="is not a queue of transitions"):
        DurableQueue(tmp_path / "other", *NAMES)


def test_bad_numbers_are_refused(tmp_path):
    queue = DurableQueue(tmp_path / "q", *NAMES)
    with pytest.raises(RobotRLError, match=r"action of an executed step has shape \(2,\), not \(1,\)"):
        queue.append(step(0, action=[1, 2]))
    for bad in ({"reward": np.nan}, {"observation": [np.inf, 0]}):
        with pytest.raises(RobotRLError, match="not finite"):
            queue.append(step(0, **bad))
    assert queue.count() == 0


def test_damage_is_noticed(tmp_path):
    queue = DurableQueue(tmp_path / "q", *NAMES)
    for k in range(3):
        queue.append(step(k))
    db = sqlite3.connect(tmp_path / "q")
    db.execute("UPDATE transitions SET numbers = zeroblob(length(numbers)) WHERE id = 2")
    db.commit()
    with pytest.raises(RobotRLError, match="transition 2 is missing or damaged"):
        queue.read()
    db.execute("DELETE FROM transitions WHERE id = 2")
    db.commit()
    with pytest.raises(RobotRLError, match="transition 2 is missing or damaged"):
        queue.read()


WRITER = """
import sys
from pathlib import Path
from tests.deploy.test_durable_queue import NAMES, step
from robot_rl.deploy.durable_queue import DurableQueue
queue = DurableQueue(Path(sys.argv[1]), *NAMES)
episode, k = queue.next_episode(), 0
while True:
    print(queue.append(step(k, episode)), flush=True)
    k += 1
"""


def test_a_killed_writer_loses_nothing_it_was_told_of(tmp_path):
    path, told = tmp_path / "q", 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(200):
            told = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        lines = process.stdout.read().split()  # what it said before it was killed
        process.wait()
        told = max(told, *map(int, lines[:-1]), told)
        assert DurableQueue(path, *NAMES).count() >= told
    queue = DurableQueue(path, *NAMES)
    found = queue.read(limit=10**6)
    assert [id_ for id_, _ in found] == list(range(1, queue.count()))  # the newest one goes on
    assert [one.ended for _, one in found].count("broken") == 2


def test_a_full_disk_refuses_loses_nothing_and_goes_on(tmp_path):
    queue = DurableQueue(tmp_path / "q", *NAMES)
    queue.append(step(0))
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = max(p.stat().st_size for p in tmp_path.glob("q*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, limits[1]))
    try:
        stored = 1
        with pytest.raises(QueueFull, match="takes no more .*; make room, and it goes on"):
            for k in range(1, 10_000):
                queue.append(step(k))
                stored += 1
        assert queue.count() == stored
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert queue.append(step(stored)) == stored + 1
    found = DurableQueue(tmp_path / "q", *NAMES).read(limit=10**6)
    assert [one.reward for _, one in found] == [k / 4 for k in range(stored)]


def test_room_is_looked_for_before_a_step(tmp_path):
    queue = DurableQueue(tmp_path / "q", *NAMES, min_free=50, free=lambda _: 49.0)
    assert queue.room().startswith("less than 50 MB are free")
    assert DurableQueue(tmp_path / "q", *NAMES, free=lambda _: 51.0).room() == ""


def test_a_reader_beside_a_writer_sees_every_one_once(tmp_path):
    path = tmp_path / "q"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    queue, seen, deadline = DurableQueue(path, *NAMES), [], time.monotonic() + 60
    while len(seen) < 300 and time.monotonic() < deadline:
        seen += [id_ for id_, _ in queue.read(len(seen), limit=50)]
        for _ in range(20):
            process.stdout.readline()
    process.kill()
    process.communicate()
    assert seen == list(range(1, len(seen) + 1)) and len(seen) >= 300


def test_one_writer_at_a_time_until_its_process_ends(tmp_path):
    claim = Claim(tmp_path, "actor")
    with pytest.raises(BadInput, match=rf"another process \(id {os.getpid()}\) is its actor already"):
        Claim(tmp_path, "actor")
    Claim(tmp_path, "learner").release()
    claim.release()
    Claim(tmp_path, "actor").release()
