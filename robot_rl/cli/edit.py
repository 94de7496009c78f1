"""`robot-rl edit`: a new dataset from others, by whole episodes, at another rate, or cut; sources stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_rl.cli.common import progress_so_far
from robot_rl.cli.inspect import parse_episodes
from robot_rl.errors import BadInput

if TYPE_CHECKING:
    from robot_rl.data.store import Dataset

INTERRUPTED = "the source is untouched and no half dataset is left; the same command goes on or begins anew"
_PICTURE = re.compile(r"(\d+),(\d+),(\d+)[xX](\d+)")
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)?:(-?\d+(?:\.\d+)?)?")
Out = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]


@dataclass(frozen=True)
class Filter:
    """Keep the episodes that fulfil every criterion given; videos are linked."""

    out: Out
    """Folder of the new dataset."""
    success: bool | None = None
    """Keep those that succeed (True) or those that do not (False)."""
    min_steps: int | None = None
    """Least length, steps."""
    max_steps: int | None = None
    """Greatest length, steps."""
    min_return: float | None = None
    """Least undiscounted return."""
    max_return: float | None = None
    """Greatest undiscounted return."""
    task: str | None = None
    """Keep the episodes of this task, its whole text."""
    without: str | None = None
    """Leave out episodes with findings of these kinds, as `robot-rl inspect` names them, e.g. nan,stuck."""
    episodes: str | None = None
    """Keep these, e.g. 3,7,20-29."""


@dataclass(frozen=True)
class Split:
    """Part the episodes into two datasets, at random or by number; videos are linked."""

    first: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT1")]
    """Folder of the first new dataset."""
    second: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT2")]
    """Folder of the second, which gets the other episodes."""
    fraction: float = 0.8
    """Share of the episodes in the first, between 0 and 1."""
    seed: int = 0
    """Decides which ones."""
    episodes: str | None = None
    """Instead of a share: the episodes of the first, e.g. 0-79."""


@dataclass(frozen=True)
class Merge:
    """Put the episodes of other datasets behind; rate, robot and fields must agree; videos are linked."""

    others: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="OTHER... OUT")]
    """Folders of the other datasets, and at the end that of the new one."""


@dataclass(frozen=True)
class Resample:
    """Bring all episodes to another rate; pictures (the nearest ones) are encoded anew, rewards summed."""

    out: Out
    """Folder of the new dataset."""
    fps: float
    """The new rate, Hz."""
    states: Literal["interpolate", "last"] = "interpolate"
    """States at the new times: between the two nearest, or the last one before."""
    actions: Literal["last", "mean", "sum"] = "last"
    """Actions of the steps that a new one covers: last (targets), mean (velocities), sum (displacements)."""


@dataclass(frozen=True)
class Crop:
    """Cut episodes in time, pictures to a box, or both; only what changes is encoded anew."""

    out: Out
    """Folder of the new dataset."""
    steps: str | None = None
    """Steps to keep, FIRST:STOP without STOP itself; negative ones count from the end, e.g. 10: or :-5."""
    seconds: str | None = None
    """Instead of steps: FROM:TO in seconds, e.g. 0.5:3."""
    picture: str | None = None
    """Box to keep, TOP,LEFT,HEIGHTxWIDTH in pixels, height and width even."""
    camera: str | None = None
    """The only camera that the box is for; default every one."""


@dataclass(frozen=True)
class Config:
    """Make a new dataset out of DATASET, which is only read: filter, split, merge, resample or crop."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset."""
    operation: tyro.conf.OmitArgPrefixes[
        Annotated[Filter, tyro.conf.subcommand("filter", prefix_name=False)]
        | Annotated[Split, tyro.conf.subcommand("split", prefix_name=False)]
        | Annotated[Merge, tyro.conf.subcommand("merge", prefix_name=False)]
        | Annotated[Resample, tyro.conf.subcommand("resample", prefix_name=False)]
        | Annotated[Crop, tyro.conf.subcommand("crop", prefix_name=False)]
    ]


