"""What a labeling leaves: lines for the terminal, the reward model, figures, pages, the labeled dataset."""

from __future__ import annotations

from robot_rl.cli import judging, label_evaluation
from robot_rl.cli.arms import write_json
from robot_rl.cli.common import save_config, table
from robot_rl.cli.label_evaluation import Evaluation
from robot_rl.cli.labelers import Judged
from robot_rl.cli.labeling import Labeling
from robot_rl.cli.spread import rewards
from robot_rl.rewards.relabel import relabel_dataset


def told(labeling: Labeling, judged: Judged) -> list[str]:
    """Say what was answered, by whom and where it is, and what is to be known of it."""
    outcomes = judged.asked.outcomes()
    lines = [*judged.lines, f"labels: {outcomes} by {judged.judge} in {labeling.store}"]
    if outcomes["failed"]:
        lines.append(f"note: {outcomes['failed']} pairs have no answer; the same command asks them again")
    return lines + [f"note: {note}" for note in notes(labeling, judged)]


def notes(labeling: Labeling, judged: Judged) -> list[str]:
    """Say where the labels are not what they seem."""
    if labeling.config.labeler == "oracle":
        return ["these labels come from the true reward (oracle): for tests and ablations only"]
    if labeling.config.labeler not in ("clip", "cascade"):
        return []
    identity = labeling.seen.encoder.identity
    scene = identity["model"].removeprefix("in-domain ")
    if identity["kind"] != "in-domain" or labeling.dataset.info.metadata.get("task") == scene:
        return []
    return [
        f"the in-domain model knows simulated pictures of {scene} only; these are other pictures, so its "
        "answers are guesses: see agreement, undecided share and order in time"
    ]


def evaluate(labeling: Labeling, judged: Judged) -> Evaluation:
    """Measure the labels against the truth, and print it."""
    evaluation = label_evaluation.evaluate(
        labeling.dataset, judged.labeler, judged.asking, judged.asked, labeling.labels, labeling.config.seed
    )
    print(table(("evaluation", "value"), label_evaluation.rows(evaluation.measures)))
    return evaluation


def finish(labeling: Labeling, judged: Judged, evaluation: Evaluation | None) -> None:
    """Fit the reward to the answers, measure it and write the labeled dataset."""
    dataset, seen, out = labeling.dataset, labeling.seen, labeling.out
    model = judging.fit(seen.vectors, judged.asked, labeling.reward_config)
    model.save(out / "reward", seen.encoder.identity)
    found = judging.quality(dataset, judged.asked, model, seen.vectors, judging.true_reward(dataset))
    remarks = notes(labeling, judged) + _undecided(found)
    provenance = {
        "labeler": labeling.config.labeler,
        "judge": judged.judge,
        "task": labeling.goal.text,
        "opposite": labeling.goal.opposite,
        "encoder": seen.encoder.identity["origin"],
        "pairs": labeling.pairs,
        "seed": labeling.config.seed,
    }
    also = {"notes": remarks, "store": str(labeling.store), "camera": labeling.camera}
    write_json(out / "label.json", {**provenance, **found, **also})
    save_config(labeling.config, out / "config.yaml")
    # The dataset comes last and at once: killed before, the same command makes all of it again.
    labeled = relabel_dataset(
        dataset, rewards(labeling.config.ray, model, seen.vectors), out / "dataset", provenance
    )
    if evaluation is not None:
        measures = label_evaluation.measure_reward(dataset, model, seen.vectors, evaluation)
        evaluation.measures.update(measures)
        print(table(("evaluation", "value"), label_evaluation.rows(measures)))
        save_evaluation(labeling, judged, evaluation, labeled)
    rows = [(k, "-" if v is None else v) for k, v in found.items() if not isinstance(v, (list, dict))]
    print(table(("measure", "value"), rows))
    # What has no state or action cannot be trained on; its rewards can be looked at.
    after = f"report {out}" if labeled.info.placeholders else f"train {out / 'dataset'} --out runs/policy"
    print(f"labeled dataset: {out / 'dataset'}   next: robot-rl {after}")


def _undecided(found: dict) -> list[str]:
    if found["undecided_share"] <= 0.5:
        return []
    note = (
        f"{found['undecided_share']:.0%} of the labels lie within 0.1 of one half: the judge can hardly "
        "tell these pictures apart, and the reward repeats its guesses"
    )
    print(f"note: {note}")
    return [note]


def save_evaluation(labeling: Labeling, judged: Judged, evaluation: Evaluation, labeled=None) -> None:
    """Write evaluation.json and evaluation.html into the folder of the labeling."""
    from robot_rl.cli.label_evaluation_page import write_evaluation

    path = labeling.out / "evaluation.html"
    write_json(labeling.out / "evaluation.json", {"judge": judged.judge, **evaluation.measures})
    write_evaluation(path, evaluation, labeled, labeling.camera, labeling.goal.text, judged.judge)
    print(f"evaluation: {path}")
