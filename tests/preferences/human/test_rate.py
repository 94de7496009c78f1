"""Whole rating runs over real HTTP: several raters, early ends, Ctrl-C, kill -9, and going on."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
from robot_rl.errors import BadInput, RobotRLError
from robot_rl.preferences.human.history import DEPTH
from robot_rl.preferences.human.journal import Journal, journal_path
from robot_rl.preferences.human.rate import rate
from robot_rl.preferences.run import make_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Outcome, Pair, image_hash
from tests.preferences.human.scripted import Client, Crowd, brighter, rate_all
from tests.preferences.human.setup import FRAMES, config, level, questions

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as opened:
        yield opened


def run(store, asked, *raters, crowd=None, progress=None, **changes):
    crowd = crowd or Crowd()
    ratings = rate(config(*raters, **changes), asked, FRAMES, store, progress, crowd)
    crowd.done()
    return ratings


def truth(asked):
    return [float(level(q.pair.second) > level(q.pair.first)) for q in asked]


def leftovers(store):
    return list(store.path.parent.glob("*.jsonl"))


def test_one_rater_answers_everything_and_a_rerun_asks_nothing(store):
    asked, told, nobody = questions(30), [], Crowd()
    ratings = run(store, asked, "anna", progress=told.append)
    assert [a.p for a in ratings.answers] == truth(asked)
    assert {a.model for a in ratings.answers} == {"anna"} and sum(told) == 30
    assert ratings.given == {"anna": 30} and ratings.pace["anna"] == pytest.approx(120.0)
    again = run(store, asked, "anna", crowd=nobody, progress=told.append)
    assert again == ratings and not nobody.lines and sum(told) == 60
    assert not leftovers(store)


def test_several_raters_share_some_and_divide_the_rest(store):
    asked = questions(40)
    lazy = Crowd(ben=lambda link: rate_all(link, lambda client, question: "tie"))
    ratings = run(store, asked, "anna", "ben", crowd=lazy, shared=0.25)
    both = [i for i in range(40) if i in ratings.per_rater["anna"] and i in ratings.per_rater["ben"]]
    assert len(both) == 10 and ratings.given == {"anna": 25, "ben": 25} and ratings.unanswered == 0
    for i, (answer, right) in enumerate(zip(ratings.answers, truth(asked), strict=True)):
        if i in both:
            assert answer.p == (right + 0.5) / 2 and answer.model == "anna+ben"
        else:
            assert answer.p == (right if answer.model == "anna" else 0.5)
    (agreement,) = ratings.agreement
    assert (agreement.questions, agreement.observed, agreement.kappa) == (10, 0.0, 0.0)


def test_who_ends_early_leaves_the_rest_unanswered_and_goes_on_next_time(store):
    asked = questions(12)
    ratings = run(store, asked, "anna", crowd=Crowd(most=5))
    assert ratings.unanswered == 7 and len(ratings.per_rater["anna"]) == 5
    assert {a.error for a in ratings.answers if a.outcome is Outcome.FAILED} == {"not answered yet"}
    seen = []
    ratings = run(store, asked, "anna", crowd=Crowd(lambda c, q: seen.append(q["key"]) or brighter(c, q)))
    assert len(set(seen)) == len(seen) == 7 and [a.p for a in ratings.answers] == truth(asked)


def test_a_rater_who_joins_later_is_not_asked_what_is_answered(store):
    asked = questions(20)
    run(store, asked, "anna", crowd=Crowd(most=14))
    seen = []
    crowd = Crowd(
        anna=lambda link: rate_all(link, most=0),
        ben=lambda link: rate_all(link, lambda c, q: seen.append(q["key"]) or brighter(c, q)),
    )
    ratings = run(store, asked, "anna", "ben", crowd=crowd, shared=0.0)
    first = ratings.per_rater["anna"]
    assert len(first) == 14 and not set(first) & set(ratings.per_rater["ben"])
    assert len(seen) == len(ratings.per_rater["ben"]) <= 6


def test_another_seed_finds_the_answers_given_with_the_sides_the_other_way_round(store):
    asked, nobody = questions(20), Crowd()
    first = run(store, asked, "anna")
    again = run(store, asked, "anna", crowd=nobody, seed=7)
    assert not nobody.lines and again.answers == first.answers


def test_pictures_come_from_a_dataset_s_video(store, tiny_dataset):
    frames = partial(tiny_dataset.frames, "front")
    asked = make_questions([Pair(3, 40), Pair(20, 7)], frames, "the drawer is open")
    looked = []

    def look(link):
        client = Client(link)
        for _ in asked:
            question = client.state()["question"]
            looked.extend(image_hash(client.picture(question[side])) for side in ("first", "second"))
            client.answer(question, "first")

    crowd = Crowd(anna=look)
    rate(config("anna"), asked, frames, store, announce=crowd)
    crowd.done()
    assert sorted(looked) == sorted(h for q in asked for h in (q.first_hash, q.second_hash))


def test_questions_of_one_content_are_asked_once(store):
    ratings = run(store, questions(5) + questions(5), "anna")
    assert ratings.given == {"anna": 5} and ratings.answers[:5] == ratings.answers[5:]


def test_an_undone_answer_never_reaches_the_store(store):
    def wavering(link):
        client = Client(link)
        question = client.state()["question"]
        client.undo(client.answer(question, "cannot_tell")["undo"])
        rate_all(link)

    told = []
    ratings = run(store, questions(4), "anna", crowd=Crowd(anna=wavering), progress=told.append)
    assert [a.p for a in ratings.answers] == truth(questions(4))
    assert store.counts()[Outcome.CANNOT_TELL] == 0 and sum(told) == 4


def test_what_leaves_the_window_is_stored_while_the_run_goes_on(store):
    asked, seen = questions(DEPTH + 6), []

    def watching(link):
        client = Client(link)
        for _ in range(DEPTH + 4):
            state = client.state()
            client.answer(state["question"], "first")
        for _ in range(100):
            with LabelStore(store.path) as other:
                seen.append(sum(other.counts().values()))
            if seen[-1] >= 4:
                break
            time.sleep(0.05)
        client.ask("finish", {"finished": True})

    run(store, asked, "anna", crowd=Crowd(anna=watching))
    assert max(seen) == 4 and sum(store.counts().values()) == DEPTH + 4


def test_a_journal_that_cannot_be_written_ends_the_run_and_the_answer_is_not_shown_as_given(
    store, monkeypatch
):
    def fail(self, key, answer):
        raise OSError(28, "No space left on device")

    def one(link):
        client = Client(link)
        question = client.state()["question"]
        body = {"key": question["key"], "attempt": 0, "choice": "first", "seconds": 1.0}
        assert client.fetch("answer", "POST", body)[0] == 500

    monkeypatch.setattr(Journal, "add", fail)
    crowd = Crowd(anna=one)
    with pytest.raises(RobotRLError, match="rating page had to be taken down: OSError: .*No space left"):
        run(store, questions(3), "anna", crowd=crowd)
    crowd.done()
    assert sum(store.counts().values()) == 0


def test_two_runs_of_one_rater_at_once_are_refused(store):
    journal = Journal(journal_path(store.path, "anna"))
    with pytest.raises(BadInput, match="another run is using it"):
        run(store, questions(3), "ben", "anna")
    journal.close()


@contextmanager
def process(folder, count, *raters):
    """A rating run of its own process; yields it and its links."""
    command = [
        sys.executable,
        "-m",
        "tests.preferences.human.rating_process",
        str(folder),
        str(count),
        *raters,
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child, dict(child.stdout.readline().strip().split(": ", 1) for _ in raters)
        finally:
            child.kill()


def test_kill_9_loses_nothing_that_the_page_showed_as_given_and_undo_goes_on(tmp_path):
    count = DEPTH + 12
    with process(tmp_path, count, "anna", "ben") as (child, links):
        clients = {name: Client(link) for name, link in links.items()}
        for _ in range(3):
            clients["ben"].answer(clients["ben"].state()["question"], "tie", 3.0)
        answered = []
        for _ in range(7):
            question = clients["anna"].state()["question"]
            answered.append(question["key"])
            clients["anna"].answer(question, brighter(clients["anna"], question))
        clients["anna"].undo(clients["anna"].state()["undo"])
        before = {name: client.state() for name, client in clients.items()}
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert before["anna"]["done"] == 6 and before["anna"]["question"]["key"] == answered[-1]
    with process(tmp_path, count, "anna", "ben") as (child, links):
        again = {name: Client(link) for name, link in links.items()}
        assert {name: client.state() for name, client in again.items()} == before
        state = again["anna"].undo(before["anna"]["undo"])
        assert state["done"] == 5 and state["question"]["key"] == answered[-2]
        for link in links.values():
            rate_all(link)
        assert child.wait(20) == 0
    with LabelStore(tmp_path / "labels.sqlite") as store:
        counts = store.counts()
        shared = round(0.2 * count)
        assert sum(counts.values()) == count + shared and counts[Outcome.TIE] == 3
        assert not leftovers(store)


def test_ctrl_c_stores_what_was_given_and_says_how_to_go_on(tmp_path):
    with process(tmp_path, 10, "anna") as (child, links):
        client = Client(links["anna"])
        for _ in range(4):
            client.answer(client.state()["question"], "second")
        child.send_signal(signal.SIGINT)
        said = child.stdout.read()
        assert child.wait(20) == 130
    assert said == (
        "interrupted: answers are in the label store; the same command goes on with the rest, "
        "under new links\n"
    )
    with LabelStore(tmp_path / "labels.sqlite") as store:
        assert store.counts()[Outcome.PREFERENCE] == 4 and not leftovers(store)
        ratings = run(store, questions(10), "anna", crowd=Crowd(most=0))
        assert len(ratings.per_rater["anna"]) == 4
