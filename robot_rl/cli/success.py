"""`robot-rl success`: a classifier that sees in the pictures whether the goal is reached, from few labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_rl.preferences.chat.config import ChatConfig

if TYPE_CHECKING:
    from robot_rl.rewards.success import SuccessClassifier

INTERRUPTED = "answers of a chat model are in the label store; the same command pays for none twice"
LABELS = ("column", "reward", "chat")


@dataclass(frozen=True)
class Config:
    """Fit a success classifier, choose its threshold for a rate of false positives, and report its errors.

    Fitting, the threshold and the report each use episodes of their own.
    """

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset; it is not changed."""
    labels: str = "column"
    """Where labels come from. column: the dataset's success. FILE.csv: people's, with the columns episode,
    frame (step in the episode) and success (1 or 0). chat: a vision-language model's yes or no (--chat.url).
    reward: none to fit, the score is that of a reward model (--labeling)."""
    truth: str = ""
    """Labels that the threshold is chosen and the report made by: column, or a FILE.csv; default: --labels
    where that is a FILE.csv, else the dataset's success; chat also goes without, and then trusts itself."""
    frames: int = 200
    """Labeled frames to fit to; half show success and a quarter miss it narrowly, where that is known."""
    false_positives: float = 0.05
    """Most of the frames without success that may be called success; decides the threshold."""
    hold: int = 3
    """Frames in a row at or above the threshold until the goal counts as reached."""
    strip: int = 1
    """Frames to look at together, the last one being now; 1: single frames."""
    stride: int = 5
    """Steps between the frames of a strip."""
    task: str = ""
    """The goal: the name of a task card, or one sentence; default: the task of the dataset."""
    opposite: str = ""
    """The opposite of the goal in one sentence, for the labels chat; default: that of the task card."""
    labeling: Path | None = None
    """Folder of a labeling (from robot-rl label), whose reward model and encoder --labels reward takes."""
    test: Path | None = None
    """Dataset to report on; default: a quarter of DATASET's episodes."""
    opposite_data: Path | None = None
    """Dataset of the opposite task: its frames with success are hard negatives here."""
    near: float = 0.5
    """Frames so many seconds before success are near misses."""
    cover: bool = True
    """Also fit to labeled frames behind a patch, in which success cannot be seen."""
    camera: str | None = None
    """Camera to look through; needed where the dataset has several."""
    model: str = "in-domain"
    """Encoder of the pictures: an open_clip architecture such as ViT-B-32, or in-domain[:TASK], the small
    model that robot-rl trains in simulation (minutes, then cached); default: that of the task card."""
    weights: str = ""
    """For an open_clip architecture: a pretrained tag (needs the hub) or a local file."""
    samples: int = 1
    """chat: answers to each frame where the endpoint tells no log probabilities; more than 1 needs
    --chat.temperature above 0, and their share of yes is the label."""
    store: Path | None = None
    """chat: label store; default DATASET.labels.sqlite, beside the dataset."""
    chat: ChatConfig = field(default_factory=lambda: ChatConfig(prompt="success-1"))
    """chat: the endpoint, its limits and its budget."""
    out: Path | None = None
    """Folder of the classifier and its report; default DATASET-success."""
    seed: int = 0
    """Decides the episodes held out and the frames."""


def main(config: Config) -> None:
    """Fit, choose the threshold, measure, and write the classifier with its page."""
    from robot_rl.errors import need

    need("torch", "vlm")
    from robot_rl.cli import success_run

    success_run.run(config)


def load_success(folder: Path) -> SuccessClassifier:
    """A classifier that `robot-rl success` saved, with the encoder that it was fitted with; raises BadInput.

    `.probability(pictures (N, H, W, 3) uint8) -> (N,)`; `.detector()` follows a camera, picture by picture.
    """
    from robot_rl.errors import BadInput, need

    folder = Path(folder)
    if not (folder / "success.json").is_file():
        raise BadInput(f"{folder} is no success classifier; robot-rl success makes one")
    need("torch", "vlm")
    from robot_rl.cli.common import load_config
    from robot_rl.cli.success_run import encoder_of
    from robot_rl.rewards.success import SuccessClassifier
    from robot_rl.vision.encoder import load_small

    saved = folder / ENCODER
    if (saved / "encoder.json").is_file():
        return SuccessClassifier.load(folder, load_small(saved))
    return SuccessClassifier.load(folder, encoder_of(load_config(Config, folder / "config.yaml")))


ENCODER = "encoder"  # folder in that of a classifier, where its encoder is a small one of our own
