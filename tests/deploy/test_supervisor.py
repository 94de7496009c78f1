"""Sequences of a reset-free supervisor, worked by hand: alternation, stuck, help, persons, and a kill."""

import json

import pytest

from robot_rl.deploy.supervisor import Seen, Supervisor
from robot_rl.deploy.supervisor_rules import Rules
from robot_rl.errors import BadInput

TASKS = ("open", "close")


def rules(**changes):
    values = {"time_out": {"open": 4, "close": 6}, "control_rate": 10.0, "hold": 2, "tries": 2,
              "perturbations": 1, "perturb_steps": 3}  # fmt: skip
    return Rules(TASKS, **{**values, **changes})


def run(supervisor, told):
    """What is ordered after each of `told` (numbers are probabilities of success)."""
    return [supervisor.tick(one if isinstance(one, Seen) else Seen(one)) for one in told]


def test_success_needs_steps_in_a_row_and_switches_the_task():
    supervisor = Supervisor(rules())
    assert supervisor.begin().task == "open"
    orders = run(supervisor, [0.9, 0.1, 0.6, 0.5])  # over .5, under, over, over
    assert [o.ended for o in orders] == ["", "", "", "success"]
    assert orders[-1].task == "close" and orders[-1].ended_task == "open" and orders[-1].begins
    counts = supervisor.state.counts["open"]
    assert (counts.tries, counts.ends["success"], counts.steps, counts.in_vain) == (1, 1, 4, 0)


def test_success_on_the_last_step_is_no_time_out_and_a_time_out_switches_too():
    supervisor = Supervisor(rules())
    supervisor.begin()
    assert run(supervisor, [0, 0, 1, 1])[-1].ended == "success"
    orders = run(supervisor, [0] * 6)
    assert [o.ended for o in orders] == [""] * 5 + ["time_out"] and orders[-1].task == "open"
    assert supervisor.minutes == pytest.approx(10 / 10 / 60)


def test_what_is_done_already_is_no_success():
    supervisor = Supervisor(rules())
    supervisor.begin()
    assert run(supervisor, [1, 1])[-1].ended == "already"
    counts = supervisor.state.counts["open"]
    assert counts.tries == 1 and counts.ends["success"] == 0 and counts.in_vain == 0


def test_failures_in_a_row_lead_to_a_perturbation_then_to_a_call_for_help():
    supervisor = Supervisor(rules(time_out={"open": 2, "close": 2}))
    supervisor.begin()
    ended = []
    for _ in range(3):  # open fails, close fails, open fails again: the second in vain
        ended += [o for o in run(supervisor, [0, 0]) if o.ended]
    assert [o.mode for o in ended] == ["act", "act", "perturb"]
    assert [o.mode for o in run(supervisor, [0, 0, 0])] == ["perturb", "perturb", "act"]
    assert supervisor.state.task == "close" and supervisor.state.perturbations == 1
    # close was in vain once; the second time it is shaken loose too, as it has its own count.
    assert run(supervisor, [0, 0])[-1].mode == "perturb"
    run(supervisor, [0, 0, 0])
    modes = [o.mode for _ in range(3) for o in run(supervisor, [0, 0]) if o.ended]
    assert modes == ["act", "act", "wait"]  # open, close, open: its second round in vain
    order = supervisor.tick(Seen())
    assert order.mode == "wait" and order.help.startswith("open fails again and again")
    assert supervisor.state.asked_for_help == 1 and supervisor.state.waited == 1
    order = supervisor.resume()
    assert (order.mode, order.task, order.help, order.begins) == ("act", "close", "", True)
    assert supervisor.state.counts["open"].perturbed == 0


def test_a_real_success_forgets_what_was_in_vain():
    supervisor = Supervisor(rules(time_out={"open": 3, "close": 3}))
    supervisor.begin()
    run(supervisor, [0, 0, 0, 0, 0, 0])  # both in vain once
    run(supervisor, [0, 1, 1])  # open succeeds
    assert supervisor.state.counts["open"].in_vain == 0 and supervisor.state.counts["close"].in_vain == 1


