"""A robot that practises on a line: what is recorded, who acted, a full disk, a person, and a kill."""

from dataclasses import replace

import numpy as np
import pytest

from robot_rl.deploy.durable_queue import DurableQueue, QueueFull
from robot_rl.deploy.practice import SUPERVISOR, Practice
from robot_rl.deploy.supervisor import Supervisor
from robot_rl.deploy.weights_ledger import WeightsLedger
from robot_rl.errors import RobotRLError
from robot_rl.policies.checkpoint import save_checkpoint
from tests.deploy.line_world import NAMES, LineWorld, line_rules
from tests.policies.helpers import make_spec


def publish(ledger, slope=30.0):
    """Weights that act tanh(slope (goal sign)): towards the goal where slope > 0; noise is small."""
    names = {"state_names": NAMES, "state_units": ["m", "1", "1"], "state_mean": [0] * 3,
             "state_std": [1] * 3,
             "action_names": ["a0"], "action_units": ["1"], "action_low": [-1.0], "action_high": [1.0],
             "hidden": [], "algorithm": "iql"}  # fmt: skip
    weights = {"layer0.weight": np.float32([[0], [slope], [-slope]]), "layer0.bias": np.zeros(1, np.float32),
               "log_std": np.float32([-4])}  # fmt: skip
    return ledger.publish(0, lambda folder: save_checkpoint(folder, weights, make_spec(**names)))


@pytest.fixture
def practice(tmp_path):
    ledger, world = WeightsLedger(tmp_path), LineWorld()
    publish(ledger)
    return make(tmp_path, ledger, world)


def make(folder, ledger, world, **changes):
    queue = DurableQueue(folder / "queue.sqlite", NAMES, ["a0"], min_free=0)
    supervisor = Supervisor.load(folder / SUPERVISOR, line_rules(hold=1, **changes))
    made = Practice(world, supervisor, queue, ledger, folder, clock=lambda: 7.0)
    made.begin()
    return made


def test_tries_alternate_and_all_is_recorded(practice):
    for _ in range(12):
        practice.tick()
    # 0 → .2 → .4 → .6: within .15 of .6 only then (.46 to .74); then six steps back to -.6, three a try on.
    found = [step for _, step in practice.queue.read()]
    assert [one.task for one in found] == ["right"] * 3 + ["left"] * 6 + ["right"] * 2
    assert [one.ended for one in found if one.last] == ["success", "success"]
    assert [one.episode for one in found] == [0] * 3 + [1] * 6 + [2] * 2
    np.testing.assert_array_equal(found[3].observation[1:], [0, 1])
    np.testing.assert_array_equal(found[2].next_observation[1:], [1, 0])  # under the instruction it ran under
    np.testing.assert_array_equal(found[0].next_observation, found[1].observation)
    assert {one.weights for one in found} == {1} and {one.stamp for one in found} == {7.0}
    assert practice.ledger.tally(1, "practice") == {"right": (1, 1), "left": (1, 1)}
    tries = practice.queue.tries()
    assert [(one.task, one.steps, one.ended) for one in tries] == [
        ("right", 3, "success"), ("left", 6, "success"), ("right", 3, "broken")
    ]  # fmt: skip


def test_new_weights_come_between_tries_and_rejected_ones_go(practice):
    practice.tick()
    publish(practice.ledger, slope=-30.0)  # runs away from every goal
    for _ in range(6):
        practice.tick()
    found = [step.weights for _, step in practice.queue.read()]
    assert found[:3] == [1] * 3 and set(found[3:]) == {2}
    practice.ledger.settle(2, "worse")
    while practice.supervisor.state.counts["left"].tries < 1:
        practice.tick()
    practice.tick()
    practice.tick()
    assert practice.queue.read(limit=10**4)[-1][1].weights == 1


