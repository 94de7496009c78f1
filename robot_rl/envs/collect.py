"""Collects a dataset in simulation, on all cores, the same for the same seed, and resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_rl.data.episode import Episode
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from robot_rl.envs.workers import worker_pool
from robot_rl.specs.dataset_cards import DatasetCard
from robot_rl.specs.tasks import TaskCard

if TYPE_CHECKING:
    from robot_rl.policies.policy import Policy


@dataclass(frozen=True)
class Plan:
    """All that decides a collected dataset; equal plans give equal datasets."""

    task: TaskCard
    card: DatasetCard
    path: Path
    episodes: int
    seed: int
    images: bool = True
    randomise: bool = False  # apply the task card's ranges
    policy: Path | None = None  # checkpoint that plays what the behaviour calls "policy"


def collect(plan: Plan, workers: int = 2, progress: Callable[[int], object] | None = None) -> Dataset:
    """Collect what is missing of a plan and return the dataset; `progress(n)` hears of n more episodes.

    Killed at any moment, the same call continues: every closed episode is kept. An existing dataset is
    returned as it is if it was made by this plan; otherwise BadInput is raised.
    """
    if (plan.path / "meta" / "info.json").exists():
        return _check_same(Dataset.open(plan.path), plan)
    from robot_rl.envs.make import make_task

    make_task(
        plan.task, randomise=plan.randomise
    ).close()  # a wrong card or a missing module shows here, before anything is written
    writer = open_writer(plan)
    missing = sorted(set(range(plan.episodes)) - writer.closed_indices())
    if progress:
        progress(plan.episodes - len(missing))
    chunks = [(plan, missing[i : i + 5]) for i in range(0, len(missing), 5)]
    if chunks:
        with worker_pool(min(workers, len(chunks))) as pool:
            for count in pool.imap_unordered(_collect_some, chunks):
                if progress:
                    progress(count)
    writer.close()
    return Dataset.open(plan.path)


def open_writer(plan: Plan) -> DatasetWriter:
    """Open the dataset's writer; workers and the main process open the same one."""
    task = plan.task
    size = (task.camera.size, task.camera.size)
    return DatasetWriter(
        plan.path,
        fps=task.control_rate,
        state_names=[part.name for part in task.state],
        action_names=[part.name for part in task.actions],
        cameras={task.camera.name: size} if plan.images else None,
        robot_type=task.robot,
        metadata=_metadata(plan),
    )


def _metadata(plan: Plan) -> dict:
    return {
        "task": plan.task.name,
        "quality": plan.card.quality,
        "seed": plan.seed,
        "episodes": plan.episodes,
        "steps": plan.card.steps,
        "state_units": [part.unit for part in plan.task.state],
        "action_units": [part.unit for part in plan.task.actions],
        "licence": plan.card.licence,
        "behaviour": _behaviour(plan),
        # Only where they say something: a dataset is recognised by its metadata, older ones too.
        **({"randomise": True} if plan.randomise else {}),
        **({"policy": checkpoint_hash(plan.policy)} if plan.policy else {}),
    }


def _behaviour(plan: Plan) -> dict:
    card = plan.card
    if card.behaviour is not None:
        return card.behaviour.model_dump(mode="json")
    return {"parts": dict(card.parts), "order": card.order}


def checkpoint_hash(folder: Path) -> str:
    """16 hex digits of a checkpoint's two files: which policy it is."""
    content = [(folder / name).read_bytes() for name in ("policy.json", "weights.safetensors")]
    return hashlib.sha256(b"".join(content)).hexdigest()[:16]


def _check_same(dataset: Dataset, plan: Plan) -> Dataset:
    from robot_rl.errors import BadInput

    wanted = {**_metadata(plan), "cameras": [plan.task.camera.name] if plan.images else []}
    found = {**dataset.info.metadata, "cameras": list(dataset.info.cameras)}
    for field in ("randomise", "policy"):
        wanted.setdefault(field, None)
    for field, value in wanted.items():
        if found.get(field) != value:
            raise BadInput(
                f"{plan.path}: holds another dataset ({field} is {found.get(field)!r}, asked for {value!r}); "
                "give another folder or remove this one"
            )
    return dataset


def _collect_some(work: tuple[Plan, list[int]]) -> int:
    """Collect some episodes in a worker process."""
    from robot_rl.envs.make import make_task

    plan, indices = work
    env, policy = make_task(plan.task, randomise=plan.randomise), _policy(plan)
    writer = open_writer(plan)
    for index in indices:
        writer.write(index, play(env, plan, index, policy))
    env.close()
    return len(indices)


def _policy(plan: Plan) -> Policy | None:
    from robot_rl.policies.policy import MlpPolicy

    return MlpPolicy.load(plan.policy) if plan.policy else None


def play(env, plan: Plan, index: int, policy: Policy | None = None) -> Episode:
    """Play one episode of a plan in its environment; the seed and the index decide everything."""
    from robot_rl.envs.player import Player

    rng = np.random.default_rng([plan.seed, index])
    behaviour = plan.card.behaviour_of(index, plan.episodes, rng)
    start = {"random_start": behaviour.random_start}
    observation, _ = env.reset(seed=int(rng.integers(2**31)), options=start)
    player = Player(env, behaviour, rng, policy)
    states, actions, rewards, success, images = [], [], [], [], []
    for _ in range(plan.card.steps):
        states.append(observation["state"])
        if plan.images:
            images.append(env.render().copy())
        actions.append(player(observation))
        observation, reward, _, _, info = env.step(actions[-1])
        rewards.append(reward)
        success.append(info["success"])
    final = {"state": observation["state"]}
    observations = {"state": np.stack(states)}
    if plan.images:
        camera = f"image.{plan.task.camera.name}"
        observations[camera], final[camera] = np.stack(images), env.render().copy()
    return Episode(
        observations=observations,
        actions=np.stack(actions),
        task=plan.task.goal,
        fps=plan.task.control_rate,
        rewards=np.array(rewards, np.float32),
        success=np.array(success),
        final_observation=final,
    )
