"""A recording's folder: recording.json (what its rows hold), journal/ (open episodes) and dataset/.

Closed episodes wait in dataset.staging/ until the recording ends. What a killed recorder left is finished by
`python -m robot_rl.deploy.recording_folder OUT`, or goes on when the same folder is recorded into again.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from robot_rl.data.bag_recover import finish_bag, is_cut
from robot_rl.data.layout import read_json, write_json
from robot_rl.data.video_write import check_size
from robot_rl.data.writer import DatasetWriter
from robot_rl.deploy.journal import INTERVENTION, Plan, read_journal
from robot_rl.errors import BadInput, RobotRLError

DATASET, JOURNAL, RAW, PLAN = "dataset", "journal", "raw", "recording.json"


def journals(out: Path) -> list[Path]:
    """Folders of the episodes that are not yet in the dataset, in order."""
    return sorted((out / JOURNAL).glob("episode-*"))


def agree(out: Path, plan: Plan) -> None:
    """Raise BadInput unless `plan` is that of the recording in `out`; the first one is written there."""
    for camera, (height, width) in plan.cameras.items():
        check_size(height, width, f"camera '{camera}'")
    if not (out / PLAN).exists():
        write_json(plan.to_json(), out / f"{PLAN}.tmp")
        (out / f"{PLAN}.tmp").replace(out / PLAN)
    before = read_json(out / PLAN)
    for name, value in plan.to_json().items():
        if before.get(name) != value:
            raise BadInput(
                f"{out / PLAN}: the unfinished recording has {name} = {before.get(name)!r}, not {value!r}; "
                "record into another folder"
            )


def _writer(out: Path) -> DatasetWriter:
    plan = Plan.of_json(read_json(out / PLAN))
    return DatasetWriter(
        out / DATASET,
        fps=plan.fps,
        state_names=plan.state_names,
        action_names=plan.action_names,
        cameras=plan.cameras,
        robot_type=plan.robot,
        metadata={"source": {"format": "recorder_node"}},
        labels=(INTERVENTION,),
    )


def convert(out: Path, folders: list[Path]) -> None:
    """Make staged episodes of journals, and remove these; one that was made before is not made again."""
    writer = _writer(out)
    for folder in folders:
        index = int(folder.name.split("-")[1])
        if index not in writer.closed_indices():
            episode = read_journal(folder)
            if episode is not None:
                writer.write(index, episode)
        shutil.rmtree(folder)


def recover(out: Path) -> Path | None:
    """Finish a recording, cleanly ended or not: all episodes on disk become OUT/dataset, cut bags whole ones.

    Returns the dataset's folder, or None where there is no episode.
    """
    out = Path(out)
    for bag in filter(is_cut, (out / RAW).glob("*/*.mcap")):
        finish_bag(bag)
    if (out / DATASET).exists():
        return out / DATASET
    if not (out / PLAN).exists():
        return None
    convert(out, journals(out))
    writer = _writer(out)
    if not writer.closed_indices():
        shutil.rmtree(writer.staging, ignore_errors=True)
        return None
    writer.close()
    return out / DATASET


def closed_indices(out: Path) -> set[int]:
    """Numbers of the episodes that already wait to become the dataset."""
    return _writer(out).closed_indices()


def main(arguments: list[str]) -> int:
    """Recover the recording whose folder is given; returns the exit status."""
    if len(arguments) != 1:
        print("usage: python -m robot_rl.deploy.recording_folder OUT", file=sys.stderr)
        return 2
    try:
        print(recover(Path(arguments[0])) or f"{arguments[0]} holds no episode")
    except RobotRLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
