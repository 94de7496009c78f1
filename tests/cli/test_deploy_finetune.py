"""The parts of a fine-tuning behind topics: the pair of tasks, the rules, and one config for all nodes."""

import shutil
from dataclasses import replace

import pytest

from robot_rl.cli.common import save_config
from robot_rl.cli.deploy_finetune import explored, pair_of, parts_for, rules_for, tell
from robot_rl.cli.finetune import Config
from robot_rl.cli.reset_free_options import PracticeConfig
from robot_rl.deploy.graph import Deployment
from robot_rl.deploy.practice import SUPERVISOR
from robot_rl.deploy.supervisor import Supervisor
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import save_checkpoint
from robot_rl.specs.robot_contract import load_contract
from tests.policies.helpers import make_actor, make_spec

DRAWER = load_contract("sim_drawer")


def run_of(folder, *tasks, task, **more):
    names = ["x", "y", "z"][: 3 - len(tasks)] + [f"task.{name}" for name in tasks]
    spec = make_spec(state_names=names, task=task, **more)
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
    with pytest.raises(BadInput, match="steps: must be at least 1, not 0"):
        parts_for(run, run / "tuned", steps=0)
    assert parts_for(run, run / "tuned").config.steps == 900


def test_tries_last_as_long_as_the_cards_episodes_and_begin_at_home_where_it_is_known(tmp_path):
    run = run_of(tmp_path / "run", "drawer_open", "drawer_close", task="drawer_open")
    rules = rules_for(parts_for(run, run / "tuned"), DRAWER)
    assert set(rules.time_out) == {"drawer_open", "drawer_close"} and min(rules.time_out.values()) >= 100
    assert rules.home_steps == 0 and rules.control_rate == 80  # the policy does not see where the hand is
    hand = {"state_names": ("hand_x", "hand_y", "hand_z", "task.drawer_open", "task.drawer_close")}
    hand |= {"state_units": [""] * 5, "state_mean": [0.0] * 5, "state_std": [1.0] * 5}
    seeing = replace(parts_for(run, run / "tuned"), spec=make_spec(**hand, task="drawer_open"))
    assert rules_for(seeing, DRAWER).home_steps == 400
    still = replace(seeing.config, practice=replace(seeing.config.practice, home=False))
    assert rules_for(replace(seeing, config=still), DRAWER).home_steps == 0
    other = run_of(tmp_path / "other", "left", "right", task="left")
    with pytest.raises(BadInput, match="practice.time_out: left has no task card"):
        rules_for(parts_for(other, other / "tuned"), DRAWER)


def test_it_explores_as_the_settings_say_where_nobody_says_how(tmp_path):
    run = run_of(tmp_path / "run", "drawer_open", "drawer_close", task="drawer_open", algorithm="iql")
    asked = Deployment("sim_drawer", str(run), fine_tune=str(run / "tuned"), explore=None)
    assert explored(asked).explore == 0.4 and not (run / "tuned").exists()
    assert explored(Deployment("sim_drawer", str(run), fine_tune=str(run / "tuned"))).explore == 1.0
    config = Config(run=run, reset_free=True, practice=PracticeConfig(noise=0.7))
    save_config(config, run / "tuned" / "config.yaml")
    assert explored(asked).explore == 0.7


def test_what_came_of_it_is_told_once_it_has_begun(tmp_path, capsys):
    run = run_of(tmp_path / "run", "drawer_open", "drawer_close", task="drawer_open")
    deployment = Deployment("sim_drawer", str(run), fine_tune=str(run / "tuned"))
    tell(deployment)
    assert capsys.readouterr().out == ""
    parts = parts_for(run, run / "tuned")
    parts.ledger().publish(0, lambda folder: shutil.copytree(run, folder, ignore=lambda *_: ["tuned"]))
    supervisor = Supervisor(rules_for(parts, DRAWER))
    supervisor.state.steps, supervisor.state.resets = 9600, 1
    supervisor.save(parts.out / SUPERVISOR)
    tell(deployment)
    told = capsys.readouterr().out
    assert "before:" in told and "2.0 minutes of robot time, 0 resets after the first" in told
