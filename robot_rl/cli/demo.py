"""`robot-rl demo`: the whole job on one task, from poor episodes to a policy that works, compared fairly."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.cli.common import progress, save_config, table

INTERRUPTED = "finished stages are kept; the same command goes on from there"
STAGES = ("collect", "judge", "label", "reward", "relabel", "train", "evaluate", "ros", "report")


@dataclass(frozen=True)
class Config:
    """Collect poor data, label it with an image-text model, learn a reward, train, evaluate and report."""

    task: str = "drawer_open"
    """Name of a task card in sim/tasks."""
    out: Path = Path("runs/demo")
    """Folder of the run; started again it goes on."""
    episodes: int | None = None
    """Episodes to collect; default: as many as the dataset card says."""
    pairs: int = 6000
    """Frame pairs to ask about."""
    steps: int = 15_000
    """Updates of each policy."""
    evaluation_episodes: int = 20
    """Episodes of each policy's evaluation."""
    seed: int = 0
    """Decides everything that is random."""
    workers: int = os.cpu_count() or 1
    """Processes at work at a time."""
    judge_frames: int = 6000
    """Pictures of random simulator states that teach the in-domain judge."""
    judge_steps: int = 450
    """Updates of the in-domain judge."""


class Stages:
    """Prints a line a stage, and keeps the seconds of each in stages.json over interruptions."""

    def __init__(self, out: Path) -> None:
        self._path = out / "stages.json"
        self.seconds: dict[str, float] = json.loads(self._path.read_text()) if self._path.exists() else {}

    @contextmanager
    def __call__(self, name: str, what: str) -> Iterator[list[str]]:
        """Time a stage; lines appended to what this yields are printed when it ends."""
        from robot_rl.cli.arms import write_json

        start, told = time.monotonic(), []
        try:
            yield told
        finally:
            taken = time.monotonic() - start
            self.seconds[name] = round(self.seconds.get(name, 0.0) + taken, 2)
            write_json(self._path, self.seconds)
        number = STAGES.index(name) + 1
        print(
            f"[{number}/{len(STAGES)}] {name:9} {taken:6.1f} s  {'; '.join([what, *told])}",
            flush=True,
        )


def main(config: Config) -> None:
    """Run all stages; each is skipped where its result is there."""
    check(config)
    check_resumable(config)
    from robot_rl.cli.arms import write_json
    from robot_rl.cli.demo_report import build_report

    config.out.mkdir(parents=True, exist_ok=True)
    save_config(config, config.out / "config.yaml")
    stages = Stages(config.out)
    made = run_stages(config, stages)
    with stages("report", "one page that opens offline") as told:
        build_report(made, config.out / "report.html")
        told.append(str(config.out / "report.html"))
    summary = make_summary(made, stages.seconds)
    write_json(config.out / "summary.json", summary)
    print("\n" + result_table(made) + "\n\n" + next_steps(config))


def check(config: Config) -> None:
    """Refuse what would fail after minutes, before anything is written; raises BadInput."""
    from robot_rl.errors import BadInput, need_installed
    from robot_rl.specs.dataset_cards import load_dataset_card
    from robot_rl.specs.tasks import load_task

    least = {"episodes": 2, "pairs": 20, "judge_frames": 2}
    settings = ("episodes", "pairs", "steps", "evaluation_episodes", "workers", "judge_frames", "judge_steps")
    for name in settings:
        value = getattr(config, name)
        if value is not None and value < least.get(name, 1):
            raise BadInput(f"--{name.replace('_', '-')}: must be at least {least.get(name, 1)}, not {value}")
    load_dataset_card(load_task(config.task).name, "random")
    modules = {
        "torch": "vlm",
        "mujoco": "sim",
        "metaworld": "sim",
        "jinja2": "report",
        "matplotlib": "report",
    }
    for module, extra in modules.items():
        need_installed(module, extra)


def check_resumable(config: Config) -> None:
    """Refuse to continue a run that was started with other settings; raises BadInput naming the field."""
    from dataclasses import fields

    from robot_rl.cli.common import load_config
    from robot_rl.errors import BadInput

    path = config.out / "config.yaml"
    if not path.exists():
        return
    before = load_config(Config, path)
    for field in fields(Config):
        if field.name not in ("workers", "out") and getattr(before, field.name) != getattr(
            config, field.name
        ):
            raise BadInput(
                f"{path}: this run was started with {field.name} = {getattr(before, field.name)}, "
                f"not {getattr(config, field.name)}; give another --out, or remove {config.out}"
            )


