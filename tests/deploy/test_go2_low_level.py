"""What Go2's motors are told, worked by hand: order, interpolation, ranges, and when they damp."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from robot_rl.deploy.go2_bridge import empty_command, fill
from robot_rl.deploy.go2_low_level import HIGH, LOW, MOTORS, Gains, LowLevel, SetPoint
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import load_contract

STANCE = {m: {"hip": 0.0, "thigh": 0.9, "calf": -1.8}[m.split("_")[1]] for m in MOTORS}


def standing(now: float = 0.0) -> LowLevel:
    made = LowLevel(Gains(kp=50.0, kd=1.0, damping=4.0), timeout=0.1, period=0.02)
    made.measured(np.array(list(STANCE.values())), now)
    return made


def moved(joint: str, to: float) -> dict[str, float]:
    return STANCE | {joint: to}


def test_names_find_their_motor_whatever_their_order():
    assert MOTORS[:4] == ("FR_hip_joint", "FR_thigh_joint", "FR_calf_joint", "FL_hip_joint")
    made = standing()
    made.target(dict(reversed(moved("RL_calf_joint", -2.0).items())), 0.0)
    point = made.tick(0.02)
    assert point.position.tolist() == [0, 0.9, -1.8] * 3 + [0, 0.9, -2.0]
    assert (point.kp, point.kd, point.damped) == (50.0, 1.0, "")


def test_targets_are_reached_in_a_period_and_then_held():
    made = standing()
    made.target(moved("FR_hip_joint", 0.2), 0.0)
    assert [round(float(made.tick(t).position[0]), 6) for t in (0.0, 0.005, 0.02, 0.05)] == [
        0,
        0.05,
        0.2,
        0.2,
    ]
    made.measured(np.array(list(STANCE.values())), 0.06)
    made.target(moved("FR_hip_joint", 0.0), 0.06)
    made.target(moved("FR_hip_joint", 0.4), 0.07)  # half way back, from 0.1 on
    assert float(made.tick(0.08).position[0]) == pytest.approx(0.25)


def test_the_first_target_starts_where_the_motors_stand():
    made = standing()
    made.measured(np.array([0.5, 1.0, -2.0] * 4), 0.0)
    made.target(STANCE, 0.0)
    assert made.tick(0.0).position.tolist() == [0.5, 1.0, -2.0] * 4


def test_targets_stay_within_the_joints_ranges():
    made = standing()
    made.target(dict.fromkeys(MOTORS, 9.0), 0.0)
    np.testing.assert_array_equal(made.tick(0.05).position, HIGH)
    made.target(dict.fromkeys(MOTORS, -9.0), 0.05)
    made.measured(HIGH, 0.1)
    np.testing.assert_array_equal(made.tick(0.1).position, LOW)


def test_the_contract_stays_within_the_ranges_too():
    for name, channel in load_contract("go2").channels().items():
        place = MOTORS.index(f"{name}_joint")
        assert LOW[place] <= channel.low < channel.high <= HIGH[place]


@pytest.mark.parametrize(
    ("damped", "state_at", "now", "why"),
    [
        (False, 0.1, 0.13, "silent for more than 0.1 s"),
        (False, 0.0, 0.06, "state is not heard"),
        (True, 0.0, 0.02, "the guard says so"),
    ],
)
def test_it_damps(damped, state_at, now, why):
    made = standing()
    made.target(STANCE, 0.0)
    made.measured(np.array(list(STANCE.values())), state_at)
    made.damp(damped)
    point = made.tick(now)
    assert why in point.damped
    assert (point.kp, point.kd) == (0.0, 4.0)


def test_before_the_first_target_it_damps_and_after_damping_a_target_starts_anew():
    made = standing()
    assert made.tick(0.0).damped == "no joint targets"
    made.target(moved("FR_hip_joint", 1.0), 0.0)
    made.damp(True)
    made.target(moved("FR_hip_joint", 1.0), 0.01)  # not taken
    made.damp(False)
    assert made.tick(0.02).damped == "no joint targets"
    made.measured(np.full(12, 0.3), 0.03)
    made.target(moved("FR_hip_joint", 1.0), 0.03)
    assert made.tick(0.03).position[0] == 0.3


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (moved("FR_hip_joint", float("nan")), "'FR_hip_joint' is not finite"),
        ({**STANCE, "arm": 0.0}, "'arm' is wrong"),
        ({"FR_hip_joint": 0.0}, "must name the 12 joints"),
    ],
)
def test_a_wrong_message_is_not_taken(targets, told):
    made = standing()
    with pytest.raises(BadInput, match=told):
        made.target(targets, 0.0)
    assert made.tick(0.0).damped == "no joint targets"


def test_gains_are_bounded():
    with pytest.raises(BadInput, match="kp: must be above 0 and at most 150"):
        Gains(kp=500.0)


def test_the_wire_command():
    motors = [SimpleNamespace(mode=0, q=0.0, dq=0.0, tau=1.0, kp=1.0, kd=1.0) for _ in range(20)]
    command = empty_command(SimpleNamespace(head=[0, 0], level_flag=0, motor_cmd=motors))
    assert (command.head, command.level_flag) == ([0xFE, 0xEF], 0xFF)
    fill(command, SetPoint(np.arange(12.0), 70.0, 1.7))
    assert vars(motors[11]) == {"mode": 1, "q": 11.0, "dq": 0.0, "tau": 0.0, "kp": 70.0, "kd": 1.7}
    assert vars(motors[12]) == {"mode": 1, "q": 2.146e9, "dq": 16000.0, "tau": 0.0, "kp": 0.0, "kd": 0.0}
    fill(command, SetPoint(np.zeros(12), 0.0, 3.0, "silent"))
    assert vars(motors[0]) == {"mode": 1, "q": 2.146e9, "dq": 0.0, "tau": 0.0, "kp": 0.0, "kd": 3.0}