def main(config: Config) -> None:
    """Edit, and print what came out."""
    from robot_rl.data.store import Dataset

    operation = config.operation
    dataset = Dataset.open(config.dataset)
    doing: dict[type, Callable[..., None]] = {
        Filter: filter_,
        Split: split,
        Merge: merge,
        Resample: resample,
        Crop: crop,
    }
    doing[type(operation)](dataset, operation)


def record_of(operation: Any) -> dict[str, Any]:
    """The operation and its arguments as the new dataset keeps them, without where it lies."""
    told = {k: v for k, v in asdict(operation).items() if not isinstance(v, Path) and k != "others"}
    given = {name: value for name, value in told.items() if value is not None}
    return {"operation": type(operation).__name__.lower(), "arguments": given}


def told(dataset: Dataset) -> str:
    """One line on a new dataset."""
    steps = dataset.info.total_frames
    return f"{dataset.root}: {len(dataset)} episodes, {steps} steps at {dataset.info.fps:g} Hz"


def filter_(dataset: Dataset, operation: Filter) -> None:
    """Keep some episodes."""
    from robot_rl.data.edit import Criteria, assemble, choose_episodes

    names = ("success", "min_steps", "max_steps", "min_return", "max_return", "task")
    numbers = parse_episodes(operation.episodes, len(dataset))
    kinds = [kind.strip() for kind in operation.without.split(",")] if operation.without is not None else []
    criteria = Criteria(numbers, **{name: getattr(operation, name) for name in names}, without=kinds)
    kept, removed = choose_episodes(dataset, criteria)
    new = assemble([(dataset, kept)], operation.out, record_of(operation))
    print(f"{told(new)}, of {len(dataset)} episodes")
    for name, count in removed.items():
        print(f"  {name}: removes {count}")


def split(dataset: Dataset, operation: Split) -> None:
    """Part the episodes in two."""
    from robot_rl.data.edit import assemble, split_episodes
    from robot_rl.data.layout import check_target
    from robot_rl.data.store import Dataset

    if operation.first.resolve() == operation.second.resolve():
        raise BadInput(f"split: {operation.first} is given twice; the two datasets need folders of their own")
    first = parse_episodes(operation.episodes, len(dataset))
    if first is None:
        first, second = split_episodes(len(dataset), operation.fraction, operation.seed)
    else:
        second = sorted(set(range(len(dataset))) - set(first))
    if not second:
        raise BadInput("split: --episodes names all episodes; none is left for the second dataset")
    record, halves = record_of(operation), ((operation.first, first), (operation.second, second))
    made = [_is_made(path, dataset, episodes, record) for path, episodes in halves]
    for (path, _), done in zip(halves, made, strict=True):
        if not done:
            check_target(path)
    for (path, episodes), done in zip(halves, made, strict=True):
        print(told(Dataset.open(path) if done else assemble([(dataset, episodes)], path, record)))


def _is_made(path: Path, dataset: Dataset, episodes: list[int], record: Mapping[str, Any]) -> bool:
    """Whether an earlier run of the same command that was cut off has made this half."""
    from robot_rl.data.layout import INFO
    from robot_rl.data.store import Dataset

    if not (path / INFO).is_file():
        return False
    found = Dataset.open(path).info.provenance or {}
    wanted = {**record, "source_hash": dataset.content_hash, "episodes": episodes}
    return all(found.get(name) == value for name, value in wanted.items())


def merge(dataset: Dataset, operation: Merge) -> None:
    """Put datasets behind one another."""
    from robot_rl.data.edit import assemble
    from robot_rl.data.store import Dataset

    if len(operation.others) < 2:
        raise BadInput("merge: needs at least one other dataset and then the new folder: merge OTHER... OUT")
    *others, out = operation.others
    datasets = [dataset, *(Dataset.open(path) for path in others)]
    parts = [(one, list(range(len(one)))) for one in datasets]
    print(told(assemble(parts, out, record_of(operation))))


