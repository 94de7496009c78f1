"""What is fuzzed: small files of every format, how each is read, and the process that does it many times.

Run as a module, it reads damaged copies in a loop; the benchmark `fuzz` and tests/data/test_fuzz.py start it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rl.data.episode import IMAGE, validate_episode
from robot_rl.data.importers.detect import SOURCES, detect
from robot_rl.data.importers.source import Options
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.benchmarks._mutate import mutate
from tests.conftest import write_tiny
from tests.data.importers import (
    files,
    test_bag_contract,
    test_bags,
    test_clips,
    test_d4rl,
    test_lerobot_v3,
    test_minari,
)

MEMORY = 6 * 2**30  # bytes of address space; far more than any of these files needs


def _d3rlpy(folder: Path) -> Path:
    from robot_rl.data.exporters import export_dataset

    export_dataset(write_tiny(folder.parent / "tiny", 2), folder / "buffer.h5", "d3rlpy")
    return folder / "buffer.h5"


def _v21(folder: Path) -> Path:
    from tests.data.importers import test_lerobot_v21

    return test_lerobot_v21.source.__wrapped__(folder)


def _clips(folder: Path) -> Path:
    test_clips.clip(folder / "a.mp4")
    test_clips.csv(folder / "a.csv")
    return folder


def _bag(folder: Path) -> Path:
    test_bags.write_bag(folder / "bag.mcap", seconds=0.3)
    (folder / "mapping.yaml").write_text(test_bags.MAPPING)
    return folder


def _recorded(folder: Path) -> Path:
    test_bag_contract.run(test_bag_contract.Bag(folder / "bag.mcap"))
    test_bag_contract.contract_file(folder)
    return folder


# name -> makes the small files in a folder and returns the path to read
CORPUS: dict[str, Callable[[Path], Path]] = {
    "own dataset": lambda f: write_tiny(f / "tiny", 2).root,
    "lerobot v3": lambda f: test_lerobot_v3.of_others(f / "s"),
    "lerobot v3 pictures": lambda f: test_lerobot_v3.with_pictures(test_lerobot_v3.of_others(f / "s")),
    "lerobot v2.1": _v21,
    "robomimic": lambda f: files.robomimic(f / "s.hdf5"),
    "d4rl": lambda f: test_d4rl.write(f / "s.hdf5"),
    "d3rlpy": _d3rlpy,
    "minari hdf5": lambda f: files.minari(f / "s"),
    "minari arrow": lambda f: test_minari.arrow(f / "s", "arrow"),
    "minari parquet": lambda f: test_minari.arrow(f / "s", "parquet"),
    "mcap bag": _bag,
    "mcap bag by contract": _recorded,
    "clips and csv": _clips,
}


def read(name: str, path: Path) -> None:
    """Read everything as an import does, a few pictures of each camera included."""
    if name == "own dataset":
        dataset = Dataset.open(path)
        for index in range(min(len(dataset), 3)):
            _look(dataset.episode(index))
        return
    if name == "mcap bag":
        options = Options(task="x", mapping=path / "mapping.yaml")
    elif name == "mcap bag by contract":
        options = Options(task="x", robot=str(path / "toy.yaml"))
    else:
        options = Options(task="x")
    with SOURCES[detect(path)](path, options) as source:
        for index in range(min(len(source), 3)):
            episode = source.episode(index)
            validate_episode(episode, source.where(index))
            _look(episode)


def _look(episode: object) -> None:
    for key, value in episode.observations.items():
        if key.startswith(IMAGE) and len(value):
            value[np.unique([0, len(value) // 2, len(value) - 1])]


def main(name: str, folder: str, start: int, count: int, seed: int) -> None:
    """Read `count` damaged copies from number `start` on; says on stdout what was not refused in one line."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    room = Path(folder)
    os.environ["ROBOT_RL_FUZZ"] = "1"
    where = CORPUS[name](room / "corpus")
    contents = {p: p.read_bytes() for p in sorted((room / "corpus").rglob("*")) if p.is_file()}
    paths = [p for p in contents if p.is_relative_to(where) or p == where]
    # Videos and tables are what can go wrong; small text files are damaged as often as those.
    beat = os.open(room / "beat", os.O_RDWR | os.O_CREAT)
    refused = 0
    for number in range(start, start + count):
        os.pwrite(beat, f"{number:12d}".encode(), 0)
        rng = np.random.default_rng([seed, number])
        path = paths[int(rng.integers(len(paths)))]
        mutate(rng, path)
        try:
            read(name, where)
        except BadInput as error:
            refused += 1
            if "\n" in str(error):
                _tell(number=number, path=path.name, error=f"more than one line: {error!r}")
        except MemoryError:
            _tell(number=number, path=path.name, error="MemoryError")
        except Exception:  # noqa: BLE001 - anything else is what is looked for
            _tell(number=number, path=path.name, error=traceback.format_exc())
        if path.exists() or path.is_symlink():
            path.unlink()
        path.write_bytes(contents[path])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _tell(done=count, refused=refused, peak_mb=round(peak))
    shutil.rmtree(room / "corpus", ignore_errors=True)


def _tell(**words: object) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
