"""What Go2's motors are told 500 times a second: held and interpolated joint targets, or damping.

Free of ROS and of Unitree's SDK: the driver node tells it what was heard and when, `go2_bridge` sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_rl.errors import BadInput

RATE = 500  # Hz, of commands to the motors
# The order of Unitree's motors; names as in its go2_description.
MOTORS = tuple(f"{leg}_{part}_joint" for leg in ("FR", "FL", "RR", "RL") for part in ("hip", "thigh", "calf"))
_RANGES = {"hip": (-1.0472, 1.0472), "calf": (-2.7227, -0.83776)}  # rad, go2_description
_THIGH = {"F": (-1.5708, 3.4907), "R": (-0.5236, 4.5379)}


def _range(motor: str) -> tuple[float, float]:
    part = motor.split("_")[1]
    return _THIGH[motor[0]] if part == "thigh" else _RANGES[part]


LOW, HIGH = np.array([_range(motor) for motor in MOTORS]).T  # (12,) rad


@dataclass(frozen=True)
class Gains:
    """Of the motors' own PD controllers: torque = kp (target - q) - kd dq."""

    kp: float = 70.0  # N m/rad; as the simulated robot has (sim/go2/go2.xml)
    kd: float = 1.7  # N m s/rad
    damping: float = 3.0  # N m s/rad, of kd while damping: the legs give way slowly

    def __post_init__(self) -> None:
        for name, highest in (("kp", 150.0), ("kd", 10.0), ("damping", 10.0)):
            if not 0 < getattr(self, name) <= highest:
                raise BadInput(f"{name}: must be above 0 and at most {highest:g}, not {getattr(self, name)}")


@dataclass(frozen=True)
class SetPoint:
    """One command to all motors, in Unitree's order."""

    position: np.ndarray  # (12,) rad
    kp: float
    kd: float
    damped: str = ""  # why the motors only damp, or ""


class LowLevel:
    """Decides each command; times are s of a monotonic clock."""

    def __init__(self, gains: Gains, timeout: float, period: float, stale: float = 0.05) -> None:
        """Take the silence (s) of targets and the age (s) of the state that damp, and targets' period (s)."""
        self._gains, self._timeout, self._period, self._stale = gains, timeout, period, stale
        self._measured: np.ndarray | None = None
        self._measured_at = self._heard_at = float("-inf")
        self._from = self._to = np.zeros(12)
        self._moving, self._damp = False, False

    def measured(self, positions: np.ndarray, now: float) -> None:
        """Note where the motors stand (12,), rad, in Unitree's order."""
        self._measured, self._measured_at = np.asarray(positions, np.float64), now

    def target(self, targets: Mapping[str, float], now: float) -> None:
        """Note joint targets, name -> rad, for all joints; BadInput for wrong ones, none is taken."""
        if set(targets) != set(MOTORS):
            odd = sorted(set(targets) ^ set(MOTORS))
            raise BadInput(f"joint targets: must name the 12 joints of Go2 once each; '{odd[0]}' is wrong")
        wished = np.array([targets[motor] for motor in MOTORS], np.float64)
        if not np.isfinite(wished).all():
            raise BadInput(f"joint targets: '{MOTORS[int(np.argmin(np.isfinite(wished)))]}' is not finite")
        if self._damp or self._measured is None:
            return
        # From where it was told to be, or stands: a first target must not be a jump.
        self._from = self._position(now) if self._moving else np.clip(self._measured, LOW, HIGH)
        self._to, self._heard_at, self._moving = np.clip(wished, LOW, HIGH), now, True

    def damp(self, damped: bool) -> None:
        """Note what the guard says on the stop topic; damping ends with the first target after False."""
        self._damp = damped
        if damped:
            self._moving = False

    def tick(self, now: float) -> SetPoint:
        """The command for now; call at `RATE`."""
        why = self._why(now)
        if why:
            self._moving = False
            return SetPoint(np.zeros(12), 0.0, self._gains.damping, why)
        return SetPoint(self._position(now), self._gains.kp, self._gains.kd)

    def _why(self, now: float) -> str:
        if self._damp:
            return "the guard says so"
        if now - self._measured_at > self._stale:
            return "the robot's state is not heard; is the network up?"
        if not self._moving:
            return "no joint targets"
        if now - self._heard_at > self._timeout:
            return f"joint targets have been silent for more than {self._timeout:g} s"
        return ""

    def _position(self, now: float) -> np.ndarray:
        """(12,) on the straight way from the last position to the target, which is reached after a period."""
        share = float(np.clip((now - self._heard_at) / self._period, 0.0, 1.0))
        return (1 - share) * self._from + share * self._to
