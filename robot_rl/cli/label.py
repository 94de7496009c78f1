"""`robot-rl label`: a dataset and one sentence in, a labeled dataset out; no reward is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_rl.cli.common import progress, save_config, table
from robot_rl.preferences.chat.config import ChatConfig

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
    labeler: Literal["clip", "chat", "oracle"] = "clip"
    """clip: an image-text model. chat: a vision-language model at an OpenAI-compatible address (--chat.url).
    oracle: the dataset's own reward with errors, for tests only."""
    model: str = "in-domain"
    """Model of the pictures, whose features the reward is learned on and that clip judges by: an open_clip
    architecture such as ViT-B-32; or in-domain[:TASK], the small model that robot-rl trains in simulation
    (about two minutes, then cached); default: that of the task card."""
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
    chat: ChatConfig = field(default_factory=ChatConfig)
    """The endpoint that the labeler chat asks, its limits and its budget."""
    export_batch: Path | None = None
    """chat: write the questions as JSONL for a provider's batch interface (half the price), and stop."""
    import_batch: tuple[Path, ...] = ()
    """chat: read the provider's files of answers, in any order, before going on."""
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

    camera, settings = judging.one_camera(dataset, config.camera), reward_config(config)
    labeler = early_labeler(config, dataset)
    seen = score = None
    if labeler is None:
        seen = see(config, dataset, camera, goal)
        labeler = judging.clip_labeler(seen.encoder, goal, seen.vectors)
        score = labeler.score(seen.vectors)
    asking = judging.choose(dataset, camera, goal, config.pairs, config.seed, score)
    if config.labeler == "chat" and not before_chat(config, labeler, asking, store_of(config)):
        return
    with progress(None, "labeling", "pairs") as advance:
        asked = judging.ask(labeler, asking, store_of(config), advance)
    print(f"labels: {asked.outcomes()} by {who(labeler, seen)} in {store_of(config)}")
    notes = warnings(dataset, seen, labeler.name)
    for line in notes:
        print(f"note: {line}")
    if config.until == "dataset":
        # Whoever asks somebody else needs the encoder only now: a wrong address should not cost minutes.
        seen = seen or see(config, dataset, camera, goal)
        finish(config, dataset, goal, out, seen, asked, settings, notes, who(labeler, seen))


@dataclass(frozen=True)
class Seen:
    """A dataset's frames as a model sees them."""

    encoder: object  # vision.encoder.ImageTextEncoder
    vectors: object  # (N, D) float32


def see(config: Config, dataset, camera: str, goal) -> Seen:
    """Load the encoder and embed every frame, from the cache where they are known."""
    from robot_rl.vision.cache import embed_dataset

    encoder = load_encoder(config.model, config.weights, goal)
    with progress(dataset.info.total_frames, "embedding", "frames") as advance:
        return Seen(encoder, embed_dataset(dataset, camera, encoder, advance))


def who(labeler, seen: Seen | None) -> str:
    """Name the judge in words."""
    origin = seen.encoder.identity["origin"] if labeler.name == "clip" else labeler.identity["model"]
    return f"{labeler.name} ({origin})"


def early_labeler(config: Config, dataset):
    """Make the labelers that can be refused before the encoder, which may take minutes; None for clip."""
    from robot_rl.cli import judging
    from robot_rl.errors import BadInput

    batch = config.export_batch is not None or bool(config.import_batch)
    if config.labeler != "chat" and (batch or config.chat != ChatConfig()):
        raise BadInput(
            f"--labeler: is '{config.labeler}'; --chat, --export-batch and --import-batch need chat"
        )
    if config.labeler == "oracle":
        return judging.oracle_labeler(dataset, config.error_rate, config.seed)
    if config.labeler == "chat":
        from robot_rl.preferences.chat.labeler import ChatLabeler

        return ChatLabeler(config.chat)
    return None


def before_chat(config: Config, labeler, asking, store: Path) -> bool:
    """Do what --export-batch and --import-batch say, or tell what will be sent; returns whether to ask."""
    from robot_rl.preferences.batch import export_batch, import_batch
    from robot_rl.preferences.chat.announce import announcement
    from robot_rl.preferences.store import LabelStore

    with LabelStore(store) as labels:
        if config.export_batch is not None:
            made = export_batch(labeler, asking.questions, asking.frames, labels, config.export_batch)
            print("batch: " + (", ".join(map(str, made)) if made else "every pair has its answer already"))
            print("next: hand it to the provider, then the same command with --import-batch in its place")
            return False
        if config.import_batch:
            found = import_batch(labeler, asking.questions, config.import_batch, labels)
            print(f"batch: {found}")
            without = found.missing + found.outcomes.get("failed", 0)
            if without:
                print(
                    f"{without} pairs have no answer yet: export them again, or ask them directly, "
                    "without --import-batch"
                )
            return not without
        print(announcement(labeler, asking.questions, asking.frames, labels), flush=True)
        keys = {question.key(labeler.name, labeler.identity) for question in asking.questions}
        if len(labels.get(keys)) < len(keys):
            for note in labeler.probe():
                print(f"note: {note}")
    return True


def finish(config, dataset, goal, out, seen: Seen, asked, settings, notes, judge_name) -> None:
    """Fit the reward to the answers, measure it and write the labeled dataset."""
    from robot_rl.cli import judging
    from robot_rl.cli.arms import write_json
    from robot_rl.rewards.relabel import relabel_dataset

    model = judging.fit(seen.vectors, asked, settings)
    model.save(out / "reward", seen.encoder.identity)
    found = judging.quality(dataset, asked, model, seen.vectors, judging.true_reward(dataset))
    provenance = {
        "labeler": config.labeler,
        "judge": judge_name,
        "task": goal.text,
        "opposite": goal.opposite,
        "encoder": seen.encoder.identity["origin"],
        "pairs": config.pairs,
        "seed": config.seed,
    }
    if found["undecided_share"] > 0.5:
        notes = [
            *notes,
            f"{found['undecided_share']:.0%} of the labels lie within 0.1 of one half: the judge can hardly "
            "tell these pictures apart, and the reward repeats its guesses",
        ]
        print(f"note: {notes[-1]}")
    camera = judging.one_camera(dataset, config.camera)
    told = {**provenance, **found, "notes": notes, "store": str(store_of(config)), "camera": camera}
    write_json(out / "label.json", told)
    save_config(config, out / "config.yaml")
    # The dataset comes last and at once: killed before, the same command makes all of it again.
    relabel_dataset(dataset, model.reward(seen.vectors), out / "dataset", provenance)
    rows = [(k, "-" if v is None else v) for k, v in found.items() if not isinstance(v, (list, dict))]
    print(table(("measure", "value"), rows))
    print(f"labeled dataset: {out / 'dataset'}   next: robot-rl train {out / 'dataset'} --out runs/policy")


def store_of(config: Config) -> Path:
    """Where the answers are."""
    return config.store or beside(config.dataset, ".labels.sqlite")


def warnings(dataset, seen: Seen | None, labeler: str) -> list[str]:
    """Say where the labels are not what they seem."""
    if labeler == "oracle":
        return ["these labels come from the true reward (oracle): for tests and ablations only"]
    if labeler != "clip" or seen.encoder.identity["kind"] != "in-domain":
        return []
    scene = seen.encoder.identity["model"].removeprefix("in-domain ")
    if dataset.info.metadata.get("task") == scene:
        return []
    return [
        f"the in-domain model knows simulated pictures of {scene} only; these are other pictures, so its "
        "answers are guesses: see agreement, undecided share and order in time"
    ]
