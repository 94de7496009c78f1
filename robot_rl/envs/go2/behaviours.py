"""What Go2 may do while data is collected: good and bad trots, standing, stumbling, getting up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_rl.envs.go2.body import Body
from robot_rl.envs.go2.legs import STANCE
from robot_rl.envs.go2.reach import Reach, ReachOut
from robot_rl.envs.go2.rise import GetUp, Rise
from robot_rl.envs.go2.trot import Gait, trot
from robot_rl.envs.go2.walk import Walk
from robot_rl.envs.task_env import Act

_STRAY_LOW, _STRAY_HIGH = (-0.6, -0.3, -0.8), (0.6, 0.3, 0.8)  # m/s, m/s, rad/s
_KEEP, _STUMBLE = 0.8, 0.12  # Ornstein–Uhlenbeck noise on the joint targets, in rad
_PACE, _BOUND, _TROT = (0.0, 0.5, 0.0, 0.5), (0.0, 0.0, 0.5, 0.5), (0.0, 0.5, 0.5, 0.0)


def draw(name: str, body: Body, goal: Walk | Rise | Reach, rng: np.random.Generator) -> Act:
    """Draw one of a goal's behaviours for one segment; what walks gets up first where it has fallen."""
    if name in ("reach", "walk_only", "reach_only"):
        return ReachOut(body, goal, legs=name != "reach_only", arm=name != "walk_only")
    if name == "getup":
        return _as_actions(body, GetUp(body, clocked=isinstance(goal, Rise)))
    if name == "stand":
        return _recovering(body, lambda: STANCE)
    if name == "stumble":
        return _as_actions(body, _stumbling(rng))
    gait = random_gait(rng) if name == "gait" else Gait(rate=body.options.clock_rate)
    wrong = rng.uniform(_STRAY_LOW, _STRAY_HIGH)
    return _recovering(body, _trotting(body, gait, lambda: wrong if name == "stray" else goal.asked))


def random_gait(rng: np.random.Generator) -> Gait:
    """A gait of random rate, height, lift and order of the legs; many of them stumble."""
    return Gait(
        rate=rng.uniform(1.5, 4.0),
        duty=rng.uniform(0.4, 0.7),
        lift=rng.uniform(0.01, 0.09),
        height=rng.uniform(0.18, 0.3),
        offsets=(_TROT, _PACE, _BOUND)[rng.choice(3, p=(0.6, 0.2, 0.2))],
        gain=rng.uniform(0.4, 1.6),
    )


def _trotting(body: Body, gait: Gait, command: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    per_clock = gait.rate / body.options.clock_rate  # a trot of the clock's rate is in step with it

    def act() -> np.ndarray:
        return trot(gait, body.phase * per_clock, command(), body.gravity, body.sensors[:3])

    return act


def _stumbling(rng: np.random.Generator) -> Callable[[], np.ndarray]:
    drift = np.zeros(12)

    def act() -> np.ndarray:
        drift[:] = _KEEP * drift + _STUMBLE * rng.normal(size=12)
        return STANCE + drift

    return act


def _recovering(body: Body, walk: Callable[[], np.ndarray]) -> Act:
    """Walk, and after a fall get up before walking on."""
    rising: GetUp | None = None

    def act() -> np.ndarray:
        nonlocal rising
        if rising is None and body.fallen:
            rising = GetUp(body)
        if rising is not None and rising.done:
            rising = None
        return body.legs_action(walk() if rising is None else rising())

    return act


def _as_actions(body: Body, targets: Callable[[], np.ndarray]) -> Act:
    return lambda: body.legs_action(targets())
