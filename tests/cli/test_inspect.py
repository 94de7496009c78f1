"""`robot-rl inspect` prints numbers that agree with the dataset, and one line where there is none."""

import numpy as np

from robot_rl.cli.main import main


def test_summary(tiny_dataset, capsys):
    assert main(["inspect", str(tiny_dataset.root)]) == 0
    told = capsys.readouterr().out
    facts = dict(line.split(":", 1) for line in told.split("\n\n")[0].splitlines())
    assert facts["episodes"].strip() == "4, 2 of them terminated"
    assert facts["frames"].strip() == "48 at 10 Hz, 5 s"
    assert facts["cameras"].strip() == "front 32x32"
    assert facts["success"].strip() == "4 of 4 episodes (100%)"
    assert facts["reward"].strip() == "return 6 mean, 6 to 6"  # 12 steps from 0 to 1
    assert facts["labels"].strip() == "(none)"
    state = tiny_dataset.column("observation.state")[:, 3]
    row = next(line.split() for line in told.splitlines() if line.startswith("joint_3 "))
    np.testing.assert_allclose(
        [float(x) for x in row[1:]], [state.min(), state.mean(), state.max(), state.std()], rtol=1e-3
    )
    assert "grip" in told and "next.reward" in told and 'note: "synthetic"' in told


def test_no_dataset_is_one_line(tmp_path, capsys):
    assert main(["inspect", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"robot-rl inspect: {tmp_path}") and error.count("\n") == 1
