"""Robot-assisted dressing: a gripper pulls a sleeve over a person's hand and forearm, up to the elbow."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.envs.cloth.geometry import depth_in_ring
from robot_rl.envs.cloth.moves import STEP, towards, wandering
from robot_rl.envs.cloth.rig import Rig, aim
from robot_rl.envs.task_env import Act

RING, MIDDLE = 10, 4  # points of a ring of the sleeve; the ring half way along it
HAND, UPPER_ARM = 0.15, 0.28  # m from wrist to fingertips, from elbow to shoulder
SUCCESS = 0.8  # share of the forearm that the sleeve's opening has to pass
TURN = 0.1  # rad that ±1 of the action's fourth number turns the gripper's set-point by
COMFORT = 10.0  # N on the arm that cost nothing
_SETTLE = 4  # control periods that the sleeve hangs before an episode starts
# m: where the expert waits before the hand until it is this little beside the middle of the opening, and how
# far ahead it aims.
_BEFORE, _BESIDE, _AHEAD = 0.05, 0.03, 0.05


class Dressing:
    """The arm stands still in a pose of the seed: place of the elbow, length, direction of the forearm.

    Success: the held opening is past 80 % of the forearm, from wrist to elbow, and the sleeve's middle is on
    the arm as well. Both are crossings of the arm's axis with the surface that the ring of cloth spans, so
    that a sleeve beside the arm, or caught before the hand, does not count.

    True reward at each step: 5 p - 0.02 max(0, force - 10 N), where p is 0 for a sleeve that is off the
    arm, less twice the distance (m) from the opening to the fingertips, and else the share of the way from
    the fingertips to 80 % of the forearm that the opening has passed, at most 1.
    """

    behaviours = ("expert", "slide", "goal", "wander", "undo", "retreat")
    exploring = {"slide": 0.75, "goal": 0.1, "wander": 0.05, "undo": 0.1}

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        model = rig.model
        self._mocap = {
            name: int(model.body(name).mocapid[0]) for name in ("hand", "forearm", "upper_arm", "person")
        }
        self._force = self._peak = self._depth = self._middle = 0.0

    def begin(self, rng: np.random.Generator, wide: bool) -> None:
        """Pose the arm, hold the sleeve in front of it (anywhere in front with `wide`) and let it settle."""
        self._draw_arm(rng)
        aside = 0.16 if wide else 0.08
        offset = np.array([rng.uniform(0.07, 0.22), *rng.uniform(-aside, aside, 2)])
        gripper = np.clip(self._axis[0] + offset, self.rig.low, self.rig.high)
        self.rig.start(gripper, self.rig.rest + gripper)
        self._place_arm()
        self._force = self._peak = 0.0
        for _ in range(_SETTLE):
            self.rig.run()
        self._measure()

    def _draw_arm(self, rng: np.random.Generator) -> None:
        """Draw the arm's joints, from the fingertips to the shoulder: (4, 3) m."""
        elbow = np.array([0.0, 0.0, 0.78]) + rng.uniform([-0.02, -0.03, -0.03], [0.02, 0.03, 0.03])
        yaw, pitch = np.deg2rad(rng.uniform([-20, -12], [20, 12]))
        along = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
        self._length = rng.uniform(0.22, 0.27)
        lift, swing = np.deg2rad(rng.uniform([45, 0], [75, 30]))
        up = np.array([-np.cos(lift) * np.cos(swing), np.cos(lift) * np.sin(swing), np.sin(lift)])
        wrist = elbow + self._length * along
        self._along = along
        self._axis = np.stack([wrist + HAND * along, wrist, elbow, elbow + UPPER_ARM * up])

    def _place_arm(self) -> None:
        """Bring the arm's shapes to the drawn joints; an episode does not move them again."""
        model, data = self.rig.model, self.rig.data
        for index, name in enumerate(("hand", "forearm", "upper_arm")):
            far, near = self._axis[index], self._axis[index + 1]
            shape = model.geom(name)
            cap = shape.size[0] if name == "hand" else 0.0
            half = (np.linalg.norm(far - near) - cap) / 2  # the fingertips are the end of the hand's cap
            model.geom_size[shape.id, 1] = half
            data.mocap_pos[self._mocap[name]] = near + (far - near) / np.linalg.norm(far - near) * half
            data.mocap_quat[self._mocap[name]] = aim(np.array([1.0, 0.1, 0.0]), far - near)
        data.mocap_pos[self._mocap["person"]] = self._axis[3]

    def advance(self, action: np.ndarray) -> dict[str, Any]:
        """Move and turn the gripper; `force` is the largest on the arm so far (N)."""
        self.rig.move(STEP * action[:3])
        self.rig.turn(TURN * action[3])
        self._force = self.rig.run(self.rig.contact_force)  # only arm and sleeve can touch in this scene
        self._peak = max(self._peak, self._force)
        self._measure()
        return {"force": self._peak, "progress": self.progress()}

    def _measure(self) -> None:
        """Measure how much of the arm is through the sleeve's opening, and through its middle (m)."""
        points, middle = self.rig.points, RING * MIDDLE
        self._depth = depth_in_ring(points[:RING], self._axis)
        self._middle = depth_in_ring(points[middle : middle + RING], self._axis)

    def progress(self) -> float:
        """Share of the forearm that the opening has passed, from wrist to elbow, in [0, 1]."""
        return float(np.clip((self._depth - HAND) / self._length, 0.0, 1.0))

    def outcome(self) -> tuple[float, bool]:
        """See the class."""
        depth, wanted = self._depth, HAND + SUCCESS * self._length
        cost = 0.02 * max(0.0, self._force - COMFORT)
        if depth == 0.0:
            return -2.0 * float(np.linalg.norm(self.rig.gripper - self._axis[0])) - cost, False
        reward = 5.0 * min(depth / wanted, 1.0) - cost
        return reward, depth >= wanted and self._middle > 0.0

    def state(self) -> np.ndarray:
        """Pose of the gripper, fingertips and elbow as a camera sees them, force at the wrist."""
        rig = self.rig
        return np.array([*rig.data.qpos[:4], *self._axis[0], *self._axis[2], rig.pull()])

    def quantities(self) -> dict[str, float]:
        """Measure opening and arm (m): see each entry's comment."""
        off = self.rig.gripper - self._axis[0]
        return {
            "distance": float(np.linalg.norm(off)),  # from the middle of the opening to the fingertips
            "aside": float(np.linalg.norm(off - (off @ self._along) * self._along)),  # off the forearm's line
            "depth": self._depth,  # of the arm in the sleeve, from the fingertips to the held opening
            "forearm": self.progress(),  # share of the forearm that the opening has passed
        }

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """`slide` stops at a random depth, `undo` pulls the sleeve off; the rest are as everywhere."""
        if name == "wander":
            return wandering(rng)
        if name in ("expert", "slide", "undo"):
            whole = HAND + 0.9 * self._length
            some = min(rng.uniform(-0.05, 1.4 * whole), whole)
            depth = {"expert": whole, "slide": some, "undo": -0.12}[name]
            return lambda: self._along_arm(depth)
        goal, yaw = rng.uniform(self.rig.low, self.rig.high), rng.uniform(-0.6, 0.6)
        if name == "retreat":
            goal, yaw = self._axis[0] + np.array([0.2, *rng.uniform(-0.1, 0.1, 2)]), 0.0
        return lambda: towards(goal, self.rig.gripper, self._turn_to(yaw))

    def _turn_to(self, yaw: float) -> float:
        return float(np.clip((yaw - self.rig.data.qpos[3]) / TURN, -1.0, 1.0))

    def _along_arm(self, depth: float) -> np.ndarray:
        """Bring the opening to a depth (m) past the fingertips, around the hand and not beside it."""
        gripper, along = self.rig.gripper, self._along
        off = gripper - self._axis[0]
        ahead = float(off @ along)
        aside = off - ahead * along
        yaw = self._turn_to(float(np.arctan2(along[1], along[0])))
        distance = np.linalg.norm(aside)
        if distance < _BESIDE or (ahead < 0.0 and distance < 2 * _BESIDE):
            goal = -depth
        elif ahead < 0.0:  # beside the arm: go back out first
            return towards(gripper + 0.1 * along, gripper, yaw)
        else:
            goal = max(_BEFORE, ahead)
        goal = ahead + np.clip(goal - ahead, -_AHEAD, _AHEAD)  # else keeping to the middle would not count
        return towards(self._axis[0] + goal * along, gripper, yaw)
