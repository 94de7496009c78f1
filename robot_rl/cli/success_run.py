"""The steps behind `robot-rl success`: pictures to features, labels, fit, threshold, report, folder."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from robot_rl.cli import judging
from robot_rl.cli.asking import Goal
from robot_rl.cli.common import load_config, progress, save_config, table
from robot_rl.cli.label import Config as LabelConfig
from robot_rl.cli.labeling import beside, load_encoder, resolve_goal
from robot_rl.cli.success import ENCODER, LABELS, Config
from robot_rl.cli.success_labels import Shown, ask_chat, known_of
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput, nearest
from robot_rl.report.classification import Rates, Switches, rates, switches
from robot_rl.rewards import success_frames
from robot_rl.rewards.model import RewardModel
from robot_rl.rewards.success import SuccessClassifier, SuccessConfig
from robot_rl.rewards.success_frames import CHOOSE, FIT, TEST
from robot_rl.rewards.success_threshold import check_support
from robot_rl.specs.tasks import load_task, task_names
from robot_rl.vision.cache import embed_dataset
from robot_rl.vision.encoder import ImageTextEncoder
from robot_rl.vision.in_domain import InDomainConfig

_SHARES = (0.5, 0.25, 0.25)  # of the episodes, for FIT, CHOOSE and TEST
_SHARES_WITHOUT_TEST = (0.6, 0.4)
_SCALE_FRAMES = 5000  # that the scale of each feature is measured on


@dataclass(frozen=True)
class Measured:
    """What a classifier reached on frames that nothing was fitted or chosen on."""

    frames: np.ndarray  # (n,) global indices in `seen`
    truth: np.ndarray  # (n,) bool
    probability: np.ndarray  # (n,)
    seen: Seen
    rates: Rates
    switches: Switches | None  # None where only some frames have a label


@dataclass(frozen=True)
class Seen:
    """A dataset through one camera and one encoder."""

    dataset: Dataset
    camera: str
    encoder: ImageTextEncoder

    @cached_property
    def vectors(self) -> np.ndarray:
        """(N, D) float32, from the cache as far as they are there."""
        with progress(self.dataset.info.total_frames, "embedding", "frames") as advance:
            return embed_dataset(self.dataset, self.camera, self.encoder, advance)

    def strips(self, frames: np.ndarray, config: SuccessConfig) -> np.ndarray:
        """Features (n, strip * D) of the strips that end with `frames`."""
        return success_frames.strips(self.vectors, frames, self.dataset.starts, config.strip, config.stride)

    def pictures(self, frames: np.ndarray) -> np.ndarray:
        """(n, H, W, 3) uint8."""
        return self.dataset.frames(self.camera, frames)


def run(config: Config) -> None:
    """Do all of it, and say what was reached."""
    _save(config, *make(config))


def make(config: Config) -> tuple[SuccessClassifier, Measured]:
    """The classifier of a config, and what it reached; nothing is written but caches and the label store."""
    settings, dataset = _check(config), Dataset.open(config.dataset)
    camera, goal = judging.one_camera(dataset, config.camera), goal_of(config, dataset)
    given = _given(config, dataset)
    test = None if config.test is None else Dataset.open(config.test)
    test_given = None if test is None else known_of(test)
    use = _uses(config, given, dataset)[dataset.episode_index]
    if given is not None:  # a rate that cannot be shown is refused before minutes go into pictures
        held = (use == CHOOSE) & given.known
        check_support(given.truth[held], dataset.episode_index[held], config.false_positives)
    seen = Seen(dataset, camera, encoder_of(config, goal))
    shown = _asked(config, given, seen, goal, use)
    classifier = _fitted(config, settings, seen, shown, use)
    rows = np.flatnonzero((use == CHOOSE) & shown.known)
    held = seen.strips(rows, classifier.config), shown.truth[rows], dataset.episode_index[rows]
    classifier = classifier.calibrated(*held).seeing(seen.encoder)
    if test is not None:
        seen, shown = Seen(test, judging.one_camera(test, config.camera), seen.encoder), test_given
        frames = np.flatnonzero(shown.known)
    else:
        frames = np.flatnonzero((use == TEST) & shown.known)
    measured = measure(classifier, seen, frames, shown.truth[frames])
    about = {"task": goal.text, "labels": config.labels, "truth": shown.source, **classifier.about}
    return dataclasses.replace(classifier, about=about), measured


def _check(config: Config) -> SuccessConfig:
    """Refuse what can be refused before anything costs time; returns the classifier's settings."""
    if config.labels not in LABELS and not config.labels.endswith(".csv"):
        raise BadInput(f"--labels: '{config.labels}'.{nearest(config.labels, LABELS)} Or give a FILE.csv.")
    if (config.labels == "reward") != (config.labeling is not None):
        raise BadInput("--labels reward and --labeling FOLDER (from robot-rl label) belong together")
    if config.truth and config.truth != "column" and not config.truth.endswith(".csv"):
        raise BadInput(f"--truth: must be column or a FILE.csv, not '{config.truth}'")
    if config.labels == "reward" and config.strip != 1:
        raise BadInput("--strip: a reward model judges single frames; leave it at 1")
    if config.labels != "chat" and (config.chat.url or config.chat.model):
        raise BadInput(f"--labels: is '{config.labels}'; --chat needs chat")
    for name, least in (("frames", 10), ("samples", 1)):
        if getattr(config, name) < least:
            raise BadInput(f"--{name}: must be at least {least}, not {getattr(config, name)}")
    if not 0 <= config.near < float("inf"):
        raise BadInput(f"--near: must be at least 0 s, not {config.near}")
    names = ("false_positives", "hold", "strip", "stride", "seed")
    return SuccessConfig(**{name: getattr(config, name) for name in names})


