"""The main job, tiny: each command takes what the one before wrote; the demo does it all and continues."""

import json
import shutil
import sqlite3
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
from robot_rl.cli.main import main
from robot_rl.data.store import Dataset
from tests.cli.processes import kill_when


def rows(store):
    """The number of answers in a label store."""
    with sqlite3.connect(store) as db:
        return db.execute("SELECT COUNT(*) FROM labels").fetchone()[0]


def run(*args):
    assert main(list(map(str, args))) == 0


@pytest.fixture(scope="module")
def work(tmp_path_factory, tiny_judge):
    """A folder with the data, its labeling and a policy, each made by its command."""
    folder = tmp_path_factory.mktemp("work")
    small = ["--episodes", 4, "--steps", 15, "--workers", 1]
    run("collect", "drawer_open", "--out", folder / "data", *small)
    run("label", folder / "data", "--task", "drawer_open", "--pairs", 60, "--out", folder / "labeling")
    labeled, few = folder / "labeling" / "dataset", ["--steps", 20, "--holdout", 0.25]
    run("train", labeled, "--out", folder / "policy", *few)
    return folder


def test_collect_says_what_differs_from_the_card(work, capsys):
    run("collect", "drawer_open", "--out", work / "data", "--episodes", 4, "--steps", 15)
    told = capsys.readouterr().out
    assert "4 episodes, 60 steps" in told
    assert (work / "data.config.yaml").exists()


def test_label_writes_a_labeled_version(work):
    source, labeled = Dataset.open(work / "data"), Dataset.open(work / "labeling" / "dataset")
    assert source.info.labels == ()
    assert {"reward.mean", "reward.std", "source.reward"} <= set(labeled.info.labels)
    np.testing.assert_array_equal(labeled.column("source.reward"), source.column("next.reward"))
    np.testing.assert_array_equal(labeled.column("next.reward"), labeled.column("reward.mean"))
    np.testing.assert_array_equal(labeled.column("action"), source.column("action"))
    found = json.loads((work / "labeling" / "label.json").read_text())
    assert (found["labeler"], found["pairs"], found["held_out_pairs"]) == ("clip", 60, 6)
    assert not any("other pictures" in note for note in found["notes"])
    assert sum(found["outcomes"].values()) == 66 and 0 <= found["label_accuracy"] <= 1


def test_a_second_labeling_makes_no_call(work, capsys):
    before = rows(work / "data.labels.sqlite")
    args = ["label", work / "data", "--task", "drawer_open", "--pairs", 60]
    run(*args, "--out", work / "again")
    assert rows(work / "data.labels.sqlite") == before > 0
    labeled = [Dataset.open(work / name / "dataset").column("next.reward") for name in ("labeling", "again")]
    np.testing.assert_array_equal(*labeled)
    capsys.readouterr()
    assert main(list(map(str, [*args, "--out", work / "again"]))) == 2
    assert "holds a finished labeling" in capsys.readouterr().err
    shutil.rmtree(work / "again" / "dataset")  # as after a kill before the dataset's turn
    run(*args, "--out", work / "again")


def test_label_can_stop_after_the_preferences(work, capsys):
    args = ["label", work / "data", "--task", "drawer_open", "--pairs", 20, "--until", "preferences"]
    run(*args, "--out", work / "none", "--store", work / "other.sqlite")
    assert rows(work / "other.sqlite") > 0 and not (work / "none").exists()
    assert "labels: {" in capsys.readouterr().out


def test_a_labeled_dataset_is_labeled_by_its_own_reward(work):
    oracle = ["--labeler", "oracle", "--error-rate", 0, "--task", "open the drawer", "--pairs", 40]
    model = ["--model", "in-domain:drawer_open"]
    run("label", work / "labeling" / "dataset", *oracle, *model, "--out", work / "relabeled")
    found = json.loads((work / "relabeled" / "label.json").read_text())
    assert found["label_accuracy"] == 1.0 and "true reward (oracle)" in found["notes"][0]
    labeled = Dataset.open(work / "relabeled" / "dataset")
    source = Dataset.open(work / "data").column("next.reward")
    np.testing.assert_array_equal(labeled.column("source.reward"), source)


