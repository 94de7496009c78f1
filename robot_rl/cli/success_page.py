"""The page of `robot-rl success`: measures with intervals, calibration, and the worst errors as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl import __version__
from robot_rl.cli.success_run import Measured, told
from robot_rl.data.video_write import encode_png
from robot_rl.report import figures
from robot_rl.report.page import (
    Block,
    Callout,
    Figure,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Text,
    write_page,
)
from robot_rl.rewards import success_frames
from robot_rl.rewards.success import SuccessClassifier

_SHOWN, _APART = 12, 10  # errors of a kind; steps that two of one episode are apart at least
_SIDE = 160  # px: least height of a picture


def write_success(path: Path, classifier: SuccessClassifier, measured: Measured) -> Path:
    """Write the page to `path`."""
    about, said = classifier.about, measured.probability >= classifier.threshold
    warnings = [Callout("warn", text) for text in cautions(classifier, measured)]
    sections = [Section("", _key_figures(measured), *warnings)]
    sections.append(_measures(classifier, measured))
    for title, mask, first in (
        ("Worst false positives", said & ~measured.truth, -measured.probability),
        ("Worst false negatives", ~said & measured.truth, measured.probability),
    ):
        sections.append(_gallery(title, classifier, measured, mask, first))
    subtitle = f"Success from pixels; labels: {about['labels']}; measured against {about['truth']}."
    return write_page(path, about["task"], subtitle, sections, footer=f"robot_rl {__version__}")


def _key_figures(measured: Measured) -> KeyFigures:
    named = {
        "false_negatives": ("false negatives", "frames with success that are missed"),
        "false_positives": ("false positives", "frames without success called success"),
        "precision": ("precision", "of what is called success"),
        "auc": ("AUC", "success ranked above none"),
    }
    found = [(getattr(measured.rates, name).mean, *words) for name, words in named.items()]
    return KeyFigures([KeyFigure("–" if np.isnan(v) else f"{100 * v:.1f} %", *words) for v, *words in found])


def cautions(classifier: SuccessClassifier, measured: Measured) -> list[str]:
    """What a user must not overlook."""
    found, wanted = measured.rates.false_positives, classifier.config.false_positives
    warnings = []
    if found.low > wanted:
        warnings.append(
            f"On these frames the rate of false positives is {found.mean:.1%} ({found.low:.1%} to "
            f"{found.high:.1%}), above the {wanted:.1%} that the threshold was chosen for: they differ from "
            "those it was chosen on. Label some of them too."
        )
    if measured.rates.false_negatives.mean > 0.5:
        remedy = "Label more frames, near misses above all, or allow more false positives."
        if classifier.about["labels"] == "reward":
            remedy = "Fit to labels of success instead (--labels column, a FILE.csv or chat)."
        warnings.append(
            "More than half of the frames with success are missed at this threshold: the score does not tell "
            f"success well enough to keep false positives at {wanted:.1%}. {remedy}"
        )
    return warnings


def _measures(classifier: SuccessClassifier, measured: Measured) -> Section:
    found = measured.rates
    rows = [[name, f"{value:.3f}", f"{low:.3f}", f"{high:.3f}"] for name, value, low, high in found.rows()]
    labels = ("stated probability", "share with success")
    image = figures.reliability(measured.probability, measured.truth, labels=labels)
    words = (
        f"{found.positives:,} frames with success and {found.negatives:,} without, of {found.episodes} "
        "episodes that took no part in fitting or in choosing the threshold. Intervals of 95 % come from "
        f"resampling episodes. A frame counts as success from a probability of {classifier.threshold:.3f} "
        f"on, chosen on other episodes for at most {classifier.config.false_positives:.1%} false positives."
    )
    blocks: list[Block] = [Text(words)]
    if measured.switches is not None:
        blocks.append(Text(told(measured.switches, classifier.config.hold) + "."))
    blocks.append(Table(["Measure", "Value", "from", "to"], rows))
    caption = (
        "Of the frames to which a probability is given, so many show success; on the dashed line it is right."
    )
    return Section("How good it is", *blocks, Figure(image, caption, "Calibration", half=True))


def _gallery(
    title: str, classifier: SuccessClassifier, measured: Measured, mask: np.ndarray, first: np.ndarray
) -> Section:
    """The errors that the classifier is surest of, not more than one of a moment."""
    rows = np.flatnonzero(mask)
    rows = rows[np.argsort(first[rows], kind="stable")]
    taken: list[int] = []
    for row in rows.tolist():
        if all(abs(measured.frames[row] - measured.frames[other]) >= _APART for other in taken):
            taken.append(row)
    if not taken:
        return Section(title, Callout("info", "There are none on these frames."))
    blocks = [_picture(classifier, measured, row) for row in taken[:_SHOWN]]
    words = (
        f"{len(rows)} of {len(measured.frames):,} frames; moments at least {_APART} steps apart are shown."
    )
    return Section(title, Text(words), *blocks)


def _picture(classifier: SuccessClassifier, measured: Measured, row: int) -> Figure:
    dataset, frame = measured.seen.dataset, int(measured.frames[row])
    config = classifier.config
    strip = success_frames.moments(np.array([frame]), dataset.starts, config.strip, config.stride)[0]
    picture = np.concatenate(list(measured.seen.pictures(strip)), 1)
    factor = max(1, -(-_SIDE // picture.shape[0]))  # small pictures are enlarged without smoothing
    picture = np.kron(picture, np.ones((factor, factor, 1), np.uint8))
    told_of = f"Episode {dataset.episode_index[frame]}, step {dataset.frame_index[frame]}"
    words = f"{told_of}: P(success) {measured.probability[row]:.3f}{_distance(measured, row)}."
    return Figure(encode_png(picture), words, half=True)


def _distance(measured: Measured, row: int) -> str:
    """How many steps away the truth is another one, in the same episode: errors beside the line are small."""
    episode = measured.seen.dataset.episode_index
    others = (measured.truth != measured.truth[row]) & (
        episode[measured.frames] == episode[measured.frames[row]]
    )
    if not others.any():
        return ""
    steps = int(np.abs(measured.frames[others] - measured.frames[row]).min())
    kind = "without success" if measured.truth[row] else "with success"
    return f"; {steps} {'step' if steps == 1 else 'steps'} from a frame {kind}"
