"""What can be learned in each group of simulated tasks: BC and IQL, true and learned and constant rewards.

Run by `make bench NAME=tasks`; hours on 2 cores with its defaults, less for one group: `tasks.py go2|cloth`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import _tasks_cloth, _tasks_go2
from tests.benchmarks._rows import report

GROUPS = {"go2": _tasks_go2.rows, "cloth": _tasks_cloth.rows}


def main() -> None:
    """Measure the chosen groups and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument(
        "--folder", type=Path, default=None, help="kept and continued; default: a temporary one"
    )
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="tasks-"))
    report("tasks", [row for group in options.groups for row in GROUPS[group](folder / group)])


if __name__ == "__main__":
    main()