def test_an_object_out_of_reach_perturbs_at_once():
    supervisor = Supervisor(rules())
    supervisor.begin()
    order = run(supervisor, [0, Seen(out_of_reach=True)])[-1]
    assert (order.mode, order.ended, order.task) == ("perturb", "out_of_reach", "close")


def test_no_progress_over_the_window_is_stuck():
    supervisor = Supervisor(rules(window=3, time_out={"open": 9, "close": 9}))
    supervisor.begin()
    told = [Seen(progress=p) for p in (0.0, 0.5, 0.5, 0.4, 0.5005)]  # the last rises by less than 1e-3
    assert [o.ended for o in run(supervisor, told)] == ["", "", "", "", "stuck"]


def test_home_comes_before_each_try_and_ends_on_arrival_or_in_time():
    supervisor = Supervisor(rules(home_steps=3))
    assert supervisor.begin().mode == "home"
    order = supervisor.tick(Seen(arrived=True))
    assert order.mode == "act" and order.begins
    order = run(supervisor, [0, 0, 1, 1])[-1]
    assert (order.mode, order.ended, order.begins) == ("home", "success", False)
    assert [o.mode for o in run(supervisor, [1, 1, 1])] == ["home", "home", "act"]
    assert supervisor.state.counts["close"].steps == 0  # success on the way home counts for nothing


def walking(**changes):
    """Rules of one task that goes on by itself, from a stand."""
    values = {"hold": 1, "tries": 0, "perturbations": 1, "perturb_steps": 2, "home_steps": 3}
    return Rules(("walk",), {"walk": 4}, 10.0, only_from_home=True, **{**values, **changes})


def test_one_task_follows_itself_and_failures_shake_nothing_loose():
    supervisor = Supervisor(walking())
    assert supervisor.begin().mode == "home"
    ends = []
    for told in ([0, 0, 0, 1], *([[0, 0, 0, 0]] * 9)):  # success is told at the last step of a try
        order = supervisor.tick(Seen(arrived=True))
        assert (order.mode, order.task, order.begins) == ("act", "walk", True)
        ends.append(run(supervisor, told)[-1].ended)
    assert ends == ["success"] + ["time_out"] * 9
    s = supervisor.state
    assert (s.perturbations, s.falls, s.get_ups, s.asked_for_help) == (0, 0, 0, 0)


def test_a_fall_ends_a_try_at_once_and_standing_again_is_counted():
    supervisor = Supervisor(walking())
    supervisor.begin()
    supervisor.tick(Seen(arrived=True))
    order = run(supervisor, [0, Seen(fell=True)])[-1]
    assert (order.mode, order.ended, order.ended_task) == ("home", "fell", "walk")
    assert [o.mode for o in run(supervisor, [Seen(fell=True), Seen(arrived=True)])] == ["home", "act"]
    s = supervisor.state
    assert (s.falls, s.get_ups, s.down, s.counts["walk"].ends["fell"]) == (1, 1, False, 1)
    assert (s.resets, supervisor.minutes) == (0, pytest.approx(5 / 10 / 60))  # getting up is robot time too


def test_getting_up_in_vain_shakes_it_loose_then_asks_for_help():
    supervisor = Supervisor(walking())
    supervisor.begin()
    supervisor.tick(Seen(arrived=True))
    lies = Seen(fell=True)
    modes = [o.mode for o in run(supervisor, [lies] * 9)]
    assert modes == ["home"] * 3 + ["perturb"] * 2 + ["home"] * 3 + ["wait"]
    s = supervisor.state
    assert (s.perturbations, s.asked_for_help, s.falls, s.get_ups) == (1, 1, 1, 0)
    assert s.asked.startswith("the robot does not get up")
    assert supervisor.resume().mode == "home"
    supervisor.tick(Seen(arrived=True))
    assert s.get_ups == 0  # a person did it
    # Where a try can begin anywhere, it begins after as many steps on the way.
    supervisor = Supervisor(walking(home_steps=1))
    supervisor.rules = rules(home_steps=1)
    supervisor.state.task, supervisor.state.mode = "open", "home"
    assert supervisor.tick(lies).mode == "act"


