"""`robot-rl report` on run folders written by hand: curves, results, the data's findings, one-line errors."""

import json

import pytest
import yaml

from robot_rl.cli import run_report
from robot_rl.cli.main import main
from tests.conftest import write_tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset that tests only read."""
    return write_tiny(tmp_path_factory.mktemp("report") / "tiny").root


@pytest.fixture(autouse=True)
def few_drawings(monkeypatch):
    monkeypatch.setattr(run_report, "_DRAWN", 1)


def make_run(folder, log, rows, config):
    folder.mkdir(parents=True)
    lines = [{"config": {"steps": 300, "seed": 7}}, *rows]
    (folder / log).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "policy.json").write_text(json.dumps({"algorithm": "iql", "task_text": "open the drawer"}))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def report(*args):
    return main(["report", *map(str, args)])


def test_a_training_run(data, tmp_path, capsys):
    rows = [{"step": step, "actor_loss": 1 / step, "updates_per_s": 9.0} for step in (100, 200, 300)]
    run = make_run(tmp_path / "run", "train.jsonl", rows, {"dataset": str(data)})
    (run / "action_error.json").write_text(json.dumps({"rms_in_std": 0.5, "episodes": [3]}))
    (run / "evaluation.json").write_text(json.dumps({"success": 0.25, "episodes": [1, 2, 3, 4]}))
    assert report(run) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    page = (run / "report.html").read_text()
    for text in (
        "Open the drawer",
        "iql",
        "of 300",
        "25\u00a0%",
        "4 episodes",
        "0.50",
        "actor loss",
        "seed 7",
    ):
        assert text in page
    assert "updates per s" not in page
    assert "Nothing was found." in page and page.count("<summary>Episode") == 1


def test_an_online_run_and_a_log_that_a_kill_cut(data, tmp_path):
    evaluated = [
        {"step": step, "eval_success": s, "eval_success_low": s - 0.1, "eval_success_high": s + 0.1}
        for step, s in ((0, 0.2), (300, 0.8))
    ]
    played = [{"step": step, "episode": i, "episode_return": 3.0 * i} for i, step in enumerate((100, 200))]
    first = make_run(tmp_path / "first", "train.jsonl", [], {"dataset": str(data)})
    run = make_run(first / "online", "online.jsonl", [*evaluated, *played], {"run": str(first)})
    with (run / "online.jsonl").open("a") as file:
        file.write('{"step": 30')
    assert report(run, "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert "Success over environment steps, from 20% to 80%" in page and "Return of each episode" in page
    assert page.count("<summary>Episode") == 1


def test_data_that_has_gone(data, tmp_path):
    run = make_run(tmp_path / "run", "train.jsonl", [], {"dataset": str(tmp_path / "gone")})
    assert report(run) == 0
    page = (run / "report.html").read_text()
    assert "gone is not there any more" in page and "fewer than two lines" in page
    assert report(run, "--data", data) == 0
    assert "Nothing was found." in (run / "report.html").read_text()


def test_what_is_no_run_and_a_damaged_log(tmp_path, capsys):
    assert report(tmp_path) == 2
    assert "holds no label.json, train.jsonl or online.jsonl" in capsys.readouterr().err
    run = make_run(tmp_path / "run", "train.jsonl", [{"step": 1}], {})
    (run / "train.jsonl").write_text('{"config": {}}\nnot json\n{"step": 2}\n')
    assert report(run) == 2
    assert "train.jsonl: line 2 is no JSON" in capsys.readouterr().err
    (run / "train.jsonl").write_text("")
    assert report(run) == 2
    assert "the log is empty" in capsys.readouterr().err
