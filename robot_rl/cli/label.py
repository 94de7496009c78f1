"""`robot-rl label`: a dataset and one sentence in, a labeled dataset out; no reward is written."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_rl.preferences.cascade import CascadeConfig
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.human.config import HumanConfig

INTERRUPTED = "answers are in the label store; the same command continues and pays for none twice"
PAIRS = {"clip": 6000, "oracle": 6000, "cascade": 6000, "chat": 2000, "human": 200}


@dataclass(frozen=True)
class Config:
    """Ask which frames are nearer the goal, fit a reward to the answers, and write a labeled dataset."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset; it is not changed."""
    task: str
    """The goal: the name of a task card (its words are used), or one sentence."""
    opposite: str = ""
    """The opposite of the goal in one sentence; needed by `clip` where the task is a sentence."""
    out: Path | None = None
    """Folder for the labeled dataset (dataset/), reward model (reward/), figures; default DATASET-labeled."""
    labeler: Literal["clip", "chat", "human", "cascade", "oracle"] = "clip"
    """clip: an image-text model. chat: a vision-language model at an OpenAI-compatible address (--chat.url).
    human: people, on a page in the browser. cascade: clip, and chat for the pairs that clip is unsure of.
    oracle: the dataset's own reward with errors, for tests only."""
    model: str = "in-domain"
    """Model of the pictures, whose features the reward is learned on and that clip judges by: an open_clip
    architecture such as ViT-B-32; or in-domain[:TASK], the small model that robot-rl trains in simulation
    (about two minutes, then cached); default: that of the task card."""
    weights: str = ""
    """For an open_clip architecture: a pretrained tag (needs the hub) or a local file."""
    goal_image: Path | None = None
    """clip: a picture (PNG or JPEG) of the goal reached; likeness to it counts beside the words."""
    camera: str | None = None
    """Camera to judge by; needed where the dataset has several."""
    pairs: int | None = None
    """Pairs to ask about; a tenth as many more are held out to measure agreement. Default: 6000, chat 2000,
    human 200."""
    select: Literal["auto", "random", "stratified", "disagreement", "coverage"] = "auto"
    """How pairs are chosen. stratified: a third of them with a frame that clip ranks high. disagreement: half
    at random, then those where a reward model fitted to them is unsure. coverage: frames that differ most.
    auto: stratified for clip and cascade, else random."""
    near_duplicates: float = 0.3
    """Frames that differ by less than this are asked about as one: grey levels (0 to 255), root mean square
    over 16x16 blocks of the picture; 0: every frame stands for itself."""
    strip: int = 1
    """Show strips, the first, middle and last frame of so many frames, where one picture shows no progress;
    1: single frames."""
    trace: int = 0
    """Draw the gripper's path of so many steps on the pictures (not for clip); 0: none."""
    trace_file: Path | None = None
    """YAML that says where the gripper is in the pictures (point and projection, or pixels); default: from
    the task card's camera."""
    error_rate: float = 0.2
    """Share of wrong answers of the labeler `oracle`, in [0, 1]."""
    position_bias: float = 0.0
    """Share of the oracle's answers that name the first picture without a look, in [0, 1]."""
    store: Path | None = None
    """Label store; default DATASET.labels.sqlite, beside the dataset."""
    until: Literal["preferences", "dataset"] = "dataset"
    """Stop after the preferences, or go on to the labeled dataset."""
    evaluate: bool = False
    """Measure the labels against the dataset's own reward or success: a table, evaluation.json and
    evaluation.html in the folder of the labeling; some held-out pairs are asked in both orders for it."""
    seed: int = 0
    """Decides the pairs, the held-out episodes and the reward model."""
    ray: str = ""
    """Spread embedding, labeling and rewards over a Ray cluster: its address, auto, or local."""
    chat: ChatConfig = field(default_factory=ChatConfig)
    """The endpoint that the labelers chat and cascade ask, its limits and its budget."""
    human: HumanConfig = field(default_factory=HumanConfig)
    """Who rates, and where the page is served."""
    cascade: CascadeConfig = field(default_factory=CascadeConfig)
    """How much the cascade asks of the expensive judge."""
    export_batch: Path | None = None
    """chat: write the questions as JSONL for a provider's batch interface (half the price), and stop."""
    import_batch: tuple[Path, ...] = ()
    """chat: read the provider's files of answers, in any order, before going on."""
    reward: dict[str, int] = field(default_factory=dict)
    """Settings of the reward model that are whole numbers, such as members 5 or epochs 60."""


def main(config: Config) -> None:
    """Run the whole way from a dataset to a labeled one."""
    from robot_rl.errors import BadInput, need

    need("torch", "vlm")
    if config.pairs is not None and config.pairs < 20:
        raise BadInput(f"--pairs: at least 20 are needed to fit a reward, not {config.pairs}")
    from robot_rl.cli.labeling import Labeling
    from robot_rl.cli.spread import on_cluster

    labeling = Labeling.begin(config)
    if (labeling.out / "label.json").exists() and (labeling.out / "dataset/meta/info.json").exists():
        raise BadInput(
            f"{labeling.out}: holds a finished labeling; give another --out, or remove it to do it again"
        )
    with on_cluster(config.ray), contextlib.closing(labeling):
        run(labeling)


def run(labeling) -> None:
    """Ask, measure, and go on to the labeled dataset where that is wanted."""
    from robot_rl.cli import label_outputs, labelers

    config = labeling.config
    judged = labelers.ask(labeling)
    if judged is None:  # a batch went out, or came back in part
        return
    for line in label_outputs.told(labeling, judged):
        print(line)
    evaluation = label_outputs.evaluate(labeling, judged) if config.evaluate else None
    if config.until == "dataset":
        label_outputs.finish(labeling, judged, evaluation)
    elif evaluation is not None:
        label_outputs.save_evaluation(labeling, judged, evaluation)
