"""`robot-rl label`: a dataset and one sentence in, a labeled dataset out; no reward is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_rl.cli.common import progress, save_config, table

INTERRUPTED = "answers are in the label store; the same command continues and pays for none twice"


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
    labeler: Literal["clip", "oracle"] = "clip"
    """clip: an image-text model. oracle: the dataset's own reward with errors, for tests only."""
    model: str = "in-domain"
    """An open_clip architecture such as ViT-B-32; or in-domain[:TASK], the small model that robot-rl trains
    in simulation (about two minutes, then cached); default: that of the task card."""
    weights: str = ""
    """For an open_clip architecture: a pretrained tag (needs the hub) or a local file."""
    camera: str | None = None
    """Camera to judge by; needed where the dataset has several."""
    pairs: int = 6000
    """Frame pairs to ask about; a tenth as many more are held out to measure agreement."""
    error_rate: float = 0.2
    """Share of wrong answers of the labeler `oracle`, in [0, 1]."""
    store: Path | None = None
    """Label store; default DATASET.labels.sqlite, beside the dataset."""
    until: Literal["preferences", "dataset"] = "dataset"
    """Stop after the preferences, or go on to the labeled dataset."""
    seed: int = 0
    """Decides the pairs, the held-out episodes and the reward model."""
    reward: dict[str, int] = field(default_factory=dict)
    """Settings of the reward model that are whole numbers, such as members 5 or epochs 60."""


def main(config: Config) -> None:
    """Run the whole way from a dataset to a labeled one."""
    from robot_rl.data.store import Dataset
    from robot_rl.errors import BadInput, need

    need("torch", "vlm")
    if config.pairs < 20:
        raise BadInput(f"--pairs: at least 20 are needed to fit a reward, not {config.pairs}")
    dataset, goal = Dataset.open(config.dataset), resolve_goal(config.task, config.opposite, config.labeler)
    out = config.out or beside(config.dataset, "-labeled")
    if (out / "label.json").exists() and (out / "dataset" / "meta" / "info.json").exists():
        raise BadInput(f"{out}: holds a finished labeling; give another --out, or remove it to do it again")
    judge(config, dataset, goal, out)


def beside(dataset: Path, ending: str) -> Path:
    """Return the path of what belongs to a dataset's folder, which may be given as a dot."""
    folder = dataset if dataset.name else dataset.resolve()
    return folder.with_name(folder.name + ending)


def reward_config(config: Config):
    """Make the reward model's settings from `--reward`; raises BadInput for an unknown one."""
    from robot_rl.errors import BadInput, nearest
    from robot_rl.rewards.config import RewardConfig

    known = ("members", "epochs", "batch_size")
    for name in config.reward:
        if name not in known:
            raise BadInput(f"--reward: unknown setting '{name}'.{nearest(name, known)}")
    return RewardConfig(seed=config.seed, **config.reward)


def resolve_goal(task: str, opposite: str, labeler: str = "clip"):
    """Take a card's name or a sentence for what is asked; raises BadInput where a text is missing."""
    from robot_rl.cli.judging import Goal
    from robot_rl.errors import BadInput, nearest
    from robot_rl.specs.tasks import load_task, task_names

    if not task.strip():
        raise BadInput(f"--task: is empty; give a sentence or one of {', '.join(task_names())}")
    if task in task_names() or task.endswith((".yaml", ".yml")):
        card = load_task(task)
        return Goal(card.goal, opposite or card.opposite, card)
    if " " not in task.strip():
        raise BadInput(f"--task: no task '{task}'.{nearest(task, task_names())} Or give a whole sentence.")
    if labeler == "clip" and not opposite.strip():
        raise BadInput(
            '--opposite: is missing; clip compares the goal with its opposite, e.g. "the drawer is closed"'
        )
    return Goal(task, opposite, None)


