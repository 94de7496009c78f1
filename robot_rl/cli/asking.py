"""What is asked of a labeler: which pairs of frames, how they are shown, and in which rounds.

The steps behind `robot-rl label` between a dataset and its preferences; `judging` goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.preferences.pairs import random_pairs, stratified_pairs, thumbnails
from robot_rl.preferences.run import label_pairs, make_questions
from robot_rl.preferences.selection import coverage_pairs, disagreement_pairs, without_near_duplicates
from robot_rl.preferences.showing import Strip, strips, told, traced
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.trace import gripper_pixels
from robot_rl.preferences.types import FrameSource, Labeler, Outcome, Pair, Preference, Question
from robot_rl.specs.tasks import TaskCard

Selection = Literal["random", "stratified", "disagreement", "coverage"]
Progress = Callable[..., object]
HELD_OUT = 0.2  # share of episodes whose frames no training pair contains
_CANDIDATES = 4  # frames looked at for near-duplicates, as a multiple of the pairs


@dataclass(frozen=True)
class Goal:
    """What is asked about the pictures."""

    text: str
    opposite: str
    card: TaskCard | None  # with its scales of words, where the task has a card


@dataclass(frozen=True)
class Look:
    """How a dataset's frames are shown to a labeler."""

    frames: FrameSource  # what it sees of each frame
    plain: FrameSource  # the pictures as they are
    strip: Strip | None = None
    told: str = ""  # the same in words, for whoever is asked

    def moments(self, pairs: np.ndarray) -> np.ndarray:
        """What a reward model learns from for pairs (M, 2): the frames shown, (M, 2) or (M, 2, 3)."""
        return pairs if self.strip is None else self.strip.moments(pairs)


def look_at(
    dataset: Dataset,
    camera: str,
    card: TaskCard | None = None,
    strip: int = 1,
    trace: int = 0,
    trace_file: Path | None = None,
) -> Look:
    """Show single frames or strips of `strip` frames, with the gripper's path of `trace` steps or without."""
    plain = shown = partial(dataset.frames, camera)
    starts = np.repeat(dataset.starts, dataset.lengths)
    if trace:
        shown = traced(shown, gripper_pixels(dataset, camera, card, trace_file), starts, trace)
    segments = None if strip == 1 else Strip(starts, strip)
    if segments is not None:
        shown = strips(shown, segments)
    return Look(shown, plain, segments, told(segments, trace))


@dataclass(frozen=True)
class Asking:
    """What is to be asked, before anybody is."""

    questions: tuple[Question, ...]
    held_out: np.ndarray  # (M,) bool: both frames from held-out episodes
    look: Look

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The pairs of the questions."""
        return tuple(question.pair for question in self.questions)

    def __add__(self, other: Asking) -> Asking:
        held_out = np.concatenate([self.held_out, other.held_out])
        return Asking(self.questions + other.questions, held_out, self.look)


@dataclass(frozen=True)
class Asked:
    """Pairs and what a labeler said of them."""

    pairs: tuple[Pair, ...]
    answers: tuple[Preference, ...]
    held_out: np.ndarray  # (M,) bool: both frames from held-out episodes
    look: Look

    def usable(self, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (m, 2) int64 and p (m,) of those with an answer; cannot-tell and failed ones have none."""
        keep = [i for i, a in enumerate(self.answers) if a.p is not None and self.held_out[i] == held_out]
        pairs = np.array([(self.pairs[i].first, self.pairs[i].second) for i in keep], np.int64).reshape(-1, 2)
        return pairs, np.array([self.answers[i].p for i in keep], np.float64)

    def outcomes(self) -> dict[str, int]:
        """How many answers of each kind."""
        return {kind.value: sum(a.outcome is kind for a in self.answers) for kind in Outcome}

    def __add__(self, other: Asked) -> Asked:
        held_out = np.concatenate([self.held_out, other.held_out])
        return Asked(self.pairs + other.pairs, self.answers + other.answers, held_out, self.look)


