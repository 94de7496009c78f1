"""Plays one episode and keeps its pictures: a checkpoint, or one of a task's scripted behaviours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_rl.envs.task_env import TaskEnv
from robot_rl.policies.conditioning import View

if TYPE_CHECKING:
    from robot_rl.policies.checkpoint import PolicySpec

AFTER = 20  # steps shown after success: they show whether the object stays
Actor = Callable[[Mapping[str, np.ndarray]], np.ndarray]  # observation -> action (A,)


@dataclass(frozen=True)
class Recording:
    """What was seen of one episode."""

    frames: np.ndarray  # (n, size, size, 3) uint8, the first before any action
    success: bool
    steps: int
    returned: float  # sum of the true rewards


def steps_of(env: TaskEnv, actor: Actor, seed: int) -> Iterator[tuple[float, bool]]:
    """Play an episode until its end or a little after success; yields reward and whether it has succeeded.

    The first is the start, before any action.
    """
    observation, _ = env.reset(seed=seed)
    reached, truncated, after = False, False, 0
    yield 0.0, False
    while not truncated and after < AFTER:
        observation, reward, terminated, truncated, info = env.step(actor(observation))
        truncated = truncated or terminated
        reached = reached or info["success"]
        after += reached
        yield reward, reached


def record(env: TaskEnv, actor: Actor, seed: int, every: int = 2) -> Recording:
    """Record one picture in `every` steps."""
    frames, rewards, reached = [], [], [False]
    for step, (reward, so_far) in enumerate(steps_of(env, actor, seed)):
        rewards.append(reward)
        reached.append(so_far)
        if step % every == 0:
            frames.append(env.render().copy())
    return Recording(np.stack(frames), reached[-1], env.steps, sum(rewards))


def scripted_actor(env: TaskEnv, behaviour: str, seed: int) -> Actor:
    """One behaviour of the task for a whole episode; raises BadInput for one that it does not have."""
    env.known_behaviour(behaviour)
    drawn: list = []

    def act(_: Mapping[str, np.ndarray]) -> np.ndarray:
        if not drawn:  # after the reset, which some behaviours look at
            drawn.append(env.behave(behaviour, np.random.default_rng(seed)))
        return drawn[0]()

    return act


def seen(env: TaskEnv, observation: Mapping[str, np.ndarray], spec: PolicySpec) -> dict[str, np.ndarray]:
    """What a policy takes of a moment: its parts of the state with the task, and its cameras' pictures."""
    view = View(spec.state_names, env.card.name, [part.name for part in env.card.state])
    state = view(observation["state"])
    return {"state": state, **{image.key: env.render() for image in spec.images}}


def policy_actor(env: TaskEnv, checkpoint: Path) -> Actor:
    """A checkpoint's policy, without noise."""
    from robot_rl.policies.image_policy import load_policy

    policy = load_policy(checkpoint)
    policy.reset()
    return lambda observation: policy.act(seen(env, observation, policy.spec))
