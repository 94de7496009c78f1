"""A walking policy through the whole graph, in real processes over DDS, against the plain environment.

The policy was made by tests/benchmarks/_make_walk.py. It walks in real time, and on a busy machine commands
come later within their period, which costs it some return: here it has to walk, and the benchmark
`deployment` holds it to .95 of the plain environment's return.
"""

import json
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")
pytest.importorskip("mujoco")

from robot_rl.cli.main import main
from robot_rl.envs.rollout import evaluate
from robot_rl.specs.paths import outside
from robot_rl.specs.tasks import load_task
from tests.ros.probe import domain

WALK = Path(__file__).parents[1] / "benchmarks" / "walk"
SEEDS, STEPS = range(700, 704), 150


def short_card(folder: Path) -> Path:
    """The task with episodes of three seconds: they run in real time."""
    card = yaml.safe_load((outside("sim", "tasks") / "go2_walk.yaml").read_text())
    path = folder / "go2_walk.yaml"
    path.write_text(yaml.safe_dump(card | {"episode_length": STEPS}))
    return path


def test_it_walks_over_ros_as_in_the_plain_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain()))
    card, run = short_card(tmp_path), tmp_path / "run"
    run.mkdir()
    for name in ("policy.json", "weights.safetensors"):
        (run / name).write_bytes((WALK / name).read_bytes())
    trials = ["--trials", str(len(SEEDS)), "--seed", str(SEEDS[0]), "--task", str(card)]
    assert main(["deploy", "--robot", "sim_go2", "--policy", str(run), *trials]) == 0
    rows = json.loads((run / "trials.json").read_text())["episodes"]
    assert [row["seed"] for row in rows] == list(SEEDS)
    assert [row["steps"] for row in rows] == [STEPS] * len(SEEDS)
    plain = evaluate(load_task(card), run, SEEDS).returns
    assert plain.mean() > 140  # of 225 at most: it walks
    pairs = [(row["return"], alone) for row, alone in zip(rows, plain, strict=True) if not row["late"]]
    if not pairs:
        late = ", ".join(str(row["late"]) for row in rows)
        pytest.skip(f"too busy a machine for real time: {late} of {STEPS} commands came late in its episodes")
    over_ros, alone = map(sum, zip(*pairs, strict=True))
    assert over_ros >= 0.7 * alone  # a joint or an axis mistaken gives next to nothing
