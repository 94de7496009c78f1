"""`robot-rl success` on pictures whose light says it: labels of every source, folder, page, bad input."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
from robot_rl.cli.main import main
from robot_rl.cli.success import load_success
from robot_rl.data.episode import Episode
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import make_writer
from tests.preferences.chat_server import Behaviour, chat_server

STEPS = 30


def write(path, episodes, seed, success=True):
    """Dark episodes, two of three of which get bright at some step: success of the action before."""
    rng = np.random.default_rng(seed)
    names = {"state_names": ["a", "b", "c"], "action_names": ["x", "y"]}
    with contextlib.closing(make_writer(path, **names)) as writer:
        for index in range(episodes):
            bright = np.arange(STEPS) >= (rng.integers(8, 24) if index % 3 else STEPS)
            level = np.where(bright, 200, 60)[:, None, None, None]
            pictures = (level + rng.integers(-40, 40, (STEPS, 32, 32, 3))).astype(np.uint8)
            states = rng.normal(size=(STEPS, 3)).astype(np.float32)
            reached = np.append(bright[1:], bright[-1])
            writer.write(
                index,
                Episode(
                    {"state": states, "image.front": pictures},
                    states[:, :2].copy(),
                    "the room is bright",
                    10.0,
                    reached.astype(np.float32),
                    reached if success else None,
                ),
            )
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("success") / "data", 15, seed=0)


@pytest.fixture(scope="module")
def made(data, tiny_judge):
    """The folder of a classifier that the command made."""
    assert run(data, data.with_name("made"), "--opposite-data", data) == 0
    return data.with_name("made")


def run(data, out, *more):
    common = ["--model", "in-domain:drawer_open", "--frames", "40", "--out", str(out)]
    return main(["success", str(data), *common, *map(str, more)])


def test_it_tells_bright_from_dark_and_says_how_well(made, data):
    found = json.loads((made / "success.json").read_text())
    held = found["about"]["held_out"]
    assert held["false negatives"][0] <= 0.2 and held["false positives"][0] <= 0.05
    assert (
        held["false positives"][2] > held["false positives"][0]
    )  # an interval, also where no error was seen
    assert found["about"]["labeled"] == 40 and found["about"]["hard_negatives"] == 20 + 10
    assert found["about"]["episodes"]["missed"] == 0
    page = (made / "report.html").read_text()
    assert "Worst false positives" in page and "Calibration" in page and "the room is bright" in page


def test_it_is_loaded_alone_with_its_encoder(made, data, tmp_path):
    moved = tmp_path / "elsewhere"
    made.rename(moved)
    try:
        classifier = load_success(moved)
    finally:
        moved.rename(made)
    pictures = Dataset.open(data).frames("front", np.array([0, 2 * STEPS - 1]))
    said = classifier.probability(pictures)
    assert said[0] < classifier.threshold <= said[1]
    detect = classifier.detector()
    assert [detect(pictures[1]) for _ in range(3)] == [False, False, True]
    with pytest.raises(BadInput, match="no success classifier"):
        load_success(tmp_path)


def test_labels_of_people(data, tmp_path, tiny_judge):
    dataset = Dataset.open(write(tmp_path / "data", 15, seed=0, success=False))
    bright = dataset.frames("front", np.arange(dataset.info.total_frames)).mean((1, 2, 3)) > 128
    lines = [
        f"{e},{f},{'yes' if b else 'no'}"
        for e, f, b in zip(dataset.episode_index, dataset.frame_index, bright, strict=True)
    ]
    path = tmp_path / "people.csv"
    path.write_text("episode,frame,success\n" + "\n".join(line for i, line in enumerate(lines) if i % 4))
    assert run(dataset.root, tmp_path / "out", "--labels", path) == 0
    about = json.loads((tmp_path / "out/success.json").read_text())["about"]
    assert about["truth"] == "337 labels in people.csv" and about["held_out"]["recall"][0] > 0.8
    assert about["episodes"] is None  # only some frames have a label, so nothing is said of whole episodes


def test_labels_of_a_chat_model(data, tmp_path, tiny_judge, capsys):
    chat = [
        "--labels",
        "chat",
        "--chat.model",
        "toy",
        "--chat.image-format",
        "png",
        "--store",
        tmp_path / "s.sqlite",
    ]
    with chat_server(Behaviour(logprobs=True)) as server:
        assert run(data, tmp_path / "one", *chat, "--chat.url", server.url) == 0
        told, asked = capsys.readouterr().out, server.calls
        assert "40 pictures go to 127.0.0.1" in told and "40 yes or no by toy (log probabilities)" in told
        assert run(data, tmp_path / "two", *chat, "--chat.url", server.url) == 0
        assert server.calls == asked  # nothing is paid for twice
        assert "no image goes to" in capsys.readouterr().out
    about = json.loads((tmp_path / "one/success.json").read_text())["about"]
    assert about["truth"] == "column next.success" and about["held_out"]["accuracy"][0] > 0.9
    assert run(data, tmp_path / "o", *chat, "--samples", "3", "--chat.url", "http://127.0.0.1:9/v1") == 2
    assert "at temperature 0 every answer is the same" in capsys.readouterr().err


def test_a_chat_model_alone_judges_itself_and_says_so(tmp_path, tiny_judge, capsys):
    blind = write(tmp_path / "data", 12, seed=0, success=False)
    chat = ["--labels", "chat", "--chat.model", "toy", "--chat.image-format", "png", "--frames", "100"]
    with chat_server(Behaviour()) as server:
        assert run(blind, tmp_path / "out", *chat, "--chat.url", server.url, "--false-positives", "0.2") == 0
        keys = {json.dumps(body["messages"]) for body in server.questions}
        assert len(server.questions) == len(keys)  # the frames to fit on are not asked about again
    about = json.loads((tmp_path / "out/success.json").read_text())["about"]
    assert about["truth"] == "toy, which is not known to be right" and about["held_out"]["accuracy"][0] > 0.9
    assert "(share of yes in 1)" in capsys.readouterr().out


def test_the_score_of_a_reward_model(data, tmp_path, tiny_judge):
    labeling = tmp_path / "labeling"
    label = ["label", str(data), "--task", "the room is bright", "--labeler", "oracle", "--error-rate", "0",
             "--model", "in-domain:drawer_open", "--pairs", "200"]  # fmt: skip
    assert main([*label, "--out", str(labeling), "--store", str(tmp_path / "l.sqlite")]) == 0
    assert run(data, tmp_path / "out", "--labels", "reward", "--labeling", labeling) == 0
    about = json.loads((tmp_path / "out/success.json").read_text())["about"]
    assert about["held_out"]["auc"][0] > 0.9 and "labeled" not in about


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--labels", "colum"], "Did you mean 'column'? Known: column, chat, reward. Or give a FILE.csv"),
        (["--labels", "nowhere.csv"], "nowhere.csv: the labels cannot be read"),
        (["--labels", "reward"], "--labeling FOLDER (from robot-rl label) belong together"),
        (["--frames", "3"], "--frames: must be at least 10"),
        (["--hold", "0"], "hold must be a whole number >= 1"),
        (["--chat.model", "toy", "--chat.url", "http://x"], "--chat needs chat"),
        (["--false-positives", "0.001"], "cannot show a rate of 0.001 (2995 are needed for 95% confidence)"),
        (["--truth", "guess"], "--truth: must be column or a FILE.csv"),
        (["--camera", "rear"], "there are front"),
    ],
)
def test_bad_input_is_one_line(data, tmp_path, capsys, tiny_judge, more, message):
    assert run(data, tmp_path / "out", *more) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("robot-rl success: ") and message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("episode,frame\n0,1\n", "has no column 'success'"),
        ("episode,frame,success\n0,1,1\n0,x,1\n", "line 3: episode and frame must be whole numbers"),
        ("episode,frame,success\n99,1,1\n", "line 2: there is no episode 99; they go from 0 to 14"),
        ("episode,frame,success\n0,30,1\n", "line 2: episode 0 has no frame 30; they go from 0 to 29"),
        ("episode,frame,success\n0,1,maybe\n", "line 2: success must be 1 or 0, not 'maybe'"),
        ("episode,frame,success\n0,1,0\n", "success is seen in 0 episodes; at least 3 are needed"),
    ],
)
def test_labels_that_cannot_be_used_name_the_line(data, tmp_path, capsys, tiny_judge, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    assert run(data, tmp_path / "out", "--labels", path) == 2
    assert message in capsys.readouterr().err


def test_a_dataset_without_success_says_what_to_do(tmp_path, capsys, tiny_judge):
    assert run(write(tmp_path / "data", 4, seed=0, success=False), tmp_path / "out") == 2
    assert "has no success (column next.success); label some frames in a FILE.csv" in capsys.readouterr().err