def load_encoder(model: str, weights: str, goal):
    """Load or train the image-text model that `--model` names."""
    from robot_rl.cli.judging import in_domain_encoder
    from robot_rl.errors import BadInput
    from robot_rl.specs.tasks import load_task
    from robot_rl.vision.encoder import load_open_clip
    from robot_rl.vision.in_domain import InDomainConfig

    if model.partition(":")[0] != "in-domain":
        if not weights:
            raise BadInput(f"--weights: is missing; {model} needs a pretrained tag or a local file")
        return load_open_clip(model, weights)
    name = model.partition(":")[2]
    if not name and goal.card is None:
        raise BadInput(
            "--model: 'in-domain' belongs to a task card; give in-domain:TASK, or an open_clip model"
        )
    return in_domain_encoder(load_task(name) if name else goal.card, InDomainConfig(), 2, progress)


def judge(config: Config, dataset, goal, out: Path) -> None:
    """Ask, fit, measure and write."""
    from robot_rl.cli import judging
    from robot_rl.cli.arms import write_json
    from robot_rl.rewards.relabel import relabel_dataset
    from robot_rl.vision.cache import embed_dataset

    camera, settings = judging.one_camera(dataset, config.camera), reward_config(config)
    oracle = config.labeler == "oracle"
    if oracle:  # before the encoder, which may take minutes
        labeler, score = judging.oracle_labeler(dataset, config.error_rate, config.seed), None
    encoder = load_encoder(config.model, config.weights, goal)
    with progress(dataset.info.total_frames, "embedding", "frames") as advance:
        vectors = embed_dataset(dataset, camera, encoder, advance)
    if not oracle:
        labeler = judging.clip_labeler(encoder, goal, vectors)
        score = labeler.score(vectors)
    store = config.store or beside(config.dataset, ".labels.sqlite")
    with progress(None, "labeling", "pairs") as advance:
        asked = judging.ask(dataset, camera, labeler, goal, store, config.pairs, config.seed, score, advance)
    print(f"labels: {asked.outcomes()} by {labeler.name} ({encoder.identity['origin']}) in {store}")
    for line in warnings(dataset, encoder, labeler.name):
        print(f"note: {line}")
    if config.until == "preferences":
        return
    model = judging.fit(vectors, asked, settings)
    model.save(out / "reward", encoder.identity)
    mean, std = model.reward(vectors)
    found = judging.quality(dataset, asked, model, vectors, judging.true_reward(dataset))
    provenance = {
        "labeler": labeler.name,
        "task": goal.text,
        "opposite": goal.opposite,
        "encoder": encoder.identity["origin"],
        "pairs": config.pairs,
        "seed": config.seed,
    }
    notes = warnings(dataset, encoder, labeler.name)
    if found["undecided_share"] > 0.5:
        notes.append(
            f"{found['undecided_share']:.0%} of the labels lie within 0.1 of one half: the judge can hardly "
            "tell these pictures apart, and the reward repeats its guesses"
        )
        print(f"note: {notes[-1]}")
    told = {**provenance, **found, "notes": notes, "store": str(store), "camera": camera}
    write_json(out / "label.json", told)
    save_config(config, out / "config.yaml")
    # The dataset comes last and at once: killed before, the same command makes all of it again.
    relabel_dataset(dataset, (mean, std), out / "dataset", provenance)
    print(
        table(
            ("measure", "value"),
            [(k, "-" if v is None else v) for k, v in found.items() if not isinstance(v, (list, dict))],
        )
    )
    print(f"labeled dataset: {out / 'dataset'}   next: robot-rl train {out / 'dataset'} --out runs/policy")


def warnings(dataset, encoder, labeler: str) -> list[str]:
    """Say where the labels are not what they seem."""
    found = []
    if labeler == "oracle":
        found.append("these labels come from the true reward (oracle): for tests and ablations only")
    scene = encoder.identity["model"].removeprefix("in-domain ")
    if encoder.identity["kind"] == "in-domain" and dataset.info.metadata.get("task") != scene:
        found.append(
            f"the in-domain model knows simulated pictures of {scene} only; these are other pictures, so its "
            "answers are guesses: see agreement, undecided share and order in time"
        )
    return found