def test_a_full_disk_stops_the_robot_and_nothing_is_lost(practice):
    append, world = practice.queue.append, practice.world
    practice.tick()

    def full(_):
        raise QueueFull("no space")

    practice.queue.append = full
    practice.tick()  # executed, but not stored
    assert practice.halted == "no space" and world.steps == 2
    practice.tick()
    assert world.steps == 2 and practice.queue.count() == 1
    practice.queue.append = append
    practice.tick()
    assert not practice.halted and world.steps == 3 and practice.queue.count() == 3


def test_without_room_nothing_is_executed(practice):
    practice.queue._free, practice.queue._min_free = lambda _: 1.0, 50
    practice.tick()
    assert practice.world.steps == 0 and practice.halted.startswith("less than 50 MB are free")


def test_a_person_s_command_is_what_is_recorded(practice):
    practice.tick()
    practice.world.person = -1.0
    practice.tick()
    practice.world.person = None
    for _ in range(6):
        practice.tick()
    found = [step for _, step in practice.queue.read()]
    assert found[1].intervention and found[1].action[0] == -1 and not found[2].intervention
    assert [one.ended for one in found if one.last] == ["assisted"]
    assert practice.ledger.tally(1, "practice") == {}  # the weights did not do it alone


def test_it_shakes_itself_loose_and_goes_home(tmp_path):
    ledger, world = WeightsLedger(tmp_path), LineWorld()
    publish(ledger, slope=-30.0)
    practice = make(tmp_path, ledger, world, tries=1, home_steps=9)
    modes = [practice.tick().mode for _ in range(60)]
    runs = [mode for mode, before in zip(modes, [""] + modes, strict=False) if mode != before]
    assert runs[:4] == ["act", "perturb", "home", "act"] and practice.supervisor.state.perturbations >= 1
    assert modes.count("perturb") == 3 * practice.supervisor.state.perturbations
    assert practice.queue.count() < 60  # motion that no policy chose is not learned from


def test_a_fall_is_terminal(practice):
    practice.tick()
    step = practice.world.step
    practice.world.step = lambda action: replace(step(action), fell=True)
    practice.tick()
    practice.world.step = step
    practice.tick()
    last = practice.queue.read()[1][1]
    assert (last.ended, last.terminated, last.truncated) == ("fell", True, False)
    assert practice.ledger.tally(1, "practice") == {"right": (1, 0)}


def test_a_killed_robot_goes_on_and_its_cut_try_is_broken(practice, tmp_path):
    for _ in range(5):
        practice.tick()
    again = make(tmp_path, practice.ledger, practice.world)
    assert again.order.task == "left"
    again.tick()
    (broken,) = [step for _, step in again.queue.read() if step.ended == "broken"]
    assert broken.episode == 1 and broken.truncated and again.queue.count() == 6
    assert again.supervisor.state.counts["right"].ends["success"] == 1


def test_it_ends_with_as_many_transitions_as_were_asked_for(practice):
    practice.limit = 5
    while not practice.finished:
        practice.tick()
    assert practice.queue.count() == 5 and practice.queue.read()[-1][1].ended == "cut"


def test_no_weights_no_motion(tmp_path):
    practice = make(tmp_path, WeightsLedger(tmp_path), LineWorld())
    with pytest.raises(RobotRLError, match="holds no weights to act with"):
        practice.tick()


def test_tries_begin_with_random_motion_where_that_is_asked_for(practice):
    practice.vary = 2
    for _ in range(30):
        practice.tick()
    found = [step for _, step in practice.queue.read()]
    for episode in (0, 1):
        own = [one.action[0] for one in found if one.episode == episode]
        first, second = np.random.default_rng([0, 1, episode]).normal(size=2)
        drift = 0.4 * first, 0.85 * 0.4 * first + 0.4 * second
        np.testing.assert_allclose(own[:2], np.clip(drift, -1, 1), rtol=1e-5)
        assert all(np.sign(action) == 1 - 2 * episode for action in own[2:]) and len(own) > 3  # the policy's
