"""How a task of the benchmark `tasks` is studied: its data, its rewards, and policies that differ in these.

BC, and IQL on the true reward, on labels of the in-domain judge (words of the task card), and on a constant
reward. Everything but the reward is the same. What is finished stays in the folder and is read back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from robot_rl.cli.arms import Arm, run_arms, write_json
from robot_rl.cli.asking import Choice, Goal, ask, choose, look_at
from robot_rl.cli.common import progress
from robot_rl.cli.judging import clip_labeler, fit, in_domain_encoder
from robot_rl.data.store import Dataset
from robot_rl.envs.collect import Plan, collect
from robot_rl.preferences.store import LabelStore
from robot_rl.rewards.model import RewardConfig
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import load_task
from robot_rl.vision.cache import embed_dataset
from robot_rl.vision.in_domain import InDomainConfig
from tests.benchmarks.mission import label_accuracy

ARMS = ("bc", "true_reward", "clip", "constant")


@dataclass(frozen=True)
class Study:
    """One task's data and training; the seeds are not used for any choice."""

    task: str
    data_seeds: tuple[int, ...]  # of the dataset that each seed learns from
    first_episode: int  # seed of the first evaluation episode
    quality: str = "random"
    seeds: tuple[int, ...] = (0, 1)
    collected: int | None = None  # episodes; None: as the dataset card says
    pairs: int = 4000
    updates: int = 5000
    episodes: int = 20  # of the evaluation of each seed
    settings: Mapping[str, object] = field(default_factory=dict)  # IQL's, where not the defaults
    judge: InDomainConfig = InDomainConfig()
    pictures: bool = True  # without them nothing can be labeled

    def quick(self) -> Study:
        """The same on next to nothing, to see that it runs."""
        judge = replace(self.judge, frames=300, steps=10)
        few = {"seeds": (0,), "collected": 10, "pairs": 300, "updates": 100, "episodes": 2}
        return replace(self, judge=judge, **few)


# Observations of Go2 hold no velocity of the trunk: rewards of half a stride are summed (n-step) before a
# value is trusted.
WALKING = {"discount": 0.97, "expectile": 0.7, "temperature": 10.0, "target_rate": 0.01, "n_step": 10}
STUDIES = {
    study.task: study
    for study in (
        Study("drawer_open", (501, 502), 90_000, pairs=6000, updates=8000),
        Study("door_open", (501, 502), 92_000, pairs=6000, updates=8000),
        Study("dressing", (401, 402), 60_000),
        # A third scale, other data and another true reward came after rows on 401 to 404 had been seen.
        Study("cloth_fold", (405, 406), 80_000),
        Study("go2_walk", (301, 301), 50_000, "mixed", updates=8000, settings=WALKING),
    )
}


def dataset_of(study: Study, seed: int, folder: Path, workers: int) -> Dataset:
    """The study's data for one of its seeds; what is missing is collected."""
    card, data = load_dataset_card(study.task, study.quality), study.data_seeds[seed]
    path, episodes = folder / f"{study.task}-{study.quality}-{data}", study.collected or card.episodes
    plan = Plan(load_task(study.task), card, path, episodes, data, study.pictures)
    if (path / "meta" / "info.json").exists():
        return collect(plan)
    with progress(episodes, f"collect {path.name}", "episodes") as advance:
        return collect(plan, workers, advance)


def study_arms(study: Study, arms: Sequence[str], folder: Path, workers: int) -> None:
    """Train and evaluate the arms of a study; each policy's evaluation is in its folder afterwards."""
    missing = [
        (arm, seed)
        for arm in arms
        for seed in study.seeds
        if not (run_folder(study, arm, seed, folder) / "evaluation.json").exists()
    ]
    made = [_arm(study, arm, seed, folder, workers) for arm, seed in missing]
    if made:
        with progress(len(made), f"{study.task}: train and evaluate", "policies") as advance:
            run_arms(made, workers, advance)


def run_folder(study: Study, arm: str, seed: int, folder: Path) -> Path:
    """Where an arm's policy lies."""
    return folder / "runs" / study.task / f"{arm}-{seed}"


def found(study: Study, arm: str, folder: Path) -> list[dict]:
    """The records of an arm's seeds as far as they are finished."""
    paths = [run_folder(study, arm, seed, folder) / "evaluation.json" for seed in study.seeds]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def _arm(study: Study, arm: str, seed: int, folder: Path, workers: int) -> Arm:
    """One policy of a study, with its rewards."""
    dataset = dataset_of(study, seed, folder, workers)
    if arm == "clip":
        rewards = labels_of(study, seed, dataset, folder, workers)
    elif arm == "constant":
        rewards = np.zeros(dataset.info.total_frames)
    else:
        rewards = dataset.column("next.reward")
    bc = arm == "bc"
    return Arm(
        f"{arm}/{seed}",
        run_folder(study, arm, seed, folder),
        dataset.root,
        study.task,
        np.asarray(rewards, np.float32),
        "bc" if bc else "iql",
        study.updates,
        seed,
        study.episodes,
        study.first_episode + 1000 * seed,
        {} if bc else study.settings,
    )


def labels_of(study: Study, seed: int, dataset: Dataset, folder: Path, workers: int) -> np.ndarray:
    """Rewards (N,) learned from the judge's answers; how right it judges is written beside them."""
    task, name = load_task(study.task), f"{study.task}-{seed}"
    rewards, measured = folder / "labels" / f"{name}.npy", labels_file(study, seed, folder)
    if rewards.exists() and measured.exists():
        return np.load(rewards, allow_pickle=False)
    camera, goal = task.camera.name, Goal(task.goal, task.opposite, task)
    encoder = in_domain_encoder(task, study.judge, workers, progress)
    with progress(dataset.info.total_frames, f"{study.task}: look at frames", "frames") as advance:
        vectors = embed_dataset(dataset, camera, encoder, advance)
    labeler = clip_labeler(encoder, goal, vectors)
    choice = Choice(study.pairs, seed, "stratified", labeler.score(vectors))
    rewards.parent.mkdir(parents=True, exist_ok=True)
    with LabelStore(folder / "labels" / f"{name}.sqlite") as store:
        asked = ask(labeler, choose(dataset, look_at(dataset, camera), goal, choice), store)
    values = fit(vectors, asked, RewardConfig(seed=seed)).reward(vectors)[0]
    true = dataset.column("next.reward")
    np.save(rewards, values)
    write_json(measured, label_accuracy(dataset, labeler, vectors, true, seed))
    return values


def labels_file(study: Study, seed: int, folder: Path) -> Path:
    """Where the accuracy of a seed's labels is written."""
    return folder / "labels" / f"{study.task}-{seed}.json"