def test_a_state_of_before_there_were_falls_is_read(tmp_path):
    path = tmp_path / "s.json"
    Supervisor(rules()).save(path)
    told = json.loads(path.read_text())
    for name in ("falls", "down", "get_ups", "homes_in_vain"):
        del told["state"][name]
    for counts in told["state"]["counts"].values():
        del counts["ends"]["fell"]
    path.write_text(json.dumps(told))
    supervisor = Supervisor.load(path, rules())
    assert supervisor.state.falls == 0 and supervisor.state.counts["open"].ends["fell"] == 0


def test_a_person_is_not_interrupted_and_a_success_then_is_assisted():
    supervisor = Supervisor(rules())
    supervisor.begin()
    person = Seen(intervention=True)
    orders = run(supervisor, [0, person, person, person, person, person])  # beyond the time-out of 4
    assert not any(o.ended for o in orders)
    assert run(supervisor, [1, 1])[-1].ended == "assisted"
    s = supervisor.state
    assert (s.interventions, s.intervention_steps, s.counts["open"].ends["success"]) == (1, 5, 0)
    run(supervisor, [0, person, 0, person])
    assert supervisor.state.interventions == 3
    assert [o.ended for o in run(supervisor, [0, 0, 0, 0])] == ["", "", "", "time_out"]  # its own 6 steps


def test_a_person_who_lets_go_ends_the_waiting():
    supervisor = Supervisor(rules(perturbations=0))
    supervisor.begin()
    assert run(supervisor, [Seen(out_of_reach=True)])[-1].mode == "wait"
    orders = run(supervisor, [0, Seen(intervention=True), Seen(intervention=True), 0])
    assert [o.mode for o in orders] == ["wait", "wait", "wait", "act"]
    assert supervisor.state.interventions == 1 and supervisor.minutes == pytest.approx(1 / 600)


def test_a_killed_one_goes_on_and_its_cut_try_is_broken(tmp_path):
    path = tmp_path / "supervisor.json"
    supervisor = Supervisor.load(path, rules())
    supervisor.begin()
    supervisor.count_reset()
    run(supervisor, [0, 0, 1, 1, 0, 0])
    supervisor.save(path)
    again = Supervisor.load(path, rules())
    order = again.begin()
    assert (order.mode, order.task, order.ended, order.begins) == ("act", "close", "broken", True)
    assert again.state.counts["close"].ends["broken"] == 1 and again.state.resets == 1
    # From here both go the same way, the one that was not killed after its try is over.
    assert run(again, [0] * 6)[-1].ended == "time_out"
    json.loads(path.read_text())


def test_waiting_outlives_a_kill(tmp_path):
    supervisor = Supervisor(rules(perturbations=0))
    supervisor.begin()
    run(supervisor, [Seen(out_of_reach=True)])
    supervisor.save(tmp_path / "s.json")
    order = Supervisor.load(tmp_path / "s.json", rules()).begin()
    assert order.mode == "wait" and "out of reach" in order.help


@pytest.mark.parametrize("content", ["{}", '{"state": {"task": "open", "counts": {}}}', '{"state": 3}', "no"])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "s.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=r"s\.json"):
        Supervisor.load(path, rules())


def test_a_state_of_other_tasks_is_refused(tmp_path):
    path = tmp_path / "s.json"
    Supervisor(rules()).save(path)
    with pytest.raises(BadInput, match="is of the tasks open, close, not lift, drop"):
        Supervisor.load(path, Rules(("lift", "drop"), {"lift": 4, "drop": 4}, 10.0))


def test_three_tasks_are_none_to_practise():
    with pytest.raises(BadInput, match="two that undo each other, or one that goes on, not a, b, c"):
        Rules(("a", "b", "c"), {"a": 4, "b": 4, "c": 4}, 10.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hold": 0}, "hold must be at least 1, not 0"),
        ({"time_out": {"open": 3}}, "time_out must name the steps of open and close"),
        ({"time_out": {"open": 3, "close": 1}}, "time_out of close must be at least 2"),
        ({"threshold": 0}, "threshold is a probability above 0"),
        ({"control_rate": 0}, "control_rate must be above 0 Hz"),
        ({"only_from_home": True}, "home_steps must be at least 1 where tries begin only at home"),
    ],
)
def test_rules_that_cannot_be(changes, message):
    with pytest.raises(BadInput, match=message):
        rules(**changes)