@dataclass(frozen=True)
class Choice:
    """How pairs are chosen; raises BadInput where the way and what is known do not fit."""

    pairs: int
    seed: int = 0
    way: Selection = "random"
    score: np.ndarray | None = None  # (N,) a judge's own, for "stratified"
    vectors: np.ndarray | None = field(default=None, repr=False)  # (N, D), for "coverage"
    near: float = 0.0  # grey levels, 0 to 255: frames whose thumbnails differ less than this are one
    members: Callable[[np.ndarray], np.ndarray] | None = None  # pairs -> (K, M), for "disagreement"
    round: int = 0  # a second round draws other pairs

    def __post_init__(self) -> None:
        needs = {"stratified": "score", "coverage": "vectors", "disagreement": "members"}.get(self.way)
        if self.way not in get_args(Selection) or (needs and getattr(self, needs) is None):
            raise BadInput(
                f"--select: '{self.way}' needs {needs}; choose one of {', '.join(get_args(Selection))}"
            )

    @property
    def draw_seed(self) -> int:
        """Decides which pairs are drawn; held-out episodes are the same in every round."""
        return self.seed + 7919 * self.round


def choose(dataset: Dataset, look: Look, goal: Goal, choice: Choice) -> Asking:
    """Choose training pairs and a tenth as many held-out ones, and make questions of them.

    Held-out pairs are drawn as the training pairs are, but never by disagreement: what a model is unsure of
    says little about how good it is.
    """
    out = held_out_episodes(dataset, choice.seed)[dataset.episode_index]
    pairs: list[Pair] = []
    held: list[bool] = []
    for is_held, count in ((False, choice.pairs), (True, max(2, choice.pairs // 10))):
        frames = np.flatnonzero(out == is_held)
        some = draw(_distinct(dataset, look, frames, count, choice), count, choice, is_held)
        pairs, held = pairs + some, held + [is_held] * len(some)
    questions = make_questions(pairs, look.frames, goal.text, goal.opposite)
    return Asking(tuple(questions), np.array(held, bool), look)


def draw(frames: np.ndarray, count: int, choice: Choice, held: bool) -> list[Pair]:
    """Draw `count` pairs among `frames` in the way that was chosen."""
    way = "random" if held and choice.way == "disagreement" else choice.way
    if not count or way == "random":
        return random_pairs(frames, count, choice.draw_seed)
    if way == "stratified":
        return stratified_pairs(frames, choice.score[frames], count, choice.draw_seed)
    if way == "coverage":
        return coverage_pairs(frames, choice.vectors[frames], count, choice.draw_seed)
    return disagreement_pairs(frames, count, choice.draw_seed, choice.members)


def _distinct(dataset: Dataset, look: Look, frames: np.ndarray, count: int, choice: Choice) -> np.ndarray:
    """Take frames that look alike for one; only as many are looked at as the pairs can need."""
    if not choice.near or not count:
        return frames
    most = max(_CANDIDATES * count, 200)
    if len(frames) > most:
        frames = np.sort(np.random.default_rng([choice.draw_seed, 3]).choice(frames, most, replace=False))
    small = thumbnails(look.plain, frames)
    kept = frames[without_near_duplicates(small, frames, dataset.episode_index[frames], choice.near)]
    return kept if len(kept) >= 2 else frames


def held_out_episodes(dataset: Dataset, seed: int) -> np.ndarray:
    """Choose the episodes (E,) bool whose frames stay out of training pairs."""
    count = len(dataset)
    if count < 2:
        raise BadInput(f"{dataset.root}: has {count} episode; at least 2 are needed to hold one out")
    chosen = np.zeros(count, bool)
    chosen[np.random.default_rng([seed, 1]).permutation(count)[: max(1, round(HELD_OUT * count))]] = True
    return chosen


def ask(labeler: Labeler, asking: Asking, labels: LabelStore, progress: Progress | None = None) -> Asked:
    """Ask what was chosen, through the label store."""
    answers = label_pairs(labeler, asking.questions, asking.look.frames, labels, 512, progress, print)
    return Asked(asking.pairs, tuple(answers), asking.held_out, asking.look)


def swapped(asking: Asking, most: int, seed: int) -> Asking:
    """Up to `most` of the held-out questions, shown the other way round."""
    held = np.flatnonzero(asking.held_out)
    if len(held) > most:
        held = np.sort(np.random.default_rng([seed, 4]).choice(held, most, replace=False))
    questions = tuple(replace(asking.questions[i], order="swapped") for i in held)
    return Asking(questions, np.ones(len(held), bool), asking.look)
