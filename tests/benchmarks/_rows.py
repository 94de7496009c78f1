"""Rows that every benchmark reports, with a goal where there is one; printed and saved as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from robot_rl.cli.common import table

BENCH = Path(__file__).resolve().parents[2] / "runs" / "bench"


@dataclass(frozen=True)
class Row:
    """One figure; `goal` is None where the row only informs."""

    name: str
    value: float
    unit: str
    goal: str | None = None
    holds: bool | None = None
    note: str = ""

    @classmethod
    def of(cls, name: str, value: float, unit: str, goal: tuple[str, float] | None, note: str = "") -> Row:
        """Make a row and check its goal, given as (">=" or "<=", bound)."""
        if goal is None:
            return cls(name, value, unit, note=note)
        way, bound = goal
        return cls(
            name,
            value,
            unit,
            f"{way} {bound:g}",
            bool(value >= bound if way == ">=" else value <= bound),
            note,
        )


def report(name: str, rows: list[Row]) -> None:
    """Print the table and write runs/bench/<name>.json."""
    cells = [
        (r.name, r.value, r.unit, r.goal or "", {True: "yes", False: "NO", None: ""}[r.holds], r.note)
        for r in rows
    ]
    print(table(("name", "value", "unit", "goal", "holds", "note"), cells))
    BENCH.mkdir(parents=True, exist_ok=True)
    (BENCH / f"{name}.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
