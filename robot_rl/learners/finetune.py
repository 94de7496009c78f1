"""Lets an online learner act in a Gymnasium environment, or learn from a queue; knows no simulator."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from robot_rl.learners.experience import Transition
from robot_rl.learners.online import OnlineLearner
from robot_rl.policies.policy import Policy

Evaluate = Callable[[Policy], Mapping[str, float]]  # gives "success" in [0, 1] and "return", besides others


def finetune(
    learner: OnlineLearner,
    env: Any,
    evaluate: Evaluate | None = None,
    reward: Callable[[], float] | None = None,
    progress: Callable[[int, str], object] | None = None,
) -> Path:
    """Let the learner act in a Gymnasium environment until its steps are done; returns its folder.

    Observations are states (S,) or mappings with "state"; `info["success"]` is logged where it is there, and
    `info["executed_action"]` is what really was done. Every eval_every steps, at the beginning and at the
    end, `evaluate` judges the policy, in an environment of its own. `reward`, called before each step, takes
    the place of the environment's (a learned reward belongs to the frame at which the action is chosen).
    """
    progress = progress or (lambda *_: None)
    progress(learner.step, "")
    if evaluate and learner.step == 0:
        learner.evaluated(evaluate(learner.policy()))
    while not learner.finished:
        seed = np.random.default_rng([learner.config.seed, learner.episodes]).integers(2**31)
        observation, _ = env.reset(seed=int(seed))
        ended = False
        while not ended:
            observation, ended = _step(learner, env, state_of(observation), reward)
            if evaluate and (learner.step % learner.config.eval_every == 0 or learner.finished):
                learner.evaluated(evaluate(learner.policy()))
            learner.save_if_due()
            progress(1, f"episode {learner.episodes}")
    return learner.root


def _step(
    learner: OnlineLearner, env: Any, state: np.ndarray, reward: Callable[[], float] | None
) -> tuple[Any, bool]:
    """Act once and learn from it; returns the next observation and whether the episode ended."""
    action = learner.act(state)
    learned = reward() if reward else None
    observation, given, terminated, truncated, info = env.step(action)
    # The last step of all cuts the episode, so that whoever adds steps later begins with a new one.
    cut = truncated or learner.step + 1 >= learner.config.steps
    step = Transition(
        state,
        info.get("executed_action", action),
        given if learned is None else learned,
        state_of(observation),
        bool(terminated),
        bool(cut and not terminated),
    )
    learner.observe(step, info.get("success"))
    return observation, step.ended


class TransitionQueue(Protocol):
    """Where a robot's transitions are put, such as a queue.Queue by another thread; None at the end."""

    def get(self) -> Transition | None:
        """The next one, waited for; None where no more will come."""


def learn_from(
    learner: OnlineLearner,
    source: TransitionQueue | Iterable[Transition],
    progress: Callable[[int, str], object] | None = None,
) -> Path:
    """Learn from transitions that come from elsewhere, such as a robot, until they or the steps end.

    Each is learned from when the next has come, so that the last one can end its episode, where the source
    stops in the middle of one; then all is saved. `progress` is told of each, and a note.
    """
    progress = progress or (lambda *_: None)
    progress(learner.step, "")
    steps = iter(source.get, None) if hasattr(source, "get") else source
    for step in _ending(steps, learner.config.steps - learner.step):
        learner.observe(step)
        learner.save_if_due()
        progress(1, f"episode {learner.episodes}")
    learner.save()
    return learner.root


def _ending(steps: Iterable[Transition], count: int) -> Iterator[Transition]:
    """The first `count` transitions, the last of which ends its episode, as a cut where it did not."""
    held = None
    for step in itertools.islice(steps, count):
        if held is not None:
            yield held
        held = step
    if held is not None:
        yield held if held.ended else dataclasses.replace(held, truncated=True)


def state_of(observation: Mapping[str, np.ndarray] | np.ndarray) -> np.ndarray:
    """The state (S,) of an environment's observation."""
    return observation["state"] if isinstance(observation, Mapping) else observation


def evaluate_policy(env: Any, policy: Policy, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Run one episode a seed until success or its end: success (E,) bool and undiscounted returns (E,)."""
    found = []
    for seed in seeds:
        observation, _ = env.reset(seed=int(seed))
        policy.reset()
        total, reached, ended = 0.0, False, False
        while not (ended or reached):
            observation, reward, terminated, truncated, info = env.step(policy.act(observation))
            total, ended = total + float(reward), terminated or truncated
            reached = bool(info.get("success", False))
        found.append((reached, total))
    success, returns = zip(*found, strict=True)
    return np.array(success), np.array(returns)
