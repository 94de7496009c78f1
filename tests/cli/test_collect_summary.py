"""What `robot-rl collect` says of a dataset, and where it differs from what its card expects."""

import pytest

from robot_rl.cli.collect import summary
from robot_rl.specs.dataset_cards import Expected

# Each of the 4 episodes succeeds at its last step; 12 rewards from 0 to 1 in equal steps sum to 6.
HEAD = ": 4 episodes, 48 steps, 100.0% succeed"
RETURNS = "returns: median 6, the middle 80 % from 6 to 6"


def test_as_expected(tiny_dataset):
    told = summary(tiny_dataset, Expected(success_rate=(0.9, 1.0), returns=(5, 7)))
    assert told == f"{tiny_dataset.root}{HEAD} (expected 90% to 100%)\n{RETURNS} (median expected in 5 to 7)"
    assert summary(tiny_dataset, None) == f"{tiny_dataset.root}{HEAD}\n{RETURNS}"


@pytest.mark.parametrize(
    ("expected", "notes"),
    [
        (Expected(success_rate=(0.1, 0.5)), ["share of successes"]),
        (Expected(success_rate=(0.9, 1.0), returns=(7, 9)), ["median return"]),
        (Expected(success_rate=(0.1, 0.5), returns=(1, 5)), ["share of successes", "median return"]),
    ],
)
def test_not_as_expected(tiny_dataset, expected, notes):
    lines = summary(tiny_dataset, expected).splitlines()[2:]
    assert len(lines) == len(notes)
    for line, note in zip(lines, notes, strict=True):
        assert line.startswith("note: ") and note in line and "card expects" in line
