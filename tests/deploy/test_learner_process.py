"""The learner beside a practising robot: it improves, goes on after a kill, and takes bad updates back."""

import numpy as np
import pytest
import torch

from robot_rl.deploy.durable_queue import DurableQueue
from robot_rl.deploy.learner_process import LearnerProcess
from robot_rl.deploy.practice import SUPERVISOR, Practice
from robot_rl.deploy.supervisor import Supervisor
from robot_rl.deploy.weights_ledger import WeightsLedger
from robot_rl.learners.online import OnlineConfig, OnlineLearner
from tests.deploy.line_world import NAMES, LineWorld, line_data, line_rules, line_run

CONFIG = OnlineConfig(steps=400, warmup=20, save_every=50, log_every=100, batch_size=16)


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    return line_run(tmp_path_factory.mktemp("line") / "run")


class Rig:
    """Robot and learner on a line, in turns."""

    def __init__(self, folder, offline, **changes):
        self.queue = DurableQueue(folder / "queue.sqlite", NAMES, ["a0"], min_free=0)
        self.ledger = WeightsLedger(folder)
        learner = OnlineLearner(folder, offline, CONFIG, line_data())
        self.process = LearnerProcess(learner, self.queue, self.ledger, publish_every=100, **changes)
        supervisor = Supervisor.load(folder / SUPERVISOR, line_rules())
        self.practice = Practice(LineWorld(), supervisor, self.queue, self.ledger, folder, limit=CONFIG.steps)
        self.practice.begin()

    def run(self, steps):
        for _ in range(steps):
            if self.practice.finished:
                break
            self.practice.tick()
            self.process.catch_up()


def weights(process):
    return {name: tensor.clone() for name, tensor in process.learner.snapshot().items()}


def test_all_that_was_executed_is_learned_from_and_given_out(tmp_path, offline):
    rig = Rig(tmp_path, offline)
    rig.run(10**4)
    assert rig.queue.count() == 400 and rig.process.finished and rig.process.learner.step == 400
    assert [v.step for v in rig.ledger.versions()] == [0, 100, 200, 300, 400]
    states, actions = (rig.process.learner._experience._rows[:400, k] for k in (3, 6))
    found = [step for _, step in rig.queue.read(limit=10**4)]
    np.testing.assert_allclose(actions, [one.action[0] for one in found], atol=1e-4)
    scaled = [
        (one.observation[0] - offline.scaler.state_mean[0]) / offline.scaler.state_std[0] for one in found
    ]
    np.testing.assert_allclose(states, scaled, atol=1e-5)


def test_a_killed_learner_goes_on_from_its_state_to_the_same_end(tmp_path, offline):
    whole, cut = Rig(tmp_path / "whole", offline), Rig(tmp_path / "cut", offline)
    whole.run(10**4)
    cut.run(230)
    before = cut.queue.count()
    assert 0 < cut.process.learner.saved < cut.process.learner.step  # some of it is not on disk
    again = Rig(tmp_path / "cut", offline)
    assert again.queue.count() == before and again.process.learner.step == cut.process.learner.saved
    while again.process.catch_up():
        pass
    # What had been learned is learned again, to the last bit.
    for name, tensor in weights(cut.process).items():
        torch.testing.assert_close(weights(again.process)[name], tensor, rtol=0, atol=0)
    assert [v.step for v in again.ledger.versions()] == [0, 100, 200]  # nothing is given out twice


def test_it_waits_while_the_disk_is_full(tmp_path, offline):
    rig = Rig(tmp_path, offline)
    for _ in range(60):
        rig.practice.tick()
    megabytes, told = iter([1.0, 1.0, 1e3, 1e3]), []
    path = tmp_path / "queue.sqlite"
    rig.process.queue = DurableQueue(path, NAMES, ["a0"], min_free=10, free=lambda _: next(megabytes))
    rig.process.run(lambda: len(told) == 4, lambda *said: told.append(said))
    assert [count for count, _ in told] == [0, 0, 20, 20] and rig.process.learner.step == 40
    assert "less than 10 MB are free" in told[0][1] and told[2][1] == "version 1"


def test_after_bad_weights_in_a_row_the_learner_goes_back_to_the_best(tmp_path, offline):
    rig = Rig(tmp_path, offline, patience=2)
    rig.run(150)
    best = weights(rig.process)
    rig.process.publish()  # version 3
    rig.ledger.settle(3, "better")
    rig.run(260)
    newest = rig.ledger.newest().number
    assert newest >= 5
    rig.ledger.settle(4, "worse")
    rig.process.hear_verdicts()
    assert any(
        not torch.equal(best[n], t) for n, t in weights(rig.process).items()
    )  # one alone changes nothing
    experience = len(rig.process.learner._experience)
    rig.ledger.settle(5, "worse")
    rig.process.hear_verdicts()
    for name, tensor in weights(rig.process).items():
        torch.testing.assert_close(tensor, best[name], rtol=0, atol=0)
    assert len(rig.process.learner._experience) == experience  # what was lived through is kept
    assert [row["rolled_back_to"] for row in rig.process.learner.rows() if "rolled_back_to" in row] == [3]


def test_where_tries_judge_a_version_is_heard_of_when_it_is_overtaken(tmp_path, offline):
    rig = Rig(tmp_path, offline, by_tries=True)
    rig.ledger.note(1, {"right": (3, 0), "left": (3, 3)}, "practice")
    rig.process.hear_verdicts()
    assert not any("version" in row for row in rig.process.learner.rows())  # it is still being tried
    rig.run(120)
    rig.process.hear_verdicts()
    found = next(row for row in rig.process.learner.rows() if "version" in row)
    own = rig.ledger.tally(1, "practice")
    assert found["version"] == 1 and found["eval_success/right"] == own["right"][1] / own["right"][0]


def test_what_was_found_of_versions_is_logged_once(tmp_path, offline):
    rig = Rig(tmp_path, offline)
    rig.ledger.note(1, {"right": (4, 2), "left": (4, 4)})
    rig.process.hear_verdicts()
    rig.process.hear_verdicts()
    rows = [row for row in rig.process.learner.rows() if "eval_success" in row]
    assert [(r["eval_success"], r["eval_success/right"], r["version"]) for r in rows] == [(0.75, 0.5, 1)]


def test_what_is_heard_of_the_tasks_is_remembered_after_a_kill(tmp_path, offline):
    heard = []

    def reweigh(success):
        heard.append(dict(success))
        return {"right": 0.25, "left": 0.75}

    rig = Rig(tmp_path, offline, reweigh=reweigh)
    rig.run(150)
    rig.ledger.note(2, {"right": (10, 10), "left": (10, 4)})
    rig.process.hear_verdicts()
    rig.process.hear_verdicts()  # once only
    assert heard == [{"right": 1.0, "left": 0.4}]
    row = next(row for row in rig.process.learner.rows() if "version" in row)
    assert row["prior_share/left"] == 0.75 and row["eval_success"] == pytest.approx(0.7)
    rig.process.learner.save()
    Rig(tmp_path, offline, reweigh=reweigh)
    assert heard == [{"right": 1.0, "left": 0.4}] * 2