def resample(dataset: Dataset, operation: Resample) -> None:
    """Bring all episodes to another rate."""
    from robot_rl.data.edit import resample_episode

    if not 0 < operation.fps < float("inf") or operation.fps == dataset.info.fps:
        raise BadInput(
            f"--fps: must be a rate in Hz other than the {dataset.info.fps:g} that {dataset.root} has"
        )
    how = {"states": operation.states, "actions": operation.actions}
    _rewrite(
        dataset,
        operation.out,
        lambda episode, where: resample_episode(episode, operation.fps, **how, where=where),
        record_of(operation),
        fps=operation.fps,
    )


def crop(dataset: Dataset, operation: Crop) -> None:
    """Cut episodes or pictures."""
    from robot_rl.data.edit import Crop as Cut
    from robot_rl.data.edit import crop_episode
    from robot_rl.data.edit.crop import check_box

    if operation.steps is not None and operation.seconds is not None:
        raise BadInput("crop: --steps and --seconds say the same; give one of them")
    if operation.steps is None and operation.seconds is None and operation.picture is None:
        raise BadInput("crop: nothing to cut; give --steps, --seconds or --picture")
    first, stop = _steps(operation, dataset.info.fps)
    sizes = dict(dataset.info.cameras)
    boxes = {}
    if operation.picture is not None:
        cameras = list(sizes) if operation.camera is None else [operation.camera]
        if not cameras:
            raise BadInput(f"--picture: {dataset.root} has no camera")
        for camera in cameras:
            dataset.camera(camera)
            boxes[camera] = parse_box(operation.picture)
            check_box(boxes[camera], sizes[camera], camera)
            sizes[camera] = boxes[camera][2:]
    cut = Cut(first, stop, boxes)
    _rewrite(
        dataset,
        operation.out,
        lambda episode, where: crop_episode(episode, cut, where),
        record_of(operation),
        cameras=sizes,
    )


def _steps(operation: Crop, fps: float) -> tuple[int | None, int | None]:
    """First step and the one after the last."""
    if operation.seconds is not None:
        low, high = parse_range(operation.seconds, "--seconds")
        return tuple(None if value is None else round(value * fps) for value in (low, high))
    if operation.steps is None:
        return None, None
    low, high = parse_range(operation.steps, "--steps")
    if any(value is not None and value != int(value) for value in (low, high)):
        raise BadInput(f"--steps: must be whole numbers, not '{operation.steps}'")
    return tuple(None if value is None else int(value) for value in (low, high))


def parse_range(text: str, option: str) -> tuple[float | None, float | None]:
    """Read "FROM:TO", where either may be left out; raises BadInput."""
    match = _RANGE.fullmatch(text)
    if match is None or text == ":":
        raise BadInput(f"{option}: must be FROM:TO, either may be left out, e.g. 10: or :-5, not '{text}'")
    return tuple(None if part is None else float(part) for part in match.groups())


def parse_box(text: str) -> tuple[int, int, int, int]:
    """Read "TOP,LEFT,HEIGHTxWIDTH" in pixels; raises BadInput. Video needs even sizes."""
    match = _PICTURE.fullmatch(text)
    box = tuple(map(int, match.groups())) if match else (0, 0, 1, 1)
    if box[2] % 2 or box[3] % 2:
        raise BadInput(f"--picture: must be TOP,LEFT,HEIGHTxWIDTH, even sizes, e.g. 0,16,48x48, not '{text}'")
    return box


def _rewrite(
    dataset: Dataset,
    out: Path,
    change: Callable[..., Any],
    record: Mapping[str, Any],
    **sizes: Any,
) -> None:
    from robot_rl.data.edit.rewrite import left_behind, rewrite

    with progress_so_far(str(record["operation"]), "episodes") as report:
        new = rewrite(dataset, out, change, record, progress=report, **sizes)
    print(told(new))
    if left := left_behind(dataset):
        print(f"note: columns that are not taken over: {', '.join(left)}")
