"""Several seeds: a folder each, a table, and what they have in common."""

import pytest

from robot_rl.cli.seeds import run_seeds
from robot_rl.errors import BadInput


def score(seed, folder):
    """Stands in for a run; in a module, so that another process can find it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ran").write_text(str(seed))
    return [0.0, 0.2, 0.4, 0.6, 1.0][seed]


@pytest.mark.parametrize("workers", [1, 2])
def test_each_seed_has_its_folder(tmp_path, capsys, workers):
    assert run_seeds(tmp_path, 5, score, workers).tolist() == [0.0, 0.2, 0.4, 0.6, 1.0]
    assert [(tmp_path / f"seed-{k}" / "ran").read_text() for k in range(5)] == list("01234")
    told = capsys.readouterr().out
    # One of five goes at either end: (.2 + .4 + .6) / 3
    assert "interquartile mean over 5 seeds: success 0.4 (95 % interval " in told and "seed  success" in told


def test_at_least_one(tmp_path):
    with pytest.raises(BadInput, match="--seeds: must be at least 1, not 0"):
        run_seeds(tmp_path, 0, score)
