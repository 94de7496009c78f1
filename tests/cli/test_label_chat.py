"""`robot-rl label --labeler chat` against a loopback endpoint: from the question to the labeled dataset."""

import json
import sqlite3
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("httpx2")
from robot_rl.cli.main import main
from tests.cli.processes import COMMAND
from tests.preferences.chat_server import KEY, Behaviour, chat_server


@pytest.fixture
def data(collected, tiny_judge):
    return collected


def label(data, out, url, *more):
    chat = ["--labeler", "chat", "--chat.url", url, "--chat.model", "toy"]
    return main(["label", str(data), "--task", "drawer_open", "--pairs", "40", "--out", str(out),
                 "--store", str(out.with_suffix(".sqlite")), *chat, *more])  # fmt: skip


def test_it_says_what_leaves_the_machine_and_labels_the_dataset(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TOY_KEY", KEY)
    out = tmp_path / "labeled"
    with chat_server(Behaviour(key=KEY)) as server:
        assert label(data, out, server.url, "--chat.api-key-env", "TOY_KEY") == 0
        told = capsys.readouterr().out
        asked = server.calls
        assert label(data, tmp_path / "again", server.url, "--chat.api-key-env", "TOY_KEY",
                     "--store", str(out.with_suffix(".sqlite"))) == 0  # fmt: skip
        assert server.calls == asked  # nothing is paid for twice
    assert "88 images" in told and "of 44 pairs go to 127.0.0.1" in told
    assert told.index("88 images") < told.index("labels:")
    found = json.loads((out / "label.json").read_text())
    assert found["labeler"] == "chat" and found["judge"] == "chat (toy)"
    assert sum(found["outcomes"].values()) == 44 and found["outcomes"]["failed"] == 0
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_a_spent_budget_stops_and_goes_on(data, tmp_path, capsys):
    out = tmp_path / "labeled"
    with chat_server(Behaviour()) as server:
        assert label(data, out, server.url, "--chat.budget-calls", "15") == 1
        assert "go on" in capsys.readouterr().err
        with sqlite3.connect(out.with_suffix(".sqlite")) as db:
            kept = db.execute("SELECT COUNT(*) FROM labels").fetchone()[0]
        assert 5 <= kept <= 15 and not out.exists()
        before = server.calls
        assert label(data, out, server.url) == 0
        assert server.calls - before <= 44 - kept + 3  # the rest, and the test questions


def test_a_batch_goes_out_and_comes_back(data, tmp_path, capsys):
    requests, answers, out = tmp_path / "batch.jsonl", tmp_path / "answers.jsonl", tmp_path / "labeled"
    with chat_server(Behaviour()) as server:
        assert label(data, out, server.url, "--export-batch", str(requests)) == 0
        assert server.calls == 0
    lines = [json.loads(line) for line in requests.read_text().splitlines()]
    assert len(lines) == 44
    said = '{"evidence": "x", "choice": "second"}'
    replies = [{"custom_id": line["custom_id"],
                "response": {"status_code": 200, "body": {"choices": [{"message": {"content": said}}]}}}
               for line in lines]  # fmt: skip
    answers.write_text("\n".join(map(json.dumps, replies[:30])))
    closed = "http://127.0.0.1:9/v1"
    assert label(data, out, closed, "--import-batch", str(answers)) == 0
    assert "14 pairs have no answer yet" in capsys.readouterr().out and not out.exists()
    answers.write_text("\n".join(map(json.dumps, replies[::-1])))
    assert label(data, out, closed, "--import-batch", str(answers)) == 0
    assert json.loads((out / "label.json").read_text())["outcomes"]["preference"] == 44


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--labeler", "clip"], "--chat needs chat or cascade"),
        (["--chat.url", ""], "url: must begin with https://"),
        (["--chat.url", "", "--chat.model", ""], "--chat.url: is missing"),
        (["--chat.api-key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY is not set"),
        ([], "127.0.0.1:9"),
    ],
)
def test_bad_input_is_one_line_and_status_2(data, tmp_path, capsys, more, told):
    assert label(data, tmp_path / "out", "http://127.0.0.1:9/v1", "--chat.retries", "0", *more) == 2
    error = capsys.readouterr().err.strip()
    assert told in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_two_runs_at_once_pay_for_nothing_twice(data, tmp_path):
    with chat_server(Behaviour(latency=0.2)) as server:
        # The cache folder of the tests and all else come with the environment.
        args = ["label", data, "--task", "drawer_open", "--pairs", 40, "--until", "preferences"]
        args += ["--store", tmp_path / "labels.sqlite", "--labeler", "chat", "--chat.concurrency", 2]
        args += ["--chat.url", server.url, "--chat.model", "toy"]
        command = [sys.executable, "-c", COMMAND, *map(str, args)]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        told = [run.communicate(timeout=100)[0] for run in runs]
        assert [run.returncode for run in runs] == [0, 0]
        asked = len(server.questions)
    with sqlite3.connect(tmp_path / "labels.sqlite") as db:
        assert db.execute("SELECT COUNT(*) FROM labels").fetchone()[0] == asked == 44
    assert all("'failed': 0" in text for text in told)
    assert sum("another run asks chat" in text for text in told) <= 1  # one waits, if it is not too late
