"""`robot-rl label` with strips, traces, ways to choose pairs, a goal picture and an evaluation."""

import dataclasses
import json
import sqlite3

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
from robot_rl.cli.main import main
from robot_rl.data.store import Dataset
from robot_rl.data.video_write import encode_png
from tests.conftest import make_episode, make_writer
from tests.preferences.chat_server import Behaviour, chat_server


@pytest.fixture
def data(collected, tiny_judge):
    return collected


@pytest.fixture
def label(data, tmp_path):
    def run(*more, out="labeled", task="drawer_open"):
        args = ["label", data, "--task", task, "--pairs", 40, "--out", tmp_path / out]
        return main(list(map(str, [*args, "--store", tmp_path / "labels.sqlite", *more])))

    return run


def found(folder, name="label.json"):
    return json.loads((folder / name).read_text())


@pytest.mark.parametrize("way", ["random", "stratified", "coverage", "disagreement"])
def test_each_way_to_choose_pairs_labels_the_dataset(label, tmp_path, way):
    assert label("--labeler", "oracle", "--error-rate", 0, "--select", way) == 0
    told = found(tmp_path / "labeled")
    assert told["pairs"] == 40 and sum(told["outcomes"].values()) >= 44
    assert np.ptp(Dataset.open(tmp_path / "labeled" / "dataset").column("next.reward")) > 0


def test_disagreement_asks_its_second_half_where_the_first_left_doubt(label, tmp_path, data):
    assert label("--select", "disagreement", "--until", "preferences") == 0
    with sqlite3.connect(tmp_path / "labels.sqlite") as db:
        asked = db.execute("SELECT COUNT(*) FROM labels").fetchone()[0]
    assert 30 <= asked <= 44  # 20 and 20, and 2 held-out ones in each round; equal questions are asked once


def test_strips_are_judged_and_learned_from(label, tmp_path):
    assert label("--strip", "6") == 0  # clip scores the moments
    oracle = ["--labeler", "oracle", "--error-rate", 0]
    assert label(*oracle, "--strip", "6", out="strips") == 0 and label(*oracle, out="single") == 0
    paths = [tmp_path / name / "dataset" for name in ("strips", "single")]
    rewards = [Dataset.open(path).column("next.reward") for path in paths]
    assert not np.allclose(*rewards)  # the same answers, learned from as strips


def test_a_goal_picture_is_another_judge(label, tmp_path, data):
    frame = Dataset.open(data).frames("side", np.array([7]))[0]
    (tmp_path / "goal.png").write_bytes(encode_png(frame))
    counts = []
    for more in ((), ("--goal-image", tmp_path / "goal.png")):
        assert label("--select", "random", "--until", "preferences", *more) == 0
        with sqlite3.connect(tmp_path / "labels.sqlite") as db:
            counts.append(db.execute("SELECT COUNT(*) FROM labels").fetchone()[0])
    assert counts[1] == 2 * counts[0] > 0  # the same questions, asked anew


def test_an_evaluation_of_a_perfect_and_of_a_blind_judge(label, tmp_path, capsys):
    oracle = ["--labeler", "oracle", "--select", "random", "--evaluate"]
    assert label(*oracle, "--error-rate", 0, "--until", "preferences", out="right") == 0
    right = found(tmp_path / "right", "evaluation.json")
    assert right["label_accuracy"] == right["label_accuracy_clear"] == right["swap_consistency"] == 1.0
    assert right["first_shown_share"] == 0.5 and right["calibration_error"] == 0.0
    assert label(*oracle, "--position-bias", 1, "--error-rate", 0, "--until", "preferences", out="blind") == 0
    blind = found(tmp_path / "blind", "evaluation.json")
    assert blind["first_shown_share"] == 1.0 and blind["swap_consistency"] == 0.0
    assert blind["label_accuracy"] == blind["always_first_accuracy"]
    assert "accuracy against the truth" in capsys.readouterr().out
    page = (tmp_path / "right" / "evaluation.html").read_text()
    assert "There are none among the held-out pairs." in page  # no wrong answers
    assert page.count("data:image/png") >= 2 and "oracle" in page


def test_an_evaluation_reaches_to_the_learned_reward(label, tmp_path):
    assert label("--labeler", "oracle", "--error-rate", 0, "--evaluate") == 0
    measures = found(tmp_path / "labeled", "evaluation.json")
    assert {"reward_accuracy", "value_order_correlation", "coverage", "swap_consistency"} <= set(measures)
    assert measures["reward_accuracy"] > 0.6 and measures["swap_consistency"] == 1.0
    assert "Learned reward" in (tmp_path / "labeled" / "evaluation.html").read_text()


def test_what_a_model_writes_is_shown_as_text(label, tmp_path):
    with chat_server(Behaviour(evidence="<script>alert(1)</script>")) as server:
        chat = ["--labeler", "chat", "--chat.url", server.url, "--chat.model", "toy"]
        assert label(*chat, "--strip", "6", "--trace", "5", "--evaluate", "--until", "preferences") == 0
        words = json.dumps(server.requests[-1])
    assert "strip of three moments" in words and "coloured line" in words
    page = (tmp_path / "labeled" / "evaluation.html").read_text()
    assert "&lt;script&gt;alert(1)" in page and "<script>" not in page


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--strip", "2"], "--strip: must be at least 3 frames"),
        (["--trace", "5"], "--trace: clip judges the pictures as they are"),
        (["--labeler", "oracle", "--trace", "1"], "--trace: must be at least 2 steps"),
        (["--labeler", "oracle", "--trace", "5", "--trace-file", "none.yaml"], "none.yaml: cannot be read"),
        (["--goal-image", "none.png"], "none.png: the picture cannot be read"),
        (["--labeler", "oracle", "--goal-image", "none.png"], "--goal-image needs clip or cascade"),
        (["--near-duplicates", "-1"], "--near-duplicates: must be at least 0"),
        (["--labeler", "oracle", "--position-bias", "2"], "always_first must be in [0, 1]"),
        (["--labeler", "cascade"], "--chat.url: is missing"),
    ],
)
def test_bad_input_is_one_line_and_status_2(label, tmp_path, capsys, more, told):
    assert label(*more) == 2
    error = capsys.readouterr().err.strip()
    assert told in error and len(error.splitlines()) == 1, error
    assert not (tmp_path / "labeled").exists()


def test_an_evaluation_needs_a_truth(tmp_path, capsys, tiny_judge):
    writer = make_writer(tmp_path / "plain")
    for index in range(3):
        writer.write(index, dataclasses.replace(make_episode(index), rewards=None, success=None))
    writer.close()
    args = ["label", tmp_path / "plain", "--task", "it is open", "--opposite", "it is shut", "--evaluate"]
    assert main(list(map(str, [*args, "--model", "in-domain:drawer_open"]))) == 2
    assert "--evaluate needs a true reward" in capsys.readouterr().err