@dataclass(frozen=True)
class Made:
    """What the stages made, for the summary and the report."""

    config: Config
    task: object  # TaskCard
    dataset: object  # Dataset, as collected
    labeled: object  # Dataset, the labeled version
    origin: str  # what judged the pictures
    asked: object  # asking.Asked
    found: dict  # judging.quality
    records: dict[str, dict]  # arm -> evaluation record
    film: Path | None
    ros: dict | None  # record of the episodes over ROS, None where they were left out

    def shown(self) -> dict[str, dict]:
        """All records in the order of the tables."""
        first = {"labeled": self.records["labeled"]} | ({"ros": self.ros} if self.ros else {})
        return first | self.records


def run_stages(config: Config, stages: Stages) -> Made:
    """Collect, judge, label, fit, relabel, train and evaluate."""
    from robot_rl.cli.arms import controls
    from robot_rl.data.store import Dataset
    from robot_rl.specs.tasks import load_task

    task = load_task(config.task)
    dataset = collect_poor(config, stages, task)
    encoder, vectors = make_judge(config, stages, task, dataset)
    asked = label(config, stages, task, dataset, encoder, vectors)
    (mean, std), found = fit_reward(config, stages, dataset, encoder, vectors, asked)
    origin = encoder.identity["origin"]
    with stages("relabel", "a new version of the dataset; the source is not touched"):
        path = relabel(config.out / "labeled", dataset, (mean, std), {"encoder": origin, "task": task.goal})
    labeled, true = Dataset.open(path), dataset.column("next.reward")
    records, film = learn(config, stages, task, path, controls(true, labeled.column("next.reward")))
    ros = deploy(config, stages, task, records["labeled"]["first_seed"])
    return Made(config, task, dataset, labeled, origin, asked, found, records, film, ros)


def collect_poor(config: Config, stages: Stages, task):
    """Collect the task's random data."""
    from robot_rl.envs.collect import Plan, collect
    from robot_rl.specs.dataset_cards import load_dataset_card

    card = load_dataset_card(task.name, "random")
    plan = Plan(task, card, config.out / "data", config.episodes or card.episodes, config.seed)
    with (
        stages("collect", f"{plan.episodes} poor episodes of {task.name}") as told,
        progress(plan.episodes, "collecting", "episodes") as advance,
    ):
        dataset = collect(plan, config.workers, advance)
        reached = np.logical_or.reduceat(dataset.column("next.success"), dataset.starts)
        told.append(f"{reached.mean():.0%} of them succeed")
    return dataset


def make_judge(config: Config, stages: Stages, task, dataset) -> tuple:
    """Train or load the task's image-text model; returns it and the vectors (N, D) of all frames."""
    from robot_rl.cli.judging import in_domain_encoder
    from robot_rl.vision.cache import embed_dataset
    from robot_rl.vision.in_domain import InDomainConfig

    settings = InDomainConfig(frames=config.judge_frames, steps=config.judge_steps)
    with stages("judge", "image-text model of the scene, from random states and the card's words"):
        encoder = in_domain_encoder(task, settings, config.workers, progress)
        with progress(dataset.info.total_frames, "embedding", "frames") as advance:
            return encoder, embed_dataset(dataset, task.camera.name, encoder, advance)


def label(config: Config, stages: Stages, task, dataset, encoder, vectors: np.ndarray):
    """Ask about pairs of frames; returns asking.Asked."""
    from robot_rl.cli import asking, judging
    from robot_rl.preferences.store import LabelStore

    goal = asking.Goal(task.goal, task.opposite, task)
    labeler = judging.clip_labeler(encoder, goal, vectors)
    with (
        stages("label", f'which frame is nearer to "{task.goal}"?') as told,
        progress(None, "labeling", "pairs") as advance,
    ):
        store, score = config.out / "labels.sqlite", labeler.score(vectors)
        choice = asking.Choice(config.pairs, config.seed, "stratified", score)
        chosen = asking.choose(dataset, asking.look_at(dataset, task.camera.name), goal, choice)
        with LabelStore(store) as labels:
            asked = asking.ask(labeler, chosen, labels, advance)
        told.append(f"{len(asked.pairs)} pairs")
    return asked


def fit_reward(config: Config, stages: Stages, dataset, encoder, vectors: np.ndarray, asked) -> tuple:
    """Fit the reward model, or read it back; returns rewards (mean, std) of all frames and its quality."""
    from robot_rl.cli import judging
    from robot_rl.rewards.model import RewardConfig, RewardModel

    with stages("reward", "Bradley-Terry ensemble on the model's frozen features") as told:
        if (config.out / "reward" / "reward.json").exists():
            model = RewardModel.load(config.out / "reward", encoder.identity)
        else:
            model = judging.fit(vectors, asked, RewardConfig(seed=config.seed))
            model.save(config.out / "reward", encoder.identity)
        found = judging.quality(dataset, asked, model, vectors, dataset.column("next.reward"))
        agreement = found["held_out_agreement"]
        ties = "every held-out pair is a tie"
        told.append(ties if agreement is None else f"held-out agreement {agreement:.2f}")
    return model.reward(vectors), found


