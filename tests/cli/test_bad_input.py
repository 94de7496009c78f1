"""Mistakes end with status 2 and one line that names them; nothing half-written is left."""

import contextlib
import json
import sqlite3
from dataclasses import replace

import h5py
import numpy as np
import pytest

pytest.importorskip("torch")
from robot_rl.cli.main import main
from robot_rl.preferences.store import LabelStore
from tests.cli.processes import run
from tests.conftest import make_episode, make_writer, write_tiny


def fails(capsys, *args):
    """Run a command line that must fail with one line, which is returned."""
    capsys.readouterr()
    assert main([str(arg) for arg in args]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(PROGRESS)]
    assert len(lines) == 1 and lines[0].startswith(f"robot-rl {args[0]}: "), lines
    return lines[0]


PROGRESS = ("embedding:", "labeling:", "import:", "collecting:", "evaluating:")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def data(tmp_path):
    """The folder of a dataset of 4 episodes with 64x64 pictures, alone in its folder."""
    return write_sized(tmp_path / "data", 64)


def write_sized(path, size, rewards=True):
    writer = make_writer(path, cameras={"front": (size, size)})
    for index in range(4):
        episode = make_episode(index, size=size)
        writer.write(index, episode if rewards else replace(episode, rewards=None, success=None))
    writer.close()
    return path


CARD = ("--task", "drawer_open", "--pairs", "20")


@pytest.mark.parametrize("verb", ["label", "train", "inspect"])
def test_a_path_that_is_no_dataset(tmp_path, capsys, verb):
    more = {"label": CARD, "train": ("--out", tmp_path / "run"), "inspect": ()}[verb]
    assert str(tmp_path / "none") in fails(capsys, verb, tmp_path / "none", *more)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("hello")
    assert str(tmp_path / "text") in fails(capsys, verb, tmp_path / "text", *more)
    assert names(tmp_path) == ["text"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("collect", "drawr_open"), "no task 'drawr_open'. Did you mean 'drawer_open'"),
        (("collect", "drawer_open", "--quality", "randm"), "no quality 'randm'"),
        (("collect", "drawer_open", "--episodes", 0), "--episodes: must be at least 1, not 0"),
        (("collect", "drawer_open", "--steps", 1), "--steps: must be at least 2, not 1"),
        (("collect", "drawer_open", "--workers", 0), "--workers: must be at least 1, not 0"),
        (("demo", "--task", "drawr_open"), "no task 'drawr_open'. Did you mean 'drawer_open'"),
        (("demo", "--pairs", 3), "--pairs: must be at least 20, not 3"),
        (("demo", "--evaluation-episodes", 0), "--evaluation-episodes: must be at least 1, not 0"),
        (("demo", "--episodes", 1), "--episodes: must be at least 2, not 1"),
    ],
)
def test_simulated_tasks_and_numbers(tmp_path, capsys, args, told):
    assert told in fails(capsys, *args, "--out", tmp_path / "out")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--task", "drawr_open"), "no task 'drawr_open'. Did you mean 'drawer_open'"),
        (("--task", " "), "--task: is empty"),
        (("--task", "open the drawer"), "--opposite: is missing"),
        (("--task", "open the drawer", "--opposite", "it is shut"), "give in-domain:TASK, or an open_clip"),
        (("--task", "drawer_open", "--pairs", 3), "--pairs: at least 20 are needed to fit a reward, not 3"),
        (("--task", "drawer_open", "--camera", "wrist"), "--camera: 'wrist'; there are front"),
        (("--task", "drawer_open", "--reward", "epoch", 3), "unknown setting 'epoch'. Did you mean 'epochs'"),
        (("--task", "drawer_open", "--reward", "epochs", 0), "epochs must be a whole number >= 1"),
        (("--task", "drawer_open", "--model", "ViT-B-32"), "--weights: is missing"),
        (("--task", "drawer_open", "--model", "ViT-B-23", "--weights", "x"), "Did you mean 'ViT-B-32'"),
        (("--task", "drawer_open", "--model", "ViT-B-32", "--weights", "x.pt"), "no pretrained tag 'x.pt'"),
        (("--task", "drawer_open", "--labeler", "oracle", "--error-rate", 2), "error_rate must be in [0, 1]"),
    ],
)
def test_label(data, tmp_path, capsys, args, told):
    assert told in fails(capsys, "label", data, *args)
    assert names(tmp_path) == ["data"]


def test_pictures_that_are_too_small_or_absent(tiny_judge, tmp_path, capsys):
    write_sized(tmp_path / "small", 24)
    told = fails(capsys, "label", tmp_path / "small", *CARD)
    assert "pictures of 24x24 pixels are too small" in told and "64x64" in told
    writer = make_writer(tmp_path / "blind", cameras=None)
    for index in range(2):
        episode = make_episode(index)
        states = {"observations": {"state": episode.observations["state"]},
                  "final_observation": {"state": episode.final_observation["state"]}}  # fmt: skip
        writer.write(index, replace(episode, **states))
    writer.close()
    assert "has no pictures" in fails(capsys, "label", tmp_path / "blind", *CARD)
    assert names(tmp_path) == ["blind", "small"]


