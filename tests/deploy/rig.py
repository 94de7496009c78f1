"""A guard on simulated time: what it hears, when, and what it then commands."""

from __future__ import annotations

from robot_rl.deploy.guard import MOVING, Guard, Output
from robot_rl.specs.robot_contract import RobotContract


class Rig:
    """A guard and its two clocks; `step` lets time pass. Source "x" measures the part "x"."""

    def __init__(self, contract: RobotContract) -> None:
        self.contract, self.guard = contract, Guard(contract)
        self.now, self.wall = 100.0, 5000.0  # s, monotonic and of the stamps
        self.x = 0.0

    def step(self, seconds: float) -> Rig:
        """Let time pass."""
        self.now += seconds
        self.wall += seconds
        return self

    def sense(self, x: float | None = None, age: float = 0.0) -> Rig:
        """A reading arrives that was taken `age` s ago."""
        self.x = self.x if x is None else x
        self.guard.heard("x", {"x": self.x}, self.wall - age, self.wall, self.now)
        return self

    def wish(self, value: float = 0.0, policy: str = "", age: float = 0.0) -> Rig:
        """The policy wishes `value`, stamped `age` s ago."""
        self.guard.wished({"a": value}, self.wall - age, self.wall, self.now, policy)
        return self

    def tick(self) -> Output:
        """What the guard publishes now."""
        return self.guard.tick(self.wall, self.now)

    def enable(self) -> Rig:
        """A person enables."""
        self.guard.enable(self.wall, self.now)
        return self

    def start(self, x: float = 0.0) -> Rig:
        """Sense, enable, and let the first command, which is where the robot rests, go out."""
        self.sense(x).enable().tick()
        return self

    def run(self, periods: int, value: float, *, policy: str = "", sensed: bool = True) -> list[Output]:
        """So many periods with a reading and a wish each; what was published."""
        outputs = []
        for _ in range(periods):
            self.step(self.contract.period)
            if sensed:
                self.sense()
            outputs.append(self.wish(value, policy).tick())
        return outputs

    def idle(self, periods: float, *, sensed: bool = True) -> list[Output]:
        """Half periods in which the watchdog alone ticks; what was published."""
        outputs = []
        for _ in range(round(2 * periods)):
            self.step(self.contract.period / 2)
            if sensed:
                self.sense()
            outputs.append(self.tick())
        return outputs


def sent(outputs: list[Output]) -> list[float]:
    """The commands to the one action that were published."""
    return [output.commands["a"] for output in outputs if output.commands is not None]


def moving(output: Output) -> bool:
    """Whether the guard follows a policy or a person."""
    return output.mode in MOVING
