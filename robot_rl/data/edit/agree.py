"""Whether datasets may become one: the same rate, robot, fields and units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput

UNITS = ("state_units", "action_units")


def check_agreement(datasets: Sequence[Dataset]) -> None:
    """Raise BadInput that names the first field in which a dataset differs from the first one."""
    first = datasets[0]
    for other in datasets[1:]:
        for name in ("fps", "robot_type"):
            _same(first, other, name, getattr(first.info, name), getattr(other.info, name))
        _features(first, other)
        for name in UNITS:
            ours, theirs = first.info.metadata.get(name), other.info.metadata.get(name)
            if ours is not None and theirs is not None:
                _same(first, other, name, ours, theirs)


def lone_clocks(datasets: Sequence[Dataset]) -> tuple[str, ...]:
    """Columns of time stamps that only some of the sources had; merged datasets go without them."""
    found = dict.fromkeys(name for dataset in datasets for name in dataset.info.clocks)
    return tuple(name for name in found if any(name not in dataset.info.features for dataset in datasets))


def _features(first: Dataset, other: Dataset) -> None:
    ours, theirs = first.info.features, other.info.features
    for name in sorted({*ours, *theirs} - set(lone_clocks([first, other]))):
        if (name in ours) != (name in theirs):
            have, lack = (first, other) if name in ours else (other, first)
            raise BadInput(
                f"'{name}': {have.root} has this field and {lack.root} has not; merged datasets need the "
                "same: import both in the same way"
            )
        for part in ("dtype", "shape", "names"):
            _same(first, other, f"{name}: {part}", _plain(ours[name], part), _plain(theirs[name], part))


def _plain(feature: Mapping[str, Any], part: str) -> Any:
    value = feature.get(part)
    # "channel" and "channels" name the same axis of a picture.
    return value if part != "names" or feature.get("dtype") not in ("video", "image") else None


def _same(first: Dataset, other: Dataset, name: str, ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise BadInput(
            f"'{name}' is {ours!r} in {first.root}, but {theirs!r} in {other.root}; they must agree"
            + (": bring one to the rate of the other (edit ... resample)" if name == "fps" else "")
        )


def common_metadata(datasets: Sequence[Dataset]) -> dict[str, Any]:
    """What all datasets say alike, and units that only some give."""
    every = [dataset.info.metadata for dataset in datasets]
    common = {key: value for key, value in every[0].items() if all(m.get(key) == value for m in every)}
    for name in UNITS:
        given = [metadata[name] for metadata in every if metadata.get(name) is not None]
        common |= {name: given[0]} if given else {}
    return common
