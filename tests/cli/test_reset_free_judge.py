"""Judging new weights: by the same starts, twice where they seem better, and in the scene of practice."""

import numpy as np
import pytest

from robot_rl.cli.reset_free_judge import judge_newest
from robot_rl.deploy.verdict import Judging
from robot_rl.deploy.weights_ledger import WeightsLedger


class Told:
    """A judge that says what the test told it: (version, block) -> successes of 10 in each task."""

    class pair:
        tasks = ("open", "close")

    def __init__(self, **successes):
        self.successes, self.asked = successes, []

    def __call__(self, folder, stopped=lambda: False, block=0):
        version = int(folder.name.removeprefix("v"))
        self.asked.append((version, block))
        tries = 0 if stopped() else 10
        count = min(self.successes[f"v{version}"][bool(block)], tries)
        return dict.fromkeys(self.pair.tasks, (tries, count))


@pytest.fixture
def ledger(tmp_path):
    from tests.deploy.test_weights_ledger import writer

    made = WeightsLedger(tmp_path)
    for value in (0.0, 1.0):
        made.publish(0, writer(value))
    return made


def first_judged(ledger, judge):
    """The first version has been judged before the second came."""
    ledger.note(1, judge(ledger.folder(1)))


def test_a_lucky_one_does_not_stay_the_best(ledger):
    judge = Told(v1=(5, 7), v2=(9, 2))  # 9 of 10 at first, then 2; the best 5, then 7
    first_judged(ledger, judge)
    assert judge_newest(ledger, Judging(), judge) == "passed" and ledger.best().number == 1
    assert judge.asked[1:] == [(2, 0), (2, 2), (1, 2)]
    assert ledger.tally(2) == {"open": (20, 11), "close": (20, 11)} and ledger.tally(1)["open"] == (20, 12)


def test_one_that_seemed_a_little_worse_may_still_be_the_better(ledger):
    judge = Told(v1=(6, 4), v2=(5, 9))
    first_judged(ledger, judge)
    assert judge_newest(ledger, Judging(), judge) == "best" and ledger.tally(2)["open"] == (20, 14)


def test_a_better_one_is_confirmed_and_a_bad_one_is_not_tried_again(ledger):
    judge = Told(v1=(5, 5), v2=(8, 7))
    first_judged(ledger, judge)
    assert judge_newest(ledger, Judging(), judge) == "best" and ledger.best().number == 2
    assert judge_newest(ledger, Judging(), judge) == ""  # nothing new
    bad = Told(v2=(8, 7), v3=(0, 0))
    from tests.deploy.test_weights_ledger import writer

    ledger.publish(10, writer(2.0))
    assert judge_newest(ledger, Judging(), bad) == "rejected" and bad.asked == [(3, 0)]


def test_a_judge_that_is_stopped_writes_nothing(ledger):
    judge = Told(v1=(5, 5), v2=(8, 7))
    assert judge_newest(ledger, Judging(), judge, lambda: True) == ""
    assert ledger.tally(2) == {} and ledger.newest().status == "candidate"


def test_in_the_scene_of_practice_each_task_starts_where_the_other_ends():
    pytest.importorskip("metaworld")
    from robot_rl.cli.reset_free_judge import SceneJudge, prepared
    from robot_rl.envs.pair import make_pair

    pair = make_pair("drawer_open")
    judge = SceneJudge(pair, range(3), scene=4)
    starts = {task: [judge._start(task, seed)["state"] for seed in (0, 0, 1)] for task in pair.tasks}
    handle = {task: states[0][5] for task, states in starts.items()}
    assert handle["drawer_close"] < handle["drawer_open"] - 0.1  # open by more than 10 cm
    for states in starts.values():
        np.testing.assert_array_equal(states[0], states[1])
        assert not np.array_equal(states[0][:3], states[2][:3])  # the hand starts elsewhere
    np.testing.assert_array_equal(
        prepared(pair, "drawer_open", 4)["place"], judge._starts["drawer_close"]["place"]
    )
    anywhere = SceneJudge(pair, range(3))
    assert anywhere._start("drawer_open", 0)["state"][4] != anywhere._start("drawer_open", 1)["state"][4]
    pair.close()
