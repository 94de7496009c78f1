"""More rows of Go2 in the benchmark `tasks`: straight ahead at 0.5 m/s, reaching while walking, rising.

Walking ahead is played by the policies of go2_walk; the others have their own data, without pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robot_rl.cli.arms import write_json
from robot_rl.cli.common import progress
from robot_rl.envs.make import make_task
from robot_rl.policies.policy import MlpPolicy
from robot_rl.report.statistics import wilson
from robot_rl.specs.tasks import TaskCard, load_task
from tests.benchmarks._rows import Row
from tests.benchmarks._tasks_study import STUDIES, WALKING, Study, run_folder, study_arms

FORWARD = {"forward_from": 0.5, "forward_to": 0.5, "left_from": 0, "left_to": 0, "turn_from": 0, "turn_to": 0}
WALK = STUDIES["go2_walk"]
_UNSEEN = {"quality": "mixed", "updates": 8000, "settings": WALKING, "pictures": False}
REACH = Study("go2_arm_reach", (301, 301), 50_000, **_UNSEEN)
# Rolling over takes two seconds and pays only then; chosen on dataset seed 302.
RISING = {**WALKING, "discount": 0.99, "expectile": 0.8, "temperature": 5.0}
RISE = Study("go2_getup", (301, 301), 50_000, **{**_UNSEEN, "settings": RISING})


def forward(arms: Sequence[str], folder: Path, workers: int, quick: bool) -> list[Row]:
    """Success, falls and velocity error of go2_walk's policies that are told to walk ahead at 0.5 m/s."""
    study = WALK.quick() if quick else WALK
    study_arms(study, arms, folder, workers)
    card = load_task("go2_walk")
    card = card.model_copy(update={"options": {**card.options, **FORWARD}})
    rows = []
    for arm in arms:
        played = _played(study, card, arm, folder, "forward")
        goal = (">=", 1.0) if arm == "true_reward" else None
        rows.append(_success("go2_forward_0.5", arm, played, goal))
        rows.append(_mean("go2_forward_0.5/error", arm, played, "velocity_error", "m/s"))
    return rows


def reach(arms: Sequence[str], folder: Path, workers: int, quick: bool) -> list[Row]:
    """Distance of the gripper from its moving target while walking; informs."""
    study = REACH.quick() if quick else REACH
    study_arms(study, arms, folder, workers)
    card = load_task("go2_arm_reach")
    return [
        _mean("go2_arm_reach/error", arm, _played(study, card, arm, folder, "whole"), "mean_distance", "m")
        for arm in arms
    ]


def rise(arms: Sequence[str], folder: Path, workers: int, quick: bool) -> list[Row]:
    """Whether it stands at an episode's end after lying in any pose; informs."""
    study = RISE.quick() if quick else RISE
    study_arms(study, arms, folder, workers)
    card = load_task("go2_getup")
    return [_success("go2_getup", arm, _played(study, card, arm, folder, "whole")) for arm in arms]


def _played(study: Study, card: TaskCard, arm: str, folder: Path, what: str) -> list[dict]:
    """What each seed's policy did in whole episodes: last step's `info`, and whether it ever fell."""
    found = []
    for seed in study.seeds:
        policy = run_folder(study, arm, seed, folder)
        saved = policy / f"{what}.json"
        if not saved.exists():
            first = study.first_episode + 1000 * seed
            write_json(saved, _play(card, policy, range(first, first + study.episodes)))
        found.append(json.loads(saved.read_text()))
    return found


def _play(card: TaskCard, policy: Path, seeds: range) -> dict[str, list[float]]:
    env, act = make_task(card), MlpPolicy.load(policy).act
    found: dict[str, list[float]] = {}
    with progress(len(seeds), f"play {card.name}", "episodes") as advance:
        for seed in seeds:
            observation, _ = env.reset(seed=seed)
            fell = truncated = False
            while not truncated:
                observation, _, _, truncated, info = env.step(act(observation))
                fell |= info["fallen"]
            for name, value in {**info, "fell": fell}.items():
                found.setdefault(name, []).append(float(value))
            advance(1)
    env.close()
    return found


def _success(name: str, arm: str, played: Sequence[dict], goal: tuple[str, float] | None = None) -> Row:
    values = np.concatenate([one["success"] for one in played])
    interval = wilson(int(values.sum()), len(values))
    note = f"95 % interval {interval.low:.2f} to {interval.high:.2f}; {_told(played, 'success')}"
    return Row.of(f"{name}/{arm}", float(values.mean()), "share of episodes", goal, note)


def _mean(name: str, arm: str, played: Sequence[dict], field: str, unit: str) -> Row:
    value = float(np.mean([one[field] for one in played]))
    return Row.of(f"{name}/{arm}", round(value, 3), unit, None, _told(played, field))


def _told(played: Sequence[dict], field: str) -> str:
    """Each seed's own figure, and the falls."""
    each = ", ".join(f"{np.mean(one[field]):.3f}" for one in played)
    fell = np.mean([one["fell"] for one in played])
    seeds, episodes = list(range(len(played))), len(played[0]["fell"])
    return f"seeds {seeds}: {each}; {episodes} episodes each, fell in {fell:.0%}"
