"""Weights that are given out: tried, judged, made the best, or rolled back."""

import shutil

import numpy as np
import pytest

from robot_rl.deploy.verdict import Judging
from robot_rl.deploy.weights_ledger import WeightsLedger, settle_by_practice, shares
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import load_checkpoint, save_checkpoint
from tests.policies.helpers import make_actor, make_spec


def writer(value):
    weights = {name: np.full_like(array, value) for name, array in make_actor().policy_weights().items()}
    return lambda folder: save_checkpoint(folder, weights, make_spec())


def value_of(folder):
    return float(load_checkpoint(folder)[0]["log_std"][0])


def test_the_first_is_the_best_and_a_bad_one_is_rolled_back(tmp_path):
    ledger = WeightsLedger(tmp_path)
    assert ledger.current() is None and ledger.to_judge() is None
    assert ledger.publish(0, writer(0.0)) == 1
    assert ledger.best().number == ledger.current().number == 1
    assert ledger.to_judge().number == 1  # so that there is something to compare with
    ledger.note(1, {"open": (10, 6)})
    assert ledger.to_judge() is None
    assert ledger.publish(500, writer(1.0)) == 2
    assert ledger.current().number == 2 and ledger.to_judge().number == 2 and ledger.current().step == 500
    ledger.note(2, {"open": (10, 0)})
    other = WeightsLedger(tmp_path)  # another process
    verdict = Judging()(other.tally(2), other.tally(1))
    assert verdict == "worse" and other.settle(2, verdict) == "rejected"
    assert ledger.current().number == 1 and ledger.rejected_in_a_row() == 1
    assert value_of(tmp_path / "best") == 0.0


def test_a_better_one_becomes_the_best_and_a_similar_one_only_passes(tmp_path):
    ledger = WeightsLedger(tmp_path)
    for value in (0.0, 1.0, 2.0):
        ledger.publish(0, writer(value))
    assert ledger.settle(2, "better") == "best" and value_of(tmp_path / "best") == 1.0
    assert ledger.settle(3, "same") == "passed" and value_of(tmp_path / "best") == 1.0
    assert [v.status for v in ledger.versions()] == ["passed", "best", "passed"]
    assert ledger.current().number == 3 and ledger.rejected_in_a_row() == 0


def test_tries_add_up_by_source(tmp_path):
    ledger = WeightsLedger(tmp_path)
    ledger.publish(0, writer(0.0))
    for success in (True, False, True):
        ledger.note(1, {"open": (1, int(success))}, "practice")
    assert ledger.tally(1, "practice") == {"open": (3, 2)} and ledger.tally(1) == {}
    assert ledger.source() == "practice"
    assert shares({"open": (4, 3), "close": (0, 0)}) == {"open": 0.75}
    with pytest.raises(BadInput, match="version 1, open: 3 successes of 2 tries"):
        ledger.note(1, {"open": (2, 3)})


def test_what_a_killed_learner_left_is_replaced(tmp_path):
    ledger = WeightsLedger(tmp_path)
    ledger.publish(0, writer(0.0))
    shutil.copytree(ledger.folder(1), ledger.folder(2))  # renamed, but not listed any more
    (tmp_path / "weights" / ".tmp-v000002").mkdir()
    assert ledger.publish(10, writer(3.0)) == 2 and value_of(ledger.folder(2)) == 3.0


def test_old_folders_go_and_the_best_stays(tmp_path):
    ledger = WeightsLedger(tmp_path, kept=2)
    for k in range(5):
        ledger.publish(k, writer(float(k)))
    left = sorted(path.name for path in (tmp_path / "weights").glob("v*"))
    assert left == ["v000001", "v000004", "v000005"] and len(ledger.versions()) == 5
    assert all(value_of(tmp_path / "weights" / name) == int(name[1:]) - 1 for name in left)


def test_a_robot_s_own_tries_judge_once_there_are_enough(tmp_path):
    ledger, judging, tasks = WeightsLedger(tmp_path), Judging(tries=4), ("open", "close")
    ledger.publish(0, writer(0.0))
    ledger.note(1, {"open": (8, 8), "close": (8, 8)}, "practice")
    assert settle_by_practice(ledger, judging, tasks) == ""  # the first is the best, nothing to compare
    ledger.publish(10, writer(1.0))
    ledger.note(2, {"open": (4, 0), "close": (3, 0)}, "practice")
    assert settle_by_practice(ledger, judging, tasks) == ""
    ledger.note(2, {"close": (1, 0)}, "practice")
    assert settle_by_practice(ledger, judging, tasks) == "rejected" and ledger.current().number == 1
    ledger.publish(20, writer(2.0))
    ledger.note(3, {"open": (4, 4), "close": (4, 4)}, "practice")
    assert settle_by_practice(ledger, judging, tasks) == "best" and value_of(tmp_path / "best") == 2.0


def test_what_newer_weights_overtook_is_judged_by_the_tries_it_had(tmp_path):
    ledger, judging, tasks = WeightsLedger(tmp_path), Judging(tries=4), ("open", "close")
    ledger.publish(0, writer(0.0))
    ledger.note(1, {"open": (8, 6), "close": (8, 6)}, "practice")
    for version, tally in (
        (2, {"open": (2, 2), "close": (2, 2)}),
        (3, {"open": (3, 0), "close": (3, 0)}),
        (4, {}),
    ):
        ledger.publish(10 * version, writer(float(version)))
        ledger.note(version, tally, "practice")
    ledger.publish(50, writer(5.0))
    settle_by_practice(ledger, judging, tasks)
    # Four of four are too few for the best, six in vain enough to be bad; the untried one stays as it is.
    assert [v.status for v in ledger.versions()] == ["best", "passed", "rejected", "candidate", "candidate"]


def test_a_task_that_gets_no_tries_does_not_keep_new_weights_back(tmp_path):
    ledger, judging, tasks = WeightsLedger(tmp_path), Judging(tries=4), ("open", "close")
    ledger.publish(0, writer(0.0))
    ledger.note(1, {"open": (9, 0)}, "practice")  # nothing is opened, so closing is never tried
    ledger.publish(10, writer(1.0))
    ledger.note(2, {"open": (15, 1)}, "practice")
    assert settle_by_practice(ledger, judging, tasks) == ""
    ledger.note(2, {"open": (1, 1)}, "practice")
    assert settle_by_practice(ledger, judging, tasks) == "best"


def test_another_file_is_refused(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(BadInput, match="is not a ledger of weights"):
        WeightsLedger(tmp_path)
