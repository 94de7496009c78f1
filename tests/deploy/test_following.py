"""A policy under a supervisor's instruction: which task it sees, and what is wished in its place."""

import numpy as np
import pytest

from robot_rl.deploy.control import ControlStep, load_policy, load_swap, version_of
from robot_rl.deploy.following import Exploring
from robot_rl.deploy.instruction import Instruction
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import save_checkpoint
from tests.deploy.contracts import position_contract, velocity_contract
from tests.deploy.test_interface import FITS
from tests.policies.helpers import make_spec

NAMES = ["x", "task.go", "task.back"]


def checkpoint(folder, log_std=-9.0, unit="rad", **changes):
    """A policy that wishes tanh(2) under "go" and tanh(-2) under "back"."""
    fields = {"state_names": NAMES, "state_units": [unit, "1", "1"], "state_mean": [0.0] * 3,
              "state_std": [1.0] * 3, "hidden": [], "action_units": [""]}  # fmt: skip
    weights = {"layer0.weight": np.array([[0.0], [2.0], [-2.0]]), "layer0.bias": np.zeros(1),
               "log_std": np.full(1, log_std)}  # fmt: skip
    return save_checkpoint(folder, weights, make_spec(**FITS | fields | changes))


def step_of(run, contract):
    step = ControlStep(contract, load_policy(run), version_of(run))
    step.state.heard({"x": 0.0})
    return step


def told(mode, task, number=1):
    return Instruction(mode, task, number).to_text()


def test_the_instruction_is_part_of_what_it_sees(tmp_path):
    step = step_of(checkpoint(tmp_path), position_contract())
    with pytest.raises(BadInput, match="no instruction has been heard; is supervisor_node running"):
        step(0.0, 0.0)
    for task, wished in (("go", np.tanh(2)), ("back", -np.tanh(2)), ("go", np.tanh(2))):
        step.follow(told("act", task))
        assert step(0.0, 0.0) == {"a": pytest.approx(wished, abs=1e-6)}


def test_without_a_supervisor_it_acts_for_the_task_that_is_named_or_its_own(tmp_path):
    step = step_of(checkpoint(tmp_path, task="back"), position_contract())
    step.begin_with("")
    assert step(0.0, 0.0) == {"a": pytest.approx(-np.tanh(2), abs=1e-6)}
    step.begin_with("go")
    assert step(0.0, 0.0) == {"a": pytest.approx(np.tanh(2), abs=1e-6)}
    with pytest.raises(BadInput, match="not trained for task 'come'"):
        step.begin_with("come")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (told("act", "og"), "not trained for task 'og'. Did you mean 'go'"),
        (told("jump", "go"), "mode must be act, perturb, home, wait, not 'jump'"),
        ("go", "'go' is no instruction"),
        ('{"mode": "act"}', "is no instruction"),
        ("[1]", "is no instruction"),
    ],
)
def test_an_instruction_that_is_none_leaves_the_old_one_in_force(tmp_path, text, why):
    step = step_of(checkpoint(tmp_path), position_contract())
    step.follow(told("act", "back"))
    with pytest.raises(BadInput, match=why):
        step.follow(text)
    assert step(0.0, 0.0) == {"a": pytest.approx(-np.tanh(2), abs=1e-6)}


def test_a_velocity_rests_at_zero_and_a_position_where_it_was_commanded(tmp_path):
    contract = velocity_contract(channel={"scale": 2.0, "offset": 0.5, "low": -3, "high": 3})
    step = step_of(checkpoint(tmp_path / "v", unit="m"), contract)
    step.follow(told("wait", "go"))
    assert step(0.0, 0.0) == {"a": -0.25}  # 2 * -0.25 + 0.5 m/s
    step = step_of(checkpoint(tmp_path / "p"), position_contract())
    step.follow(told("wait", "go"))
    with pytest.raises(BadInput, match="where 'a' may rest is not known"):
        step(0.0, 0.0)
    step.executed({"a": 0.75})
    assert step(0.0, 0.0) == {"a": 0.75}


def test_a_perturbation_is_random_within_the_limits_and_the_same_for_the_same_number(tmp_path):
    step = step_of(checkpoint(tmp_path), position_contract())

    def shaken(number):
        step.follow(told("perturb", "go", number))
        return [step(0.0, 0.0)["a"] for _ in range(50)]

    first, other, again = shaken(1), shaken(2), shaken(1)
    assert first == again != other
    assert max(map(abs, first)) <= 1 and np.std(first) > 0.2


def test_exploring_adds_the_learner_s_noise_also_after_a_swap(tmp_path):
    run = checkpoint(tmp_path / "run", log_std=-1.0)
    policy = load_policy(run, explore=1.0)
    state = np.float32([0, 1, 0])
    assert isinstance(policy, Exploring) and np.std([policy.act(state) for _ in range(50)]) > 0.01
    assert np.ptp([load_policy(run).act(state) for _ in range(5)]) == 0
    swapped, _ = load_swap(run, checkpoint(run / "next", log_std=-1.0), "auto", 1.0)
    assert isinstance(swapped, Exploring)
    with pytest.raises(BadInput, match="is not finite"):
        policy.act(np.float32([np.nan, 1, 0]))


def test_a_policy_of_one_task_takes_no_instruction(tmp_path):
    run = save_checkpoint(
        tmp_path,
        {"layer0.weight": np.ones((1, 1)), "layer0.bias": np.zeros(1), "log_std": np.zeros(1)},
        make_spec(**FITS | {"hidden": []}),
    )
    step = step_of(run, position_contract())
    assert step(0.0, 0.0) == {"a": 0.0}
    with pytest.raises(BadInput, match="the policy is of one task and takes no instruction"):
        step.follow(told("act", "go"))
