"""The robot contracts that come with the project: each loads, and fits the policies that it is for."""

from __future__ import annotations

import pytest

from robot_rl.deploy.interface import check_fit
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.specs.robot_contract import contract_names, load_contract
from robot_rl.specs.tasks import load_task, task_names

HARDWARE = (
    "go2", "go2_cmd_vel", "panda_servo", "panda_trajectory", "ur5e_forward", "ur5e_servo", "ur5e_trajectory",
)  # fmt: skip


def described(contract, state: dict[str, str], actions: dict[str, str]) -> PolicyDescription:
    return PolicyDescription(
        state_names=tuple(state), state_units=tuple(state.values()),
        action_names=tuple(actions), action_units=tuple(actions.values()),
        action_low=(-1.0,) * len(actions), action_high=(1.0,) * len(actions),
        fps=contract.control_rate, robot=contract.robot, task="t", task_text="t", dataset_hash="",
        reward_source="",
    )  # fmt: skip


@pytest.mark.parametrize("name", contract_names())
def test_it_loads_and_fits_a_policy_that_sees_and_does_all_of_it(name):
    contract = load_contract(name)
    channels = contract.channels()
    units = {n: c.unit if (c.scale, c.offset) == (1, 0) else "1" for n, c in channels.items()}
    check_fit(contract, described(contract, contract.state_parts(), units), name)
    assert contract.name == name


@pytest.mark.parametrize("name", HARDWARE)
def test_hardware_is_marked_as_such_and_says_that_it_was_not_tried(name):
    contract = load_contract(name)
    assert contract.hardware and contract.simulated is None
    assert contract.tested.startswith("Never on hardware.")
    assert contract.ramp >= 1.0
    for command in contract.commands.values():
        assert command.kind == "position" or command.timeout <= 0.5


@pytest.mark.parametrize("robot", ["go2", "sim_go2"])
@pytest.mark.parametrize("task", ["go2_walk", "go2_rough"])
def test_a_policy_of_the_walking_tasks_runs_on_both(robot, task):
    if task not in task_names():
        pytest.skip(f"no task card '{task}' here")
    card, contract = load_task(task), load_contract(robot)
    state, actions = ({part.name: part.unit for part in parts} for parts in (card.state, card.actions))
    spec = described(contract, state, actions).model_copy(
        update={"robot": card.robot, "fps": card.control_rate}
    )
    check_fit(contract, spec, task)
    for action, channel in contract.channels().items():
        kind = action.split("_")[1]
        assert channel.scale == card.options[f"{kind}_range"]
        assert channel.offset == {"hip": 0, "thigh": 0.9, "calf": -1.8}[kind]
        source = contract.sources["joints"].parts[f"{action}_q"]
        assert source.offset == -channel.offset  # 0 in the state is 0 in the action
