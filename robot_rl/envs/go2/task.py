"""A task of Unitree Go2 at 50 Hz: joint targets in, the robot's own sensors out; its card says which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from robot_rl.envs.go2 import behaviours
from robot_rl.envs.go2.body import LEGS, Body
from robot_rl.envs.go2.options import read_options
from robot_rl.envs.go2.reach import Reach
from robot_rl.envs.go2.rise import Rise, StandUp, lie_down
from robot_rl.envs.go2.scene import mujoco
from robot_rl.envs.go2.state import check_names, sensed
from robot_rl.envs.go2.walk import Walk
from robot_rl.envs.task_env import Act, TaskEnv
from robot_rl.errors import BadInput, nearest
from robot_rl.specs.tasks import TaskCard

GOALS = {"walk": Walk, "getup": Rise, "reach": Reach}
_STEPS_PER_FRAME, _STEPS_PER_SEGMENT = 5, 40  # of `explore`
_LYING_SHARE = 0.35  # of its segments begin with a fall


class Go2Task(TaskEnv):
    """State: `SENSED`, then what is asked; action (12,), with an arm (18,): joint targets.

    An action of ±1 is the card's range (rad) away from the stance. A fall ends nothing: the episode goes on,
    and the robot has to get up.
    """

    def __init__(self, card: TaskCard, render_mode: str | None = None, size: int | None = None) -> None:
        super().__init__(card, render_mode, size)
        options = read_options(card)
        name = card.environment.partition(":")[2]
        self._body = Body(options, card.control_rate, arm=name == "reach")
        self._goal = GOALS[name](card.control_rate, card.episode_length)
        self.behaviours = self._goal.behaviours
        if card.goes_on and (name != "walk" or options.ground != "flat"):
            raise BadInput(f"{card.name}: goes_on: only a walk (go2:walk) on flat ground goes on without end")
        check_names(card, self._goal.asked_names, arm=name == "reach")

    @property
    def model(self) -> Any:
        """The scene, an MjModel."""
        return self._body.model

    @property
    def data(self) -> Any:
        """The scene's state, an MjData."""
        return self._body.data

    def begin(self, options: Mapping[str, Any]) -> None:
        """Draw the ground, the first pose and what is asked."""
        body = self._body
        if body.ground:
            body.ground.draw(self.np_random)
            self.close()  # the next picture loads the new ground
        self._goal.begin(body, self.np_random)

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """Let one control period pass."""
        self._body.drive(action)
        return self._goal.measure(self._body)

    def state(self) -> np.ndarray:
        """What the robot senses, and what is asked."""
        return sensed(self._body, self._goal.asked)

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """Draw one of `behaviours` for a segment of an episode."""
        return behaviours.draw(name, self._body, self._goal, rng)

    def way_home(self) -> Callable[[], np.ndarray | None]:
        """To get up after a fall; a robot on its feet is there."""
        return StandUp(self._body)

    def try_again(self) -> None:
        """Draw a new command for the robot as it stands or walks.

        It follows from the pose alone: a world that was kept on disk goes on with the same command.
        """
        super().try_again()
        self._goal.ask(self._body.options, np.random.default_rng(self.data.qpos.view(np.uint32)))

    def leave(self) -> dict[str, np.ndarray]:
        """Physics, what the sensors last said, the last two actions and the gait clock."""
        if self._body.ground:
            raise BadInput(f"{self.card.name}: only worlds of flat ground are kept")
        whole = mujoco.mjtState.mjSTATE_INTEGRATION
        physics = np.empty(mujoco.mj_stateSize(self.model, whole))
        mujoco.mj_getState(self.model, self.data, physics, whole)
        body = self._body
        actions, sensors = np.stack([body.before, body.last]), body.sensors.copy()
        return {"physics": physics, "sensors": sensors, "actions": actions, "phase": np.array(body.phase)}

    def take_up(self, left: Mapping[str, np.ndarray]) -> None:
        """Put what was left, and begin an episode there."""
        whole, body = mujoco.mjtState.mjSTATE_INTEGRATION, self._body
        mujoco.mj_setState(self.model, self.data, left["physics"], whole)
        mujoco.mj_forward(self.model, self.data)  # where things are in space; it changes the solver's start
        mujoco.mj_setState(self.model, self.data, left["physics"], whole)
        body.sensors[:] = left["sensors"]
        body.before, body.last = left["actions"].astype(np.float32)
        body.phase = float(left["phase"])
        self.try_again()

    def explore(self, rng: np.random.Generator) -> Iterator[None]:
        """Walk, stumble and get up at random, a third of the time after being dropped on the ground."""
        while True:
            self.reset(seed=int(rng.integers(2**31)))
            if rng.random() < _LYING_SHARE:
                lie_down(self._body, rng)
            act = self.behave(str(rng.choice(self.behaviours)), rng)
            for step in range(_STEPS_PER_SEGMENT * int(rng.integers(1, 6))):
                self.step(act())
                if step % _STEPS_PER_FRAME == 0:
                    yield

    def quantities(self) -> dict[str, float]:
        """Measure what a card's scales may speak of: see each entry's comment."""
        body, data = self._body, self._body.data
        feet = np.array([data.geom(leg).xpos for leg in LEGS])
        found = {
            "up": body.up,  # 1 upright, 0 on its side, -1 on its back
            "height": body.height,  # m, of the trunk over the ground
            "ahead": float(data.qpos[0]),  # m, from the start along the lane
        }
        found["lifted"] = float(feet[:, 2].max() - feet[:, 2].min())  # m, highest over lowest foot
        if body.model.nu > 12:
            found["gripper_height"] = float(data.site("arm_tip").xpos[2])  # m over flat ground
        return found


def make(card: TaskCard, render_mode: str | None = None, size: int | None = None) -> Go2Task:
    """Make a card's environment; raises BadInput for a name that this family does not have."""
    name = card.environment.partition(":")[2]
    if name not in GOALS:
        raise BadInput(f"environment: go2 has no '{name}'.{nearest(name, GOALS)}")
    return Go2Task(card, render_mode, size)