def _given(config: Config, dataset: Dataset) -> Shown | None:
    """What is known before a model is asked; None where only the model is to say."""
    if config.labels == "chat" and not config.truth and not dataset.info.has_success:
        return None
    return known_of(dataset, config.truth or (config.labels if config.labels.endswith(".csv") else "column"))


def goal_of(config: Config, dataset: Dataset) -> Goal:
    """The goal by its card or sentence; by default what the dataset says of itself."""
    task = config.task or str(dataset.info.metadata.get("task", ""))
    if not config.task and task not in task_names():
        return Goal(dataset.task(0), config.opposite, None)
    return resolve_goal(task, config.opposite, "chat")


def encoder_of(config: Config, goal: Goal | None = None) -> ImageTextEncoder:
    """The encoder of a config: a labeling's own, or the one that --model names."""
    if config.labeling is not None:
        path = config.labeling / "config.yaml"
        if not (config.labeling / "reward").is_dir() or not path.is_file():
            raise BadInput(f"--labeling: {config.labeling} is no labeling with a reward model in reward/")
        made = load_config(LabelConfig, path)
        return load_encoder(made.model, made.weights, resolve_goal(made.task, made.opposite, made.labeler))
    goal = goal or goal_of(config, Dataset.open(config.dataset))
    return load_encoder(config.model, config.weights, goal)


def _uses(config: Config, given: Shown | None, dataset: Dataset) -> np.ndarray:
    """What each episode (E,) is for."""
    shares = _SHARES if config.test is None else _SHARES_WITHOUT_TEST
    if given is None:  # nobody knows yet which ones reach the goal
        order = np.random.default_rng([config.seed, 11]).permutation(len(dataset))
        return np.searchsorted(np.cumsum(shares)[:-1], (order + 0.5) / len(dataset))
    reached = np.logical_or.reduceat(given.truth & given.known, dataset.starts)
    return success_frames.split_episodes(reached, shares, config.seed)


def _asked(config: Config, given: Shown | None, seen: Seen, goal: Goal, use: np.ndarray) -> Shown:
    """What is known of the frames; those of a model's own labels where nobody else knows."""
    if given is not None:
        return given
    chosen = [_spread(seen.dataset, use == kind, config.frames, config.seed) for kind in np.unique(use)]
    frames = np.concatenate(chosen)
    p = ask_chat(config, seen.dataset, seen.camera, goal, frames)
    truth, known = np.zeros((2, len(use)), bool)
    truth[frames], known[frames] = p > 0.5, np.isfinite(p)
    return Shown(truth, known, f"{config.chat.model}, which is not known to be right")


