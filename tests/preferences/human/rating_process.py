"""A rating run of its own, for tests that kill or interrupt it: FOLDER COUNT RATER..."""

import sys
from pathlib import Path

from robot_rl.preferences.human.rate import rate
from robot_rl.preferences.store import LabelStore
from tests.preferences.human.setup import FRAMES, config, questions

if __name__ == "__main__":
    folder, count, *raters = sys.argv[1:]
    with LabelStore(Path(folder) / "labels.sqlite") as store:
        try:
            rate(
                config(*raters),
                questions(int(count)),
                FRAMES,
                store,
                announce=lambda line: print(line, flush=True),
            )
        except KeyboardInterrupt as interrupt:
            print(f"interrupted: {interrupt}", flush=True)
            sys.exit(130)
