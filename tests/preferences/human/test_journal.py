"""The journal: what it gives back after a kill, and which files it refuses."""

import json
import os

import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.human.history import DEPTH, History
from robot_rl.preferences.human.journal import Journal, journal_path
from robot_rl.preferences.types import Outcome, Preference


def given(p=1.0, **changes):
    return Preference(Outcome.PREFERENCE, p, "human", "anna", "page-1", **changes)


@pytest.fixture
def path(tmp_path):
    return journal_path(tmp_path / "labels.sqlite", "anna")


def write(path, count=3):
    journal = Journal(path)
    for i in range(count):
        journal.add(f"k{i}", given(i % 2, latency=i + 0.25, order="swapped"))
    journal.close()


def read(path, skip=()):
    journal, history = Journal(path), History()
    journal.replay(history, lambda key: key in skip)
    journal.close()
    return history


def test_answers_come_back_whole_and_in_order(path):
    write(path)
    assert path.name == "labels.sqlite.human-anna.jsonl"
    assert read(path).recent == [given(i % 2, latency=i + 0.25, order="swapped") for i in range(3)]


def test_every_outcome_comes_back(path):
    journal = Journal(path)
    answers = {
        "a": Preference(Outcome.TIE, 0.5, "human", "anna", "page-1"),
        "b": Preference(Outcome.CANNOT_TELL, None, "human", "anna", "page-1", latency=1.5),
    }
    for key, answer in answers.items():
        journal.add(key, answer)
    journal.close()
    assert read(path).recent == list(answers.values())


def test_an_undo_comes_back_with_its_count(path):
    write(path)
    journal = Journal(path)
    journal.undo("k2")
    journal.close()
    history = read(path)
    assert history.keys() == {"k0", "k1"} and history.attempt("k2") == 1 and history.last == "k1"


def test_answers_that_left_the_window_are_final_again(path):
    write(path, DEPTH + 5)
    assert list(read(path).final) == ["k0", "k1", "k2", "k3", "k4"]
    assert list(read(path, skip={"k0", "k1", "k2"}).final) == ["k3", "k4"]


@pytest.mark.parametrize("tail", [b'{"key":"k3","outc', b'{"key":"k3"}\n', b"\x00\x00\x00\n", b"7\n"])
def test_a_damaged_last_line_is_cut_off_and_the_next_answer_is_whole(path, tail):
    write(path)
    with path.open("ab") as file:
        file.write(tail)
    journal = Journal(path)
    journal.add("k9", given())
    journal.close()
    assert read(path).keys() == {"k0", "k1", "k2", "k9"}
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_damaged_line_in_the_middle_is_refused_by_its_number(path):
    write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"{oh no\n", *lines[2:]]))
    with pytest.raises(BadInput, match="human-anna.jsonl: line 3 is no answer"):
        Journal(path)
    assert len(path.read_bytes().splitlines()) == 5  # left as it was


def test_a_newer_journal_and_an_unwritable_place_are_refused(path, tmp_path):
    path.write_text('{"version":2}\n{"other":1}\n')
    with pytest.raises(BadInput, match="human-anna.jsonl: is of version 2, this robot-rl reads version 1"):
        Journal(path)
    with pytest.raises(BadInput, match="cannot be written"):
        Journal(tmp_path)


def test_two_runs_cannot_have_it_at_once(path):
    journal = Journal(path)
    with pytest.raises(BadInput, match="another run is using it"):
        Journal(path)
    journal.remove()
    assert not path.exists()
    Journal(path).close()


def test_a_write_that_fails_leaves_no_half_line(path, monkeypatch):
    write(path, 1)
    journal = Journal(path)
    write_some, room = os.write, [10]

    def write_until_full(file, data):
        if not room:
            raise OSError(28, "No space left on device")
        return write_some(file, data[: room.pop()])

    monkeypatch.setattr(os, "write", write_until_full)
    with pytest.raises(OSError, match="No space"):
        journal.add("k1", given())
    monkeypatch.undo()
    journal.add("k2", given())
    journal.close()
    assert read(path).keys() == {"k0", "k2"}