def test_an_oracle_without_rewards(tmp_path, capsys):
    path = write_sized(tmp_path / "data", 64, rewards=False)
    told = fails(capsys, "label", path, *CARD, "--labeler", "oracle", "--error-rate", "0.1")
    assert "has no reward of its own" in told
    assert "has no reward" in fails(capsys, "label", path, *CARD, "--labeler", "oracle", "--error-rate", "2")
    assert names(tmp_path) == ["data"]


def test_a_label_store_of_a_newer_version(tiny_judge, data, tmp_path, capsys):
    store = tmp_path / "data.labels.sqlite"
    LabelStore(store).close()
    with contextlib.closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    before = store.read_bytes()
    assert "version 99 is newer than version 1" in fails(capsys, "label", data, *CARD)
    store.rename(tmp_path / "kept")
    store.write_text("not a database, though long enough to be taken for the head of one " * 9)
    assert "is not a label store" in fails(capsys, "label", data, *CARD)
    assert (tmp_path / "kept").read_bytes() == before
    assert {"data", "data.labels.sqlite", "kept"} == set(names(tmp_path))


def write_d4rl(path, steps=(4, 5), nan=False):
    """A D4RL file with episodes of so many steps."""
    total, rng = sum(steps), np.random.default_rng(0)
    states = rng.normal(size=(total, 3)).astype(np.float32)
    if nan:
        states[2, 1] = np.nan
    with h5py.File(path, "w") as file:
        file["observations"], file["actions"] = states, rng.uniform(-1, 1, (total, 2))
        file["rewards"], file["terminals"] = np.zeros(total), np.zeros(total, bool)
        file["timeouts"] = np.isin(np.arange(total), np.cumsum(steps) - 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"steps": ()}, "no steps"),
        ({"steps": (1, 4)}, "at least 2"),
        ({"nan": True}, "state"),
    ],
)
def test_broken_recordings(tmp_path, capsys, changes, told):
    write_d4rl(tmp_path / "x.hdf5", **changes)
    line = fails(capsys, "import", tmp_path / "x.hdf5", tmp_path / "d", "--task", "open the door")
    assert told in line
    assert names(tmp_path) == ["x.hdf5"]


def test_what_is_no_policy_no_labeling_and_no_reward_model(data, tmp_path, capsys):
    pytest.importorskip("metaworld")
    assert "policy.json cannot be read" in fails(capsys, "evaluate", data)
    assert "holds no label.json, train.jsonl or online.jsonl" in fails(capsys, "report", data)
    told = fails(capsys, "reward", data, "--model", tmp_path / "none", "--out", tmp_path / "out")
    assert "config.yaml" in told and "cannot be read" in told
    (data / "policy.json").write_text(json.dumps({"format_version": 99}))
    assert "newer than 1" in fails(capsys, "evaluate", data)
    assert names(tmp_path) == ["data"]


def test_a_policy_of_another_robot_is_refused_by_field(tmp_path, capsys):
    pytest.importorskip("metaworld")
    write_tiny(tmp_path / "data")
    assert main(["train", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--steps", "2"]) == 0
    assert "no task ''" in fails(capsys, "evaluate", tmp_path / "run")
    told = fails(capsys, "evaluate", tmp_path / "run", "--task", "drawer_open")
    assert "policy.json: state_names is ['joint_0'" in told and "task drawer_open has ['hand_x'" in told
    assert not (tmp_path / "run" / "evaluation.json").exists()


BLOCK = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == {module!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Block())
"""


@pytest.mark.parametrize(
    ("module", "verb", "extra"),
    [
        ("mujoco", "collect", "sim"),
        ("metaworld", "collect", "sim"),
        ("gymnasium", "collect", "sim"),
        ("mujoco", "demo", "sim"),
        ("jinja2", "demo", "report"),
        ("torch", "label", "vlm"),
        ("open_clip", "label", "vlm"),
        ("torch", "reward", "vlm"),
        ("torch", "train", "train"),
        ("torch", "evaluate", "sim"),
    ],
)
def test_a_missing_extra_is_named(data, tmp_path, module, verb, extra):
    out = ("--out", tmp_path / "out")
    args = {
        "collect": ("drawer_open", "--episodes", 1, *out),
        "demo": out,
        "label": (data, *CARD, *out),
        "reward": (data, "--model", data, *out),
        "train": (data, *out),
        "evaluate": (data,),
    }[verb]
    done = run(verb, *args, first=BLOCK.format(module=module))
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith(PROGRESS)]
    assert len(lines) == 1 and f"module '{module}" in lines[0], done.stderr
    assert f'pip install "robot-rl[{extra}]"' in lines[0]
    assert names(tmp_path) == ["data"]
