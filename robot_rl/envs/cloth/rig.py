"""A scene of sim/cloth and the gripper in it: position servos whose pull is limited, and a grip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_rl.envs.rendering import mujoco
from robot_rl.specs.paths import outside

LEAD = 0.05  # m; the set-point never runs farther ahead of the gripper, so that no pull is stored up
_LOOKS = 5  # times a control period that forces are read


class Rig:
    """One loaded scene; lengths in m, forces in N, in the scene's frame."""

    def __init__(self, scene: str, control_rate: float) -> None:
        self.model = mujoco.MjModel.from_xml_path(str(outside("sim", "cloth", f"{scene}.xml")))
        self.data = mujoco.MjData(self.model)
        self._substeps = max(1, round(1.0 / (control_rate * self.model.opt.timestep) / _LOOKS))
        self._low, self._high = self.model.actuator_ctrlrange.T
        if self.model.nflex:
            # The points of a flex have three slides each, along the axes of the scene.
            first = self.model.jnt_qposadr[self.model.body_jntadr[self.model.flex_vertbodyid[0]]]
            self._flex = slice(first, first + 3 * self.model.nflexvert)
            mujoco.mj_kinematics(self.model, self.data)
            mujoco.mj_flex(self.model, self.data)
            self._rest = self.data.flexvert_xpos.copy()

    @property
    def low(self) -> np.ndarray:
        """Where the gripper may be sent, (3,) m; with `high`."""
        return self._low[:3]

    @property
    def high(self) -> np.ndarray:
        """Where the gripper may be sent, (3,) m; with `low`."""
        return self._high[:3]

    @property
    def gripper(self) -> np.ndarray:
        """Position of the gripper, (3,) m."""
        return self.data.qpos[:3].copy()

    @property
    def points(self) -> np.ndarray:
        """Points of the flex, (n, 3) m."""
        return self.data.flexvert_xpos

    @property
    def rest(self) -> np.ndarray:
        """Points of the flex as the scene's file has them, (n, 3) m."""
        return self._rest

    def start(self, gripper: np.ndarray, points: np.ndarray | None = None) -> None:
        """Forget everything and put the gripper (3,) and the points of the flex (n, 3) somewhere."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:3] = self.data.ctrl[:3] = np.clip(gripper, self.low, self.high)
        if points is not None:
            self.data.qpos[self._flex] = (points - self._rest).ravel()

    def move(self, displacement: np.ndarray) -> None:
        """Displace the gripper's set-point (3,) m, within reach and `LEAD`."""
        wished = self.data.ctrl[:3] + displacement
        near = np.clip(wished, self.gripper - LEAD, self.gripper + LEAD)
        self.data.ctrl[:3] = np.clip(near, self.low, self.high)

    def turn(self, angle: float) -> None:
        """Turn the set-point of the gripper's fourth servo by an angle (rad), within its range."""
        self.data.ctrl[3] = np.clip(self.data.ctrl[3] + angle, self._low[3], self._high[3])

    def grip(self, close: bool, distance: float, reach: float = 0.035) -> None:
        """Open, or close: what is within reach (m) is held from then on."""
        held = bool(self.data.eq_active[self._grip])
        self.data.eq_active[self._grip] = close and (held or distance < reach)

    @property
    def holds(self) -> bool:
        """Whether the gripper holds what it can hold."""
        return bool(self.data.eq_active[self._grip])

    @property
    def _grip(self) -> int:
        return mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_EQUALITY, "grip")

    def pull(self) -> float:
        """Force of the gripper's three servos together (N)."""
        return float(np.linalg.norm(self.data.actuator_force[:3]))

    def run(self, look: Callable[[], float] | None = None) -> float:
        """Simulate one control period; return the largest of what `look` saw on the way, 0 without it."""
        seen = 0.0
        for _ in range(_LOOKS):
            mujoco.mj_step(self.model, self.data, self._substeps)
            if look:
                seen = max(seen, look())
        return seen

    def contact_force(self) -> float:
        """Size of the force (N) of all contacts together, as the flex presses on what does not move."""
        data = self.data
        wrenches, wrench = np.zeros((data.ncon, 3)), np.zeros(6)
        for index in range(data.ncon):
            mujoco.mj_contactForce(self.model, data, index, wrench)
            wrenches[index] = wrench[:3]
        frames = data.contact.frame.reshape(-1, 3, 3)
        return float(np.linalg.norm(np.einsum("cij,ci->j", frames, wrenches)))


def aim(x_axis: np.ndarray, z_axis: np.ndarray) -> np.ndarray:
    """Return the quaternion (4,) of a frame whose z runs along `z_axis` and x nearest to `x_axis`."""
    z = z_axis / np.linalg.norm(z_axis)
    y = np.cross(z, x_axis)
    y /= np.linalg.norm(y)
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.stack([np.cross(y, z), y, z], 1).ravel())
    return quaternion
