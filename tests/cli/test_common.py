"""Configs come back as they were saved; progress and tables read well where there is no terminal."""

import enum
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tyro
import yaml

from robot_rl import __version__
from robot_rl.cli.common import load_config, progress, save_config, table, track
from robot_rl.errors import BadInput


class Kind(enum.Enum):
    ONE = "one"
    TWO = "two"


@dataclass(frozen=True)
class Network:
    hidden: tuple[int, ...] = (256, 256)
    rate: float = 3e-4


@dataclass(frozen=True)
class Config:
    dataset: tyro.conf.Positional[Path]
    out: Path | None = None
    kind: Kind = Kind.ONE
    size: tuple[int, int] = (84, 84)
    network: Network = field(default_factory=Network)
    names: list[str] = field(default_factory=list)


def test_round_trip(tmp_path):
    config = Config(Path("a/b"), Path("öffne"), Kind.TWO, (1, 2), Network((8,), 1e-5), ["x", "on"])
    path = tmp_path / "runs" / "x" / "config.yaml"
    save_config(config, path)
    assert load_config(Config, path) == config
    about = yaml.safe_load(path.read_text())["saved_by"]
    assert about["robot_rl"] == __version__ and about["date"].startswith("20")
    assert [p.name for p in path.parent.iterdir()] == ["config.yaml"]


def test_left_out_fields_keep_their_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("network: {rate: 1}\n")
    config = load_config(Config, path)
    assert config.network == Network(rate=1.0) and config.dataset is tyro.MISSING


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network: {hiden: [1]}", r"c.yaml: network.hiden: unknown field. Did you mean 'hidden'"),
        ("network: 3", r"c.yaml: network: must hold fields and values, not 3"),
        ("kind: three", r"c.yaml: kind: Input should be 'one' or 'two', not 'three'"),
        ("size: [1, 2, 3]", r"c.yaml: size: .*, not \[1, 2, 3\]"),
    ],
)
def test_mistakes_name_file_and_field(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(BadInput, match=message):
        load_config(Config, tmp_path / "c.yaml")


def test_progress_in_a_log_is_sparse_and_tells_all(capsys):
    with progress(4, "train", "steps", every=0.0) as advance:
        advance(3, note="loss 0.25")
        advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("train: 3/4 steps, ") and "steps/s, 0:00:00 left, loss 0.25" in lines[0]
    assert lines[-1].startswith("train: 4/4 steps, ") and "left" not in lines[-1]
    assert list(track(range(3), "read", "frames")) == [0, 1, 2]
    assert capsys.readouterr().err.startswith("read: 3/3 frames")
    assert list(track(iter("ab"), "read", "files")) == ["a", "b"]
    assert capsys.readouterr().err.startswith("read: 2 files")


def test_an_interrupted_progress_says_where_it_was(capsys):
    with pytest.raises(KeyboardInterrupt), progress(10, "label", "pairs") as advance:
        advance(7)
        raise KeyboardInterrupt
    assert "label: 7/10 pairs" in capsys.readouterr().err


def test_progress_on_a_terminal_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress(5, "train", "steps") as advance:
        advance(5, note="loss 0.5")
    told = capsys.readouterr().err
    assert "5/5" in told and "steps/s" in told and "loss 0.5" in told


def test_table_aligns_numbers_to_the_right():
    assert table(("name", "mean"), [("a", 0.5), ("long", -12.345678)]).splitlines() == [
        "name    mean",
        "a        0.5",
        "long  -12.35",
    ]
    assert table(("name", "x"), []) == "name  x"
