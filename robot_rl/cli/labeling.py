"""One run of `robot-rl label`: dataset, goal, pictures and folders, each checked or loaded when needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from robot_rl.cli import judging
from robot_rl.cli.asking import Choice, Goal, Look, look_at
from robot_rl.cli.common import progress
from robot_rl.cli.label import PAIRS, Config
from robot_rl.cli.label_evaluation import truth
from robot_rl.cli.spread import SharedLook, embed
from robot_rl.data.images import read_picture
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput, nearest
from robot_rl.preferences.store import LabelStore
from robot_rl.rewards.config import RewardConfig
from robot_rl.specs.tasks import load_task, task_names
from robot_rl.vision.encoder import ImageTextEncoder, load_open_clip
from robot_rl.vision.in_domain import InDomainConfig

_BY_SCORE = ("clip", "cascade")  # labelers of which a cheap score of every frame is at hand


@dataclass(frozen=True)
class Seen:
    """A dataset's frames as a model sees them."""

    encoder: ImageTextEncoder
    vectors: np.ndarray  # (N, D) float32


@dataclass(frozen=True)
class Labeling:
    """What a run of the command works on."""

    config: Config
    dataset: Dataset
    goal: Goal
    camera: str
    look: Look
    reward_config: RewardConfig
    goal_image: np.ndarray | None  # (H, W, 3) uint8

    @classmethod
    def begin(cls, config: Config) -> Labeling:
        """Check all that can be checked before anything costs time or money; raises BadInput."""
        _check_options(config)
        dataset = Dataset.open(config.dataset)
        goal = resolve_goal(config.task, config.opposite, config.labeler)
        camera = judging.one_camera(dataset, config.camera)
        look = look_at(dataset, camera, goal.card, config.strip, config.trace, config.trace_file)
        image = None if config.goal_image is None else read_picture(config.goal_image)
        if config.evaluate:
            truth(dataset)
        made = cls(config, dataset, goal, camera, look, reward_config(config.reward, config.seed), image)
        if made.store.exists():  # one that cannot be used should show before minutes are spent
            LabelStore(made.store).close()
        return made

    @property
    def out(self) -> Path:
        """The folder of the labeling."""
        return self.config.out or beside(self.config.dataset, "-labeled")

    @property
    def store(self) -> Path:
        """Where the answers are."""
        return self.config.store or beside(self.config.dataset, ".labels.sqlite")

    @cached_property
    def labels(self) -> LabelStore:
        """The label store, open from here to the run's end; raises BadInput where it cannot be used."""
        return LabelStore(self.store)

    def close(self) -> None:
        """Close the label store if it was opened."""
        if "labels" in vars(self):
            self.labels.close()

    @property
    def pairs(self) -> int:
        """Pairs to ask about, held-out ones apart."""
        return self.config.pairs or PAIRS[self.config.labeler]

    def shared_look(self) -> SharedLook:
        """The pictures as another process opens them for itself."""
        config, path, task = self.config, str(self.dataset.root.resolve()), ""
        if self.goal.card is not None:
            is_file = config.task.endswith((".yaml", ".yml"))
            task = str(Path(config.task).resolve()) if is_file else config.task
        return SharedLook(path, self.camera, task, config.strip, config.trace, config.trace_file)

    @cached_property
    def seen(self) -> Seen:
        """The encoder and the vectors of all frames; takes minutes where neither is in the cache."""
        encoder = load_encoder(self.config.model, self.config.weights, self.goal)
        with progress(self.dataset.info.total_frames, "embedding", "frames") as advance:
            return Seen(encoder, embed(self.config.ray, self.dataset, self.camera, encoder, advance))

    @cached_property
    def clip(self) -> judging.ClipLabeler:
        """The labeler clip; it also gives every frame a score for choosing pairs."""
        check_opposite(self.goal)
        seen = self.seen
        return judging.clip_labeler(seen.encoder, self.goal, seen.vectors, self.look, self.goal_image)

    def choice(self) -> Choice:
        """How the pairs of the first round are chosen."""
        config, way, pairs = self.config, self.config.select, self.pairs
        if way == "auto":
            way = "stratified" if config.labeler in _BY_SCORE else "random"
        if way == "disagreement":
            pairs, way = pairs - pairs // 2, "random"
        return Choice(
            pairs,
            config.seed,
            way,
            score=self.clip.score(self.seen.vectors) if way == "stratified" else None,
            vectors=self.seen.vectors if way == "coverage" else None,
            near=config.near_duplicates,
        )


