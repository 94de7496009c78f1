"""The log's lines in TensorBoard and in Weights & Biases: what arrives, and what is never sent."""

import json
import os
import subprocess
import sys
import types

import pytest

from robot_rl.cli.main import main
from robot_rl.cli.sinks import open_sinks
from robot_rl.errors import BadInput

FEW = ("--steps", "20", "--hidden", "8", "8", "--batch-size", "16", "--log-every", "10")


class FakeError(Exception):
    """Stands in for wandb.errors.Error."""


@pytest.fixture
def wandb(monkeypatch):
    """A module that remembers what it is told."""
    told = {"rows": [], "finished": 0}

    def init(**settings):
        if told.get("fails"):
            raise FakeError("api_key not configured\n (no-tty)")
        told["init"] = settings

        def finish():
            told["finished"] += 1

        return types.SimpleNamespace(log=lambda row, step: told["rows"].append((step, row)), finish=finish)

    module = types.SimpleNamespace(init=init, Settings=dict, errors=types.SimpleNamespace(Error=FakeError))
    module.__spec__ = types.SimpleNamespace(name="wandb")
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setenv("WANDB_API_KEY", "secret-key")
    return told


def test_every_line_of_the_log_arrives(wandb, tiny_dataset, tmp_path):
    out = tmp_path / "run"
    run = ["train", str(tiny_dataset.root), "--out", str(out), "--wandb", *FEW]
    assert main(run) == 0
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()[1:]]
    assert [step for step, _ in wandb["rows"]] == [10, 20] == [row["step"] for row in rows]
    assert wandb["rows"][1][1] == {name: value for name, value in rows[1].items() if name != "step"}
    made = wandb["init"]
    assert made["name"] == "run" and made["config"]["algo"] == "iql" and made["dir"] == str(out)
    assert made["settings"]["console"] == "off" and not made["settings"]["save_code"]
    assert "secret-key" not in json.dumps(made, default=str) and wandb["finished"] == 1
    first = made["id"]
    assert main(run) == 0 and wandb["init"]["id"] == first  # the same folder is the same run
    assert not any(
        "secret-key" in path.read_text() for path in out.glob("*.*") if path.suffix != ".safetensors"
    )


def test_who_is_not_logged_in_is_told(wandb, tmp_path):
    wandb["fails"] = True
    with (
        pytest.raises(
            BadInput, match=r"--wandb: api_key not configured \(no-tty\); log in .* WANDB_MODE=offline"
        ),
        open_sinks(tmp_path, {}, wandb=True),
    ):
        pass


def test_what_is_not_installed_is_said_first(tiny_dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["train", str(tiny_dataset.root), "--out", str(tmp_path / "run"), "--wandb", *FEW]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "it belongs to the extra 'wandb'" in told and not (tmp_path / "run").exists()


def test_tensorboard(tiny_dataset, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    assert main(["train", str(tiny_dataset.root), "--out", str(out), "--tensorboard", *FEW]) == 0
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("actor_loss")] == [10, 20]


def test_offline_with_the_real_package(tiny_dataset, tmp_path):
    pytest.importorskip("wandb")
    out = tmp_path / "run"
    command = [sys.executable, "-m", "robot_rl.cli.main", "train", str(tiny_dataset.root), "--out", str(out)]
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_API_KEY": "0123456789" * 4}
    subprocess.run([*command, "--wandb", *FEW], env=environment, check=True, capture_output=True)
    (folder,) = (out / "wandb").glob("offline-run-*")
    (record,) = folder.glob("run-*.wandb")
    content = record.read_bytes()
    assert b"actor_loss" in content and b"0123456789" * 4 not in content
