"""The parts of a fine-tuning behind topics: the pair of tasks, the rules, and one config for all nodes."""

import pytest

from robot_rl.cli.deploy_finetune import pair_of, parts_for, rules_for
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import save_checkpoint
from tests.policies.helpers import make_actor, make_spec


def run_of(folder, *tasks, task):
    names = ["x", "y", "z"][: 3 - len(tasks)] + [f"task.{name}" for name in tasks]
    spec = make_spec(state_names=names, task=task)
    return save_checkpoint(folder, make_actor().policy_weights(), spec)


def test_a_card_s_reverse_task_or_the_other_of_two_is_the_way_back():
    assert pair_of(("x", "task.drawer_open", "task.drawer_close"), "drawer_open", "run") == (
        "drawer_open",
        "drawer_close",
    )
    assert pair_of(("task.left", "task.right"), "right", "run") == ("right", "left")
    for names, forward, told in (
        (("x",), "drawer_open", "run: was trained for one task; fine-tuning needs one policy for a task and"),
        (("task.a", "task.b"), "c", "run: was trained for a, b; fine-tuning needs .* c among them"),
        (("task.a", "task.b", "task.c"), "a", "run: nothing among a, b, c undoes a"),
        (("task.drawer_open", "task.a"), "drawer_open", "nothing among drawer_open, a undoes drawer_open"),
    ):
        with pytest.raises(BadInput, match=told):
            pair_of(names, forward, "run")


def test_who_comes_first_writes_the_config_and_steps_can_be_added(tmp_path):
    run = run_of(tmp_path / "run", "drawer_open", "drawer_close", task="drawer_open")
    first = parts_for(run, run / "tuned", keep=False)
    assert first.config.steps == 20_000 and not (run / "tuned").exists()
    assert parts_for(run, run / "tuned", steps=500).tasks == ("drawer_open", "drawer_close")
    assert parts_for(run, run / "tuned").config.steps == 500
    assert parts_for(run, run / "tuned", steps=900).config.steps == 900
    assert parts_for(run, run / "tuned").config.steps == 900


def test_tries_last_as_long_as_the_cards_episodes_and_nobody_goes_home(tmp_path):
    run = run_of(tmp_path / "run", "drawer_open", "drawer_close", task="drawer_open")
    rules = rules_for(parts_for(run, run / "tuned"), 80.0)
    assert set(rules.time_out) == {"drawer_open", "drawer_close"} and min(rules.time_out.values()) >= 100
    assert rules.home_steps == 0 and rules.control_rate == 80
    other = run_of(tmp_path / "other", "left", "right", task="left")
    with pytest.raises(BadInput, match="practice.time_out: left has no task card"):
        rules_for(parts_for(other, other / "tuned"), 80.0)
