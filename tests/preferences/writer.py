"""A process that stores labels batch after batch and says which are committed; tests kill it or run two.

Run as `python writer.py STORE START STOP NAME`.
"""

import sys

from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Preference


def main() -> None:
    path, start, stop, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with LabelStore(path) as store:
        for batch in range(start, stop):
            numbers = range(batch * 8, batch * 8 + 8)
            answers = [Preference("preference", n % 10 / 10, name, rationale="r" * 300) for n in numbers]
            store.put({f"key{n}": answer for n, answer in zip(numbers, answers, strict=True)})
            print(batch, flush=True)


if __name__ == "__main__":
    main()