def _check_options(config: Config) -> None:
    """Refuse options that belong to another labeler; raises BadInput."""
    chats = config.labeler in ("chat", "cascade")
    batch = config.export_batch is not None or bool(config.import_batch)
    if not chats and config.chat != type(config.chat)():
        raise BadInput(f"--labeler: is '{config.labeler}'; --chat needs chat or cascade")
    if batch and config.labeler != "chat":
        raise BadInput(f"--labeler: is '{config.labeler}'; --export-batch and --import-batch need chat")
    if batch and config.select == "disagreement":
        raise BadInput("--select: disagreement asks in two rounds; choose another one with a batch")
    if config.labeler == "cascade" and config.chat.both_orders == "always":
        raise BadInput("--chat.both-orders: the cascade asks in both orders itself (--cascade.both-orders)")
    if config.goal_image is not None and config.labeler not in _BY_SCORE:
        raise BadInput(f"--labeler: is '{config.labeler}'; --goal-image needs clip or cascade")
    if config.trace and config.labeler == "clip":
        raise BadInput("--trace: clip judges the pictures as they are; draw paths for chat, human or cascade")
    if config.near_duplicates < 0:
        raise BadInput(f"--near-duplicates: must be at least 0 grey levels, not {config.near_duplicates}")


def beside(dataset: Path, ending: str) -> Path:
    """Return the path of what belongs to a dataset's folder, which may be given as a dot."""
    folder = dataset if dataset.name else dataset.resolve()
    return folder.with_name(folder.name + ending)


def reward_config(settings: dict[str, int], seed: int) -> RewardConfig:
    """Make the reward model's settings from `--reward`; raises BadInput for an unknown one."""
    known = ("members", "epochs", "batch_size")
    for name in settings:
        if name not in known:
            raise BadInput(f"--reward: unknown setting '{name}'.{nearest(name, known)}")
    return RewardConfig(seed=seed, **settings)


def resolve_goal(task: str, opposite: str, labeler: str = "clip") -> Goal:
    """Take a card's name or a sentence for what is asked; raises BadInput where a text is missing."""
    if not task.strip():
        raise BadInput(f"--task: is empty; give a sentence or one of {', '.join(task_names())}")
    if task in task_names() or task.endswith((".yaml", ".yml")):
        card = load_task(task)
        return Goal(card.goal, opposite or card.opposite, card)
    if " " not in task.strip():
        raise BadInput(f"--task: no task '{task}'.{nearest(task, task_names())} Or give a whole sentence.")
    goal = Goal(task, opposite, None)
    if labeler in _BY_SCORE:
        check_opposite(goal)
    return goal


def check_opposite(goal: Goal) -> None:
    """Refuse a goal that clip cannot judge by; raises BadInput."""
    if goal.card is None and not goal.opposite.strip():
        raise BadInput(
            '--opposite: is missing; clip compares the goal with its opposite, e.g. "the drawer is closed"'
        )


def load_encoder(model: str, weights: str, goal: Goal) -> ImageTextEncoder:
    """Load or train the image-text model that `--model` names."""
    if model.partition(":")[0] != "in-domain":
        if not weights:
            raise BadInput(f"--weights: is missing; {model} needs a pretrained tag or a local file")
        return load_open_clip(model, weights)
    name = model.partition(":")[2]
    if not name and goal.card is None:
        raise BadInput(
            "--model: 'in-domain' belongs to a task card; give in-domain:TASK, or an open_clip model"
        )
    return judging.in_domain_encoder(load_task(name) if name else goal.card, InDomainConfig(), 2, progress)