def _spread(dataset: Dataset, wanted: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Frames (n,) to ask about where nothing is known: half from the last fifth of the episodes."""
    rng = np.random.default_rng([seed, 15])
    late = dataset.frame_index >= 0.8 * np.repeat(dataset.lengths, dataset.lengths)
    parts = [
        (np.flatnonzero(wanted & late), count // 2),
        (np.flatnonzero(wanted & ~late), count - count // 2),
    ]
    return np.sort(np.concatenate([rng.choice(p, min(n, len(p)), replace=False) for p, n in parts]))


def _fitted(
    config: Config, settings: SuccessConfig, seen: Seen, shown: Shown, use: np.ndarray
) -> SuccessClassifier:
    """The classifier before its calibration."""
    if config.labels == "reward":
        model = RewardModel.load(config.labeling / "reward", seen.encoder.identity)
        return SuccessClassifier.from_reward(model, settings)
    starts, rows = seen.dataset.starts, np.flatnonzero((use == FIT) & shown.known)
    near = success_frames.near_misses(shown.truth, starts, round(config.near * seen.dataset.info.fps))
    if config.labels == "chat":  # what is known must not help to choose what the model is asked
        frames = _spread(seen.dataset, use == FIT, config.frames, config.seed)
        labels = ask_chat(config, seen.dataset, seen.camera, goal_of(config, seen.dataset), frames)
        frames, labels = frames[np.isfinite(labels)], labels[np.isfinite(labels)]
    else:
        frames = success_frames.draw(shown.truth, near, rows, config.frames, config.seed)
        labels = shown.truth[frames].astype(np.float64)
    hard = hard_negatives(config, settings, seen, frames, labels > 0.5)
    features = np.concatenate([seen.strips(frames, settings), hard])
    labels = np.concatenate([labels, np.zeros(len(hard))])
    every = max(1, len(use) // _SCALE_FRAMES)
    unlabeled = seen.strips(np.arange(0, len(use), every), settings)
    made = SuccessClassifier.fit(features, labels, settings, unlabeled=unlabeled)
    counts = {"labeled": len(frames), "success": int((labels > 0.5).sum()), "hard_negatives": len(hard)}
    return dataclasses.replace(made, about=counts)


def hard_negatives(
    config: Config, settings: SuccessConfig, seen: Seen, frames: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    """Features (m, strip * D) of what must not pass for success: covered, corrupted, opposite success."""
    features, seed = seen.strips(frames, settings), config.seed
    found = [success_frames.corrupted(features[truth], features[~truth], settings.strip, seed)]
    if config.cover:
        some = np.sort(np.random.default_rng([seed, 16]).permutation(len(frames))[: len(frames) // 2])
        covered = success_frames.covered(seen.pictures(frames[some]), truth[some], seed)
        strips = features[some].reshape(len(some), settings.strip, -1).copy()
        strips[:, -1] = seen.encoder.images(covered)
        found.append(strips.reshape(len(some), -1))
    if config.opposite_data is not None:
        other = Dataset.open(config.opposite_data)
        there = Seen(other, judging.one_camera(other, config.camera), seen.encoder)
        success = np.flatnonzero(known_of(other).truth)
        count = min(len(success), max(1, len(frames) // 4))
        drawn = np.random.default_rng([seed, 17]).choice(success, count, replace=False)
        found.append(there.strips(np.sort(drawn), settings))
    return np.concatenate(found)


def measure(classifier: SuccessClassifier, seen: Seen, frames: np.ndarray, truth: np.ndarray) -> Measured:
    """Measure on `frames` (n,) of which the truth (n,) is known, none of them used before."""
    if not len(frames):
        raise BadInput(f"{seen.dataset.root}: no frame is left to report on; label some in more episodes")
    probability = classifier.chance(seen.strips(frames, classifier.config))
    episodes = seen.dataset.episode_index[frames]
    found = rates(probability, truth, classifier.threshold, episodes)
    whole = len(frames) >= 0.9 * np.isin(seen.dataset.episode_index, np.unique(episodes)).sum()
    rule = probability >= classifier.threshold, truth, episodes, classifier.config.hold
    return Measured(frames, truth, probability, seen, found, switches(*rule) if whole else None)


def _save(config: Config, classifier: SuccessClassifier, measured: Measured) -> None:
    """Write the classifier, its encoder where it is a small one, its config and its page; print the table."""
    from robot_rl.cli.success_page import cautions, write_success

    out = config.out or beside(config.dataset, "-success")
    encoder = measured.seen.encoder
    about = {
        **classifier.about,
        "dataset": str(config.dataset),
        "test": str(config.test or config.dataset),
        "held_out": {name: [value, low, high] for name, value, low, high in measured.rates.rows()},
        "frames": {"success": measured.rates.positives, "none": measured.rates.negatives},
        "episodes": None if measured.switches is None else dataclasses.asdict(measured.switches),
    }
    classifier = dataclasses.replace(classifier, about=about)
    classifier.save(out, encoder.identity)
    save_config(config, out / "config.yaml")
    _keep_encoder(encoder, out / ENCODER)
    page = write_success(out / "report.html", classifier, measured)
    shown_rows = [
        (name, f"{value:.4f}", f"{low:.3f} to {high:.3f}") for name, value, low, high in measured.rates.rows()
    ]
    print(table(("on held-out frames", "value", "95 % interval"), shown_rows))
    if measured.switches is not None:
        print(told(measured.switches, classifier.config.hold))
    for caution in cautions(classifier, measured):
        print(f"note: {caution}")
    print(f"threshold: {classifier.threshold:.3f}; classifier: {out}; report: {page}")


def told(found: Switches, hold: int) -> str:
    """Say what the rule makes of whole episodes."""
    delay = "" if np.isnan(found.delay) else f", median delay {found.delay:+.0f} steps"
    return (
        f"{hold} frames in a row: {found.reached - found.missed} of {found.reached} successes noticed"
        f"{delay}, {found.early} of them early; {found.false} of {found.others} episodes without "
        "success called one"
    )


def _keep_encoder(encoder: ImageTextEncoder, folder: Path) -> None:
    """Copy a small encoder of our own, so that the classifier works wherever its folder goes."""
    shutil.rmtree(folder, ignore_errors=True)
    if encoder.identity["kind"] != "in-domain":
        return
    name = encoder.identity["model"].removeprefix("in-domain ")
    if (
        name in task_names()
    ):  # else the card is a file of the user's, and the cache has it for as long as that
        cached = judging.encoder_folder(load_task(name), InDomainConfig())
        shutil.copytree(cached, folder)