def test_reward_applies_the_model_to_other_data(work, collected, capsys):
    run("reward", collected, "--model", work / "labeling", "--out", work / "applied")
    labeled = Dataset.open(work / "applied")
    assert {"reward.mean", "reward.std", "source.reward"} <= set(labeled.info.labels)
    assert "reward.mean" in capsys.readouterr().out
    run("reward", work / "data", "--model", work / "labeling", "--out", work / "same")
    np.testing.assert_allclose(
        Dataset.open(work / "same").column("next.reward"),
        Dataset.open(work / "labeling" / "dataset").column("next.reward"),
        atol=1e-5,
    )
    again = ["reward", str(collected), "--model", str(work / "labeling"), "--out", str(work / "same")]
    assert main(again) == 2


def test_workers_of_a_cluster_write_the_same_dataset(work):
    pytest.importorskip("ray")
    run(
        "label",
        work / "data",
        "--task",
        "drawer_open",
        "--pairs",
        60,
        "--out",
        work / "spread",
        "--ray",
        "local",
    )
    run("reward", work / "data", "--model", work / "spread", "--out", work / "by-ray", "--ray", "local")
    alone = Dataset.open(work / "labeling" / "dataset").column("next.reward")
    for folder in (work / "spread" / "dataset", work / "by-ray"):
        np.testing.assert_allclose(Dataset.open(folder).column("next.reward"), alone, atol=1e-5)


def test_evaluate_and_report(work, capsys):
    few = ["--episodes", 2, "--workers", 1]
    run("evaluate", work / "policy", *few, "--video", work / "film" / "policy.mp4")
    assert "success 0.00 (95 % interval 0.00 to" in capsys.readouterr().out
    found = json.loads((work / "policy" / "evaluation.json").read_text())
    assert found["episodes"] == [False, False] and found["task"] == "drawer_open"
    assert (work / "film" / "policy.mp4").read_bytes()[4:8] == b"ftyp"
    run("report", work / "labeling", "--policies", work / "policy")
    page = (work / "labeling" / "report.html").read_text()
    assert "the robot has pulled the drawer fully open" in page and "Action error" in page
    assert "<td" in page and "0.00" in page and "http://" not in page.replace("http://www.w3.org", "")


DEMO = ["--episodes", "6", "--pairs", "60", "--steps", "20", "--evaluation-episodes", "2",
        "--judge-frames", "60", "--judge-steps", "3"]  # fmt: skip


def test_a_killed_demo_continues_and_a_finished_one_rests(tmp_path_factory, tiny_judge, capsys):
    out = tmp_path_factory.mktemp("demo") / "run"
    demo = ["demo", "--out", str(out), *DEMO]
    staging, policies = out / "data.staging", out / "policies"
    assert kill_when(lambda: len(list(staging.glob("episode-*"))) > 0, *demo)
    assert not (out / "data").exists()
    assert kill_when(lambda: len(list(policies.glob("*/train.jsonl"))) > 0, *demo)
    assert not (out / "summary.json").exists()
    labeled, answers = out / "labeled" / "meta" / "info.json", rows(out / "labels.sqlite")
    written = labeled.stat().st_mtime_ns
    assert main(demo) == 0
    assert labeled.stat().st_mtime_ns == written
    assert rows(out / "labels.sqlite") == answers
    summary = json.loads((out / "summary.json").read_text())
    assert {"labeled", "true_reward", "constant_reward", "bc"} <= set(summary["success"])
    over_ros = summary["success"].pop("ros")
    assert (over_ros is None) == (find_spec("rclpy") is None)  # left out only where ROS is
    assert all(0 <= rate <= 1 for rate in [*summary["success"].values(), over_ros or 0.0])
    assert 0 <= summary["label_accuracy"] <= 1
    assert summary["episodes"] == 6 and summary["pairs"] == 66 and sum(summary["seconds"].values()) > 0
    page = (out / "report.html").read_text()
    assert "behaviour cloning" in page and "data:video/mp4" in page
    told = capsys.readouterr().out
    assert "[9/9] report" in told and str(out / "report.html") in told and "behaviour cloning" in told
    check_that_it_rests(demo, out, capsys)


def check_that_it_rests(demo, out, capsys):
    """The same command does nothing again; another setting is refused and leaves all as it was."""
    kept = [*out.glob("policies/*/*"), *out.glob("reward/*"), *out.glob("labeled/**/*"), out / "policy.mp4"]
    kept += out.glob("ros/trials.json")
    before = [path.stat().st_mtime_ns for path in kept]
    assert main(demo) == 0
    assert [path.stat().st_mtime_ns for path in kept] == before and len(kept) > 30
    capsys.readouterr()
    assert main([*demo, "--pairs", "61"]) == 2
    error = capsys.readouterr().err
    assert "this run was started with pairs = 60, not 61" in error and error.count("\n") == 1
    assert [path.stat().st_mtime_ns for path in kept] == before
