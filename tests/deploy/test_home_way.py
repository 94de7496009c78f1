"""The way home of a contract: place after place, by the velocities that the workspace names."""

from __future__ import annotations

import pytest

from robot_rl.deploy.following import Following
from robot_rl.deploy.home_way import HomeWay
from robot_rl.deploy.instruction import Instruction
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import RobotContract, load_contract
from tests.policies.helpers import make_spec

DRAWER = load_contract("sim_drawer")
SPEC = make_spec(
    state_names=["hand_x", "task.drawer_open", "task.drawer_close"], action_names=list(DRAWER.channels()),
    action_units=[""] * 4, action_low=[-1.0] * 4, action_high=[1.0] * 4,
)  # fmt: skip


def hand(x: float, y: float, z: float) -> dict[str, float]:
    return {"hand_x": x, "hand_y": y, "hand_z": z}


def test_it_leads_from_place_to_place_and_says_when_it_is_there():
    way = HomeWay(DRAWER)
    assert way.wish(hand(0.2, 0.5, 0.1)) == {"gripper_close": -1, "hand_dz": 1.0}  # up, at its fastest
    # 5 cm from the next place in x, at it in y and z: 10 periods of 1/80 s, at 0.8 m/s for an action of 1.
    over = way.wish(hand(0.05, 0.6, 0.34))
    assert over["hand_dx"] == pytest.approx(-0.5) and over["hand_dy"] == 0
    assert over["hand_dz"] == pytest.approx(0.1)
    down = way.wish(hand(0.01, 0.61, 0.35))
    assert down["hand_dz"] == pytest.approx(-1.0) and not way.there(hand(0.01, 0.61, 0.35))
    assert way.there(hand(0.01, 0.61, 0.21)) and not way.there(hand(0.01, 0.61, 0.23))
    assert way.wish(hand(0.2, 0.6, 0.2))["hand_dz"] == 0  # the last place stays the goal …
    way.begin()
    assert way.wish(hand(0.2, 0.6, 0.2))["hand_dz"] == pytest.approx(1.0)  # … until it begins anew


def test_a_policy_s_node_wishes_it_while_it_is_asked_to():
    following = Following(DRAWER, SPEC)
    following.follow(Instruction("home", "drawer_open", 1).to_text())
    wish = following.instead(hand(0.0, 0.6, 0.1))
    assert wish == {"hand_dx": 0.0, "hand_dy": 0.0, "hand_dz": 1.0, "gripper_close": -1}
    following.follow(Instruction("wait", "drawer_open", 2).to_text())
    assert following.instead(hand(0.0, 0.6, 0.1)) == dict.fromkeys(wish, 0.0)
    homeless = DRAWER.model_copy(update={"home": None})
    with pytest.raises(BadInput, match="the robot's contract has no way home"):
        Following(homeless, SPEC).follow(Instruction("home", "drawer_open", 1).to_text())


@pytest.mark.parametrize(
    ("home", "told"),
    [
        ({"way": [{"hand_z": 0.9}]}, "home.way: hand_z at 0.9 lies outside its walls, 0.03 to 0.6"),
        ({"way": [{"handle_x": 0.0}]}, "home.way: unknown name 'handle_x'"),
        ({"way": [{"hand_z": 0.3}], "actions": {"grip": 1}}, "home.actions: unknown name 'grip'"),
    ],
)
def test_a_way_that_cannot_be_gone_is_refused(home, told):
    plain = DRAWER.model_dump() | {"home": {"within": 0.02} | home}
    with pytest.raises(ValueError, match=told):
        RobotContract.model_validate(plain)
