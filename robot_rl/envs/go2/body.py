"""Go2 in a scene: motors with latency in, what its sensors say out, and where it really is, for rewards."""

from __future__ import annotations

import numpy as np

from robot_rl.envs.go2.legs import STANCE
from robot_rl.envs.go2.options import Options
from robot_rl.envs.go2.scene import ARM_HOME, RoughGround, load_scene, mujoco

LEGS = ("FL", "FR", "RL", "RR")
JOINTS = tuple(f"{leg}_{joint}" for leg in LEGS for joint in ("hip", "thigh", "calf"))
FALLEN_UP, FALLEN_HEIGHT = 0.5, 0.14  # tilted by over 60°, or the trunk nearly on the ground (m)


class Body:
    """One Go2; an action (A,) in ±1 is a set of joint targets around the stance, A = 12 and the arm's joints.

    The sensors' values are those of the last physics step but one, 2 ms old, as MuJoCo computes them.
    """

    def __init__(self, options: Options, control_rate: float, arm: bool = False) -> None:
        self.model = load_scene(options.ground, arm)
        self.data = mujoco.MjData(self.model)
        self.options = options
        steps = round(1 / control_rate / self.model.opt.timestep)
        self._late = round(options.latency / self.model.opt.timestep)  # physics steps with the old targets
        self._rest = steps - self._late
        ranges = np.tile([options.hip_range, options.thigh_range, options.calf_range], 4)
        self.ranges = np.concatenate([ranges, np.full(self.model.nu - 12, options.arm_range)])  # (A,) rad
        self.centre = np.concatenate([STANCE, ARM_HOME[: self.model.nu - 12]])  # (A,) rad
        self.ground = RoughGround(self.model, options.roughness) if options.ground == "rough" else None
        self.sensors, self.position = self.data.sensordata, self.data.qpos[:3]
        self._control, self.force = self.data.ctrl, self.data.actuator_force
        self.last = self.before = np.zeros(self.model.nu, np.float32)
        self.period, self.phase = 1 / control_rate, 0.0  # s; the robot's gait clock, in strides

    def place(self, pose: np.ndarray, joints: np.ndarray) -> None:
        """Put the robot at rest: the trunk's pose (7,), m and quaternion, joints (12,), an arm at home."""
        mujoco.mj_resetDataKeyframe(self.model, self.data, 0)
        self.data.qpos[:] = np.concatenate([pose, joints, self.centre[12:]])
        self._control[:] = self.data.qpos[7:]
        self.last = self.before = self.action_for(self.data.qpos[7:]).astype(np.float32)
        self.phase = 0.0
        mujoco.mj_forward(self.model, self.data)

    def action_for(self, targets: np.ndarray) -> np.ndarray:
        """The action that asks for joint targets in rad, (A,) each; beyond ±1 where they are out of range."""
        return (targets - self.centre) / self.ranges

    def legs_action(self, targets: np.ndarray) -> np.ndarray:
        """The action that asks the legs for joint targets (12,) in rad, and an arm to stay at home."""
        return self.action_for(np.concatenate([targets, self.centre[12:]]))

    def drive(self, action: np.ndarray) -> None:
        """Let a control period pass: the old targets until the latency is over, then the action's."""
        if self._late:
            mujoco.mj_step(self.model, self.data, self._late)
        self._control[:] = self.centre + self.ranges * action
        if self._rest:
            mujoco.mj_step(self.model, self.data, self._rest)
        self.before, self.last = self.last, action
        self.phase += self.period * self.options.clock_rate

    def settle(self, seconds: float) -> None:
        """Let physics go on with the present targets."""
        mujoco.mj_step(self.model, self.data, round(seconds / self.model.opt.timestep))

    @property
    def up(self) -> float:
        """Upright is 1, lying on its side 0, on its back -1."""
        return float(self.sensors[5])

    @property
    def gravity(self) -> np.ndarray:
        """(3,) the direction of gravity in the trunk's frame, as the IMU measures it at rest."""
        return -self.sensors[3:6]

    @property
    def height(self) -> float:
        """Of the trunk's middle over the ground beneath it (m)."""
        x, y, z = self.position.tolist()
        return z - (self.ground.height(x, y) if self.ground else 0.0)

    @property
    def fallen(self) -> bool:
        """Whether it lies rather than stands."""
        return self.up < FALLEN_UP or self.height < FALLEN_HEIGHT
