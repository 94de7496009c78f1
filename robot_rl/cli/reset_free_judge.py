"""Judges a robot's weights in a simulated world of their own, from which nothing comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_rl.deploy.verdict import Judging, Tally
from robot_rl.deploy.weights_ledger import WeightsLedger
from robot_rl.envs.rollout import evaluate
from robot_rl.errors import RobotRLError
from robot_rl.policies.conditioning import TaskPolicy
from robot_rl.policies.policy import MlpPolicy, Policy
from robot_rl.specs.tasks import load_task

if TYPE_CHECKING:
    from robot_rl.envs.pair import ResetFreePair

_SHAKE = 8  # control steps of random motion before an episode in the scene of practice
_BLOCK = 100_000  # seeds between two blocks of starts
_SCRIPT = 600  # control steps that a script gets to prepare a start


class SceneJudge:
    """Episodes of both tasks of a pair, without noise; the starts are the same each time.

    In the scene of `scene` (a seed), things stand where they stand in the world of practice: each task starts
    as the other's script leaves the object, the hand near home, moved at random. Without a scene, each
    episode's seed places everything, as in `robot-rl evaluate`.
    """

    def __init__(
        self,
        pair: ResetFreePair,
        seeds: Sequence[int],
        scene: int | None = None,
        others: Sequence[str] = (),
    ) -> None:
        """Take the pair, seeds and scene; `others` are tasks judged besides, where things stand anywhere."""
        self.pair, self.seeds, self._scene, self._others = pair, list(seeds), scene, tuple(others)
        self._starts: dict[str, Mapping[str, np.ndarray]] = {}

    def __call__(self, folder: Path, stopped: Callable[[], bool] = lambda: False, block: int = 0) -> Tally:
        """Task -> (tries, successes) of a checkpoint; fewer tries where it is `stopped`.

        Each `block` has other starts, the same ones for every checkpoint.
        """
        seeds = [seed + _BLOCK * block for seed in self.seeds]
        policy, found = MlpPolicy.load(folder), {}
        for task in self.pair.tasks:
            told = TaskPolicy(policy, task, [part.name for part in self.pair.card(task).state])
            episodes = [self.episode(task, told, seed) for seed in seeds if not stopped()]
            found[task] = (len(episodes), sum(episodes))
        for task in self._others if not stopped() else ():
            success = evaluate(load_task(task), folder, seeds).success
            found[task] = (len(success), int(success.sum()))
        return found

    def episode(self, task: str, policy: Policy, seed: int) -> bool:
        """Whether the policy reaches success in the episode of a seed."""
        observation = self._start(task, seed)
        policy.reset()
        for _ in range(self.pair.card(task).episode_length):
            observation, _, _, _, info = self.pair.step(policy.act(observation))
            if info["success"]:
                return True
        return False

    def _start(self, task: str, seed: int) -> Mapping[str, np.ndarray]:
        if self._scene is None:
            return self.pair.begin_with(task, seed)
        if task not in self._starts:
            self._starts[task] = prepared(self.pair, task, self._scene)
        observation = self.pair.take_up(self._starts[task], task)
        rng, drift = np.random.default_rng(seed), np.zeros(self.pair.action_space.shape)
        for _ in range(_SHAKE):
            drift = 0.85 * drift + 0.4 * rng.normal(size=drift.shape)
            observation = self.pair.step(np.clip(drift, -1, 1).astype(np.float32))[0]
        return observation


def prepared(pair: ResetFreePair, task: str, scene: int) -> Mapping[str, np.ndarray]:
    """The world at the start of a task in a scene: as the other task's script leaves it, the hand home."""
    first, second = pair.tasks
    pair.begin_with(first, scene)
    if task == second:
        act = pair.env.behave("expert", np.random.default_rng(0))
        reached = 0
        for _ in range(_SCRIPT):
            reached += bool(pair.step(np.asarray(act(), np.float32))[4]["success"])
            if reached >= 3:
                break
        else:
            raise RobotRLError(f"{first}: its script did not reach success, so {task} cannot be judged here")
        pair.switch(task)
    pair.home()
    return pair.leave()


def judge_newest(
    ledger: WeightsLedger,
    judging: Judging,
    judge: SceneJudge,
    stopped: Callable[[], bool] = lambda: False,
) -> str:
    """Judge the newest version if nobody did; returns its status, or "" where nothing was to do.

    One that is not worse is tried again beside the best, on starts that both see for the first time: the
    luckiest of many would stay the best otherwise. Cut short by `stopped`, nothing more is written down.
    """
    version = ledger.to_judge()
    if version is None:
        return ""
    tally = ledger.tally(version.number)  # noted, but not settled, by a judge that was killed between
    if not tally:
        tally = judge(ledger.folder(version.number), stopped)
        if not judging.ready(tally, judge.pair.tasks):
            return ""
        ledger.note(version.number, tally)
    best = ledger.best()
    if best.number == version.number:
        return "best"
    verdict = judging(tally, ledger.tally(best.number))
    if verdict != "worse":
        again = {
            one: judge(ledger.folder(one), stopped, version.number) for one in (version.number, best.number)
        }
        if not all(judging.ready(one, judge.pair.tasks) for one in again.values()):
            return ""
        for one, more in again.items():
            ledger.note(one, more)
        verdict = judging(ledger.tally(version.number), ledger.tally(best.number))
    return ledger.settle(version.number, verdict)