def relabel(path: Path, dataset, rewards: tuple[np.ndarray, np.ndarray], provenance: dict) -> Path:
    """Write the labeled version of the dataset, unless it is there."""
    from robot_rl.rewards.relabel import relabel_dataset

    if not (path / "meta" / "info.json").exists():
        relabel_dataset(dataset, rewards, path, provenance)
    return path


def learn(config: Config, stages: Stages, task, path: Path, rewards: dict) -> tuple[dict[str, dict], Path]:
    """Train and evaluate a policy for each reward, and film the one that learned from labels."""
    from robot_rl.cli.arms import plan_arms, run_arms
    from robot_rl.cli.evaluate import save_film

    arms = plan_arms(rewards, config.out / "policies", path, task, steps=config.steps, seed=config.seed,
                     episodes=config.evaluation_episodes)  # fmt: skip
    with (
        stages("train", f"{len(arms)} policies, the same but for their reward") as told,
        progress(len(arms), "training", "policies") as advance,
    ):
        records = run_arms(arms, config.workers, advance)
        told.append(f"then {config.evaluation_episodes} episodes each, on seeds never seen in training")
    with stages("evaluate", "film of the policy that learned from labels") as told:
        film = config.out / "policy.mp4"
        if not film.exists():
            save_film(task, config.out / "policies" / "labeled", arms[0].first_seed, film)
        told.append(f"success {records['labeled']['success']:.2f}")
    return records, film


def deploy(config: Config, stages: Stages, task, first_seed: int) -> dict | None:
    """Let the policy that learned from labels act over ROS 2; None where ROS or a robot is missing."""
    from importlib.util import find_spec

    from robot_rl.cli.demo_deploy import deploy_over_ros

    with stages("ros", "the same policy over ROS 2, in processes of its own") as told:
        if find_spec("rclpy") is None:
            told.append('left out: no rclpy (pip install "robot-rl[ros]", or a ROS 2 installation)')
            return None
        run, episodes = config.out / "policies" / "labeled", config.evaluation_episodes
        found = deploy_over_ros(task, run, config.out / "ros", episodes, first_seed)
        told.append(
            f"left out: no robot contract stands for {task.name}"
            if found is None
            else f"success {found['success']:.2f} in {len(found['episodes'])} episodes"
        )
    return found


def make_summary(made: Made, seconds: dict[str, float]) -> dict:
    """What the run measured, for machines."""
    return {
        "success": {name: record["success"] for name, record in made.records.items()}
        | {"ros": made.ros and made.ros["success"]},
        "label_accuracy": made.found["label_accuracy"],
        "label_accuracy_clear": made.found["label_accuracy_clear"],
        "held_out_agreement": made.found["held_out_agreement"],
        "episodes": len(made.dataset),
        "pairs": len(made.asked.pairs),
        "seconds": seconds,
        "task": made.task.name,
        "judge": made.origin,
    }


NAMES = {
    "labeled": "IQL, reward learned from labels",
    "ros": "the same, over ROS 2",
    "true_reward": "IQL, true reward",
    "constant_reward": "IQL, constant reward",
    "shuffled": "IQL, learned reward shuffled",
    "negated": "IQL, learned reward negated",
    "bc": "behaviour cloning",
}


def result_table(made: Made) -> str:
    """The comparison as text."""
    from robot_rl.report.statistics import wilson

    rows = []
    for name, record in made.shown().items():
        count = len(record["episodes"])
        interval = wilson(sum(record["episodes"]), count)
        rows.append(
            (NAMES[name], f"{record['success']:.2f}", f"{interval.low:.2f} to {interval.high:.2f}", count)
        )
    return table(("policy", "success", "95 % interval", "episodes"), rows)


def next_steps(config: Config) -> str:
    """Say what to try next."""
    out = config.out
    return "\n".join([
        f"report: {out / 'report.html'}   summary: {out / 'summary.json'}",
        "next:",
        f"  robot-rl inspect {out / 'labeled'}",
        f"  robot-rl evaluate {out / 'policies' / 'labeled'} --episodes 50 --video runs/policy.mp4",
        "  robot-rl demo --task drawer_close --out runs/demo-close",
        "  robot-rl import YOUR_DATA runs/data/mine   # then: label, train",
    ])  # fmt: skip
