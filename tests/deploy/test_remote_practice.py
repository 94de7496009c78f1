"""Practice on a robot behind topics, in simulated time: what is stored, told, judged, and not lost."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from robot_rl.data.layout import read_json
from robot_rl.deploy.control import version_of
from robot_rl.deploy.control_steps import ControlSteps
from robot_rl.deploy.durable_queue import DurableQueue
from robot_rl.deploy.practice import SUPERVISOR
from robot_rl.deploy.remote_practice import RemotePractice
from robot_rl.deploy.supervisor import Supervisor
from robot_rl.deploy.verdict import Judging
from robot_rl.deploy.weights_ledger import WeightsLedger
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import load_spec, save_checkpoint
from tests.deploy.contracts import position_contract
from tests.deploy.line_world import GOALS, NAMES, line_rules
from tests.deploy.test_interface import FITS
from tests.policies.helpers import make_spec

CONTRACT = position_contract()


def checkpoint(folder, gain):
    fields = {"state_names": NAMES, "state_units": ["rad", "1", "1"], "state_mean": [0.0] * 3,
              "state_std": [1.0] * 3, "hidden": []}  # fmt: skip
    weights = {"layer0.weight": np.full((3, 1), gain), "layer0.bias": np.zeros(1), "log_std": np.zeros(1)}
    return save_checkpoint(folder, weights, make_spec(**FITS | fields))


class Rig:
    """A practice, and a robot on a line that does what it is told, one period at a time."""

    def __init__(self, folder, weights=True, limit=0, free=1e6, home=None, **rules):
        self.run, self.out = checkpoint(folder / "run", 1.0), folder / "run" / "out"
        self.ledger, self.free = WeightsLedger(self.out), free
        if weights and not self.ledger.newest():
            self.publish(1.0)
        names = ["a"]
        self.queue = DurableQueue(self.out / "q.sqlite", NAMES, names, min_free=10, free=lambda _: self.free)
        supervisor = Supervisor.load(self.out / SUPERVISOR, line_rules(**rules))
        self.steps = ControlSteps(CONTRACT, load_spec(self.run))
        self.practice = RemotePractice(
            load_spec(self.run), self.steps, supervisor, self.queue, self.ledger, self.out,
            judging=Judging(tries=2), limit=limit, home=home,
        )  # fmt: skip
        self.x, self.time, self.version = 0.0, 100.0, version_of(self.run)
        self.judging = self.listening = True

    def publish(self, gain):
        made = checkpoint(self.run / f"new-{gain}", gain)
        return self.ledger.publish(0, lambda folder: shutil.copytree(made, folder))

    def period(self, person=None):
        """One control period: swap and follow what is told, act towards the goal, move."""
        practice = self.practice
        if self.listening:
            practice.follows(practice.instruction.to_text())
            if (folder := practice.new_weights()) is not None:
                self.version = version_of(folder)
        asked = practice.instruction
        way = {"act": GOALS[asked.task] - self.x, "home": -self.x}.get(asked.mode, 0.0)
        action = float(np.clip(way / 0.2, -1, 1)) if person is None else person
        self.steps.heard({"x": self.x})
        self.steps.weights = self.version
        practice.executed({"a": action}, self.time, person is not None)
        self.x, self.time = float(np.clip(self.x + 0.2 * action, -1, 1)), self.time + CONTRACT.period
        if self.judging:
            distance = abs(self.x - GOALS[asked.task])
            self.steps.judged(self.time, -distance, float(distance < 0.15))
        return self

    def periods(self, count):
        for _ in range(count):
            self.period()
        return self

    def stored(self):
        return [step for _, step in self.queue.read(limit=10**5)]


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path)
    made.steps.judged(made.time, 0.0, 0.0)
    assert made.practice.begin()
    return made


def test_steps_hold_what_was_seen_done_and_what_it_led_to(rig):
    told = []
    rig.practice.when_ended = lambda *said: told.append(said)
    rig.periods(40)
    steps = rig.stored()
    assert len(steps) > 15 and {step.task for step in steps} == {"right", "left"}
    for step in steps:
        assert step.observation[1:].tolist() == [float(step.task == "right"), float(step.task == "left")]
        assert step.next_observation[1:].tolist() == step.observation[1:].tolist()
        moved = step.observation[0] + 0.2 * step.action[0]
        assert step.next_observation[0] == pytest.approx(moved, abs=1e-6)
        distance = abs(step.next_observation[0] - GOALS[step.task])
        assert step.reward == pytest.approx(-distance, abs=1e-6) and step.success == float(distance < 0.15)
    ends = [step for step in steps if step.ended]
    assert {step.ended for step in ends} == {"success"} and all(step.truncated for step in ends)
    assert told == [(step.episode, step.task, step.ended) for step in ends]
    assert len({step.episode for step in steps}) == len(ends) + (not steps[-1].ended)


def test_it_begins_with_the_first_weights_and_waits_until_then(tmp_path):
    rig = Rig(tmp_path, weights=False)
    assert not rig.practice.begin() and rig.practice.instruction.mode == "wait"
    rig.publish(1.0)
    assert rig.practice.begin() and rig.periods(3).practice.instruction.mode == "act"


def test_what_the_policy_has_not_heard_of_is_not_recorded_as_the_new_task(rig):
    rig.periods(5)
    while rig.practice.instruction.task == "right":
        rig.period()
    count, rig.listening = rig.queue.count(), False
    rig.periods(10)
    assert rig.queue.count() == count  # the robot still follows the old instruction
    rig.listening = True
    assert rig.periods(5).queue.count() > count


def test_new_weights_come_between_tries_and_are_noted_with_the_steps(rig):
    while not rig.period().practice.supervisor.state.running:
        pass
    first = rig.version
    rig.publish(3.0)
    assert rig.practice.new_weights() is None  # in the middle of a try
    rig.periods(30)
    assert rig.version != first
    by_try = {step.episode: set() for step in rig.stored()}
    for step in rig.stored():
        by_try[step.episode].add(step.weights)
    assert all(len(found) == 1 for found in by_try.values()) and {1, 2} == set.union(*by_try.values())


def test_weights_that_are_alike_are_not_exchanged_for_ever(rig):
    rig.periods(6)
    rig.publish(1.0)
    rig.periods(60)
    count = rig.queue.count()
    assert rig.practice.new_weights() is None and rig.periods(10).queue.count() > count
    assert rig.stored()[-1].weights == 2


def test_weights_are_judged_by_the_robot_s_own_tries(rig):
    rig.periods(60)
    number = rig.publish(2.0)
    rig.periods(80)
    status = {one.number: one.status for one in rig.ledger.versions()}
    assert status == {1: "passed", number: "best"}
    assert rig.ledger.tally(number, "practice")["left"][0] >= 2


def test_a_stop_cuts_the_episode_but_not_the_try(rig):
    rig.periods(4)
    episode = rig.stored()[-1].episode
    rig.practice.stopped()
    rig.x = -0.5  # somebody moved it meanwhile
    rig.periods(4)
    steps = rig.stored()
    assert steps[-1].episode > episode
    for step in steps:
        assert step.next_observation[0] == pytest.approx(step.observation[0] + 0.2 * step.action[0], abs=1e-6)
    assert [step.ended for step in steps if step.episode == episode][-1] == "broken"


def test_a_person_s_command_is_recorded_as_theirs(rig):
    rig.periods(4)
    for _ in range(6):
        rig.period(person=-0.5)
    rig.periods(3)
    theirs = [step.action[0] for step in rig.stored() if step.intervention]
    assert set(theirs) == {-0.5} and len(theirs) >= 4  # not those at the change of a task
    assert rig.practice.supervisor.state.interventions == 1


def test_silence_of_who_judges_and_a_full_disk_stop_it_and_lose_nothing(rig):
    rig.periods(4)
    rig.judging = False
    rig.periods(20)
    assert "no reward or success has been heard" in rig.practice.halted
    assert rig.practice.instruction.mode == "wait"
    count, rig.judging = rig.queue.count(), True
    assert rig.periods(6).queue.count() > count and not rig.practice.halted
    rig.free = 1.0
    rig.periods(3)
    assert "MB are free" in rig.practice.halted and rig.practice.instruction.mode == "wait"
    count, rig.free = rig.queue.count(), 1e6
    assert rig.periods(6).queue.count() > count
    for step in rig.stored():
        moved = step.observation[0] + 0.2 * step.action[0]
        assert step.next_observation[0] == pytest.approx(moved, abs=1e-6)


def test_it_goes_on_after_a_kill(tmp_path):
    rig = Rig(tmp_path)
    rig.steps.judged(rig.time, 0.0, 0.0)
    rig.practice.begin()
    rig.periods(12)
    count, tries = rig.queue.count(), rig.practice.supervisor.summary()["right/tries"]
    again = Rig(tmp_path)
    again.steps.judged(again.time, 0.0, 0.0)
    assert again.practice.begin() and again.queue.count() == count
    again.periods(20)
    assert again.queue.count() > count and again.practice.supervisor.summary()["right/tries"] >= tries
    assert len({s.episode for s in again.stored()}) > 1


def test_it_ends_with_as_many_steps_as_were_asked_for_all_of_them_closed(tmp_path):
    rig = Rig(tmp_path, limit=13)
    rig.steps.judged(rig.time, 0.0, 0.0)
    rig.practice.begin()
    rig.periods(60)
    assert rig.queue.count() == 13 == len(rig.stored()) and rig.practice.finished
    assert rig.stored()[-1].truncated and rig.practice.instruction.mode == "wait"
    assert rig.practice.summary()["mode"] == "finished"
    state = read_json(rig.out / SUPERVISOR)["state"]
    assert state["steps"] == rig.practice.supervisor.state.steps >= 13  # the last steps are counted on disk
    assert not rig.practice.learned
    rig.ledger.publish(12, lambda folder: shutil.copytree(rig.run / "new-1.0", folder))
    assert not rig.practice.learned  # of all but the last
    rig.ledger.publish(13, lambda folder: shutil.copytree(rig.run / "new-1.0", folder))
    assert rig.practice.learned


def test_each_try_begins_at_home(tmp_path):
    home = SimpleNamespace(there=lambda measured: abs(measured["x"]) < 0.05)
    rig = Rig(tmp_path, home=home, home_steps=30)
    rig.steps.judged(rig.time, 0.0, 0.0)
    rig.practice.begin()
    rig.periods(80)
    steps = rig.stored()
    begun = [b for a, b in zip(steps, steps[1:], strict=False) if a.episode != b.episode]
    assert len(begun) >= 4 and all(abs(step.observation[0]) < 0.05 for step in begun)
    assert all(abs(step.observation[0]) < 0.65 and step.task in GOALS for step in steps)


def test_help_is_asked_for_and_given(tmp_path):
    rig = Rig(tmp_path, tries=1, perturbations=1, perturb_steps=3)
    rig.steps.judged(rig.time, 0.0, 0.0)
    rig.practice.begin()
    assert rig.practice.resume() == "it does not wait for help"
    modes = []
    for _ in range(120):
        rig.x = 0.0  # it cannot move
        rig.period()
        modes.append(rig.practice.instruction.mode)
    assert "perturb" in modes and modes[-1] == "wait"
    assert "set the scene right" in rig.practice.summary()["help"]
    count = rig.queue.count()
    rig.periods(5)
    assert rig.queue.count() == count and rig.practice.resume() == ""
    assert rig.periods(5).queue.count() > count and rig.practice.summary()["help"] == ""


def test_a_simulated_world_that_is_set_up_anew_is_counted(rig):
    counted = lambda: rig.practice.supervisor.state.resets  # noqa: E731
    for world, resets in (("a", 1), ("a", 1), ("b", 2), ("b", 2)):
        rig.practice.in_world(world)
        assert counted() == resets


def test_a_simulation_s_rewards_are_of_each_step():
    spec = SimpleNamespace(state_names=NAMES, action_names=("a",))
    steps = ControlSteps(CONTRACT, spec)
    with pytest.raises(BadInput, match="not heard yet: x"):
        steps.executed({"a": 0.0}, 1.0, False)
    steps.heard({"x": 0.0})
    total = 5.0
    steps.simulated(1.0, total, False)
    assert steps.executed({"a": 0.0}, 1.0, False, once=True) is None
    for reward in (0.5, 0.25):
        total += reward
        steps.simulated(1.0, total, reward == 0.25)
        step = steps.executed({"a": 0.0}, 1.0, False, once=True)
        assert (step.reward, step.success) == (reward, float(reward == 0.25))
    steps.cut()
    assert steps.executed({"a": 0.0}, 1.0, False, once=True) is None
