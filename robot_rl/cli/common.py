"""What the verbs share: saving and loading a run's config, and progress that is readable in a log too."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, TypeVar

from robot_rl import __version__
from robot_rl.errors import BadInput, nearest

Item = TypeVar("Item")
Config = TypeVar("Config")
_SAVED_BY = "saved_by"  # the entry of a config file that is about the file, not about the run


def save_config(config: Any, path: str | Path) -> None:
    """Write a config (a dataclass) as YAML, with the version and date; a killed write leaves no half file."""
    import yaml

    path = Path(path)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    content = {_SAVED_BY: {"robot_rl": __version__, "date": date}} | plain(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    os.replace(temporary, path)


def load_config(cls: type[Config], path: str | Path) -> Config:
    """Read a config that `save_config` or a person wrote; a field that it leaves out keeps its default.

    A field without a default that it leaves out becomes tyro.MISSING, which the options must then give.
    Raises BadInput naming the file and the field that is unknown or of the wrong type.
    """
    from robot_rl.specs.yaml_model import read_yaml

    content = read_yaml(path)
    content.pop(_SAVED_BY, None)
    return _build(cls, content, f"{path}: ")


def plain(value: Any) -> Any:
    """Turn a config's values into what plain YAML and JSON can say."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, PurePath) else value


def _build(cls: type[Config], values: dict[str, Any], where: str) -> Config:
    """Make a dataclass from plain values, nested ones included; `where` opens an error's line."""
    import tyro

    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    hints = typing.get_type_hints(cls, include_extras=True)
    for name in values:
        if name not in fields:
            raise BadInput(f"{where}{name}: unknown field.{nearest(name, fields)}")
    made = {name: _value(hints[name], value, f"{where}{name}") for name, value in values.items()}
    for name, field in fields.items():
        if field.default is field.default_factory is dataclasses.MISSING:
            made.setdefault(name, tyro.MISSING)
    return cls(**made)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Check one field's value against its type; raises BadInput."""
    from pydantic import TypeAdapter, ValidationError

    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise BadInput(f"{where}: must hold fields and values, not {value!r}")
        return _build(hint, value, f"{where}.")
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise BadInput(f"{where}: {error.errors(include_url=False)[0]['msg']}, not {value!r}") from error


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lay out rows in columns, numbers to the right, for a terminal or a pipe alike."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    right = [all(row[i].lstrip("-")[:1].isdigit() for row in cells) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()

    return "\n".join(line(row) for row in [list(header), *cells])


def _cell(value: Any) -> str:
    """Write one value of a table; floats with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def track(items: Iterable[Item], description: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items while showing how many of them are done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(total, description, unit) as advance:
        for item in items:
            yield item
            advance(1)


@contextlib.contextmanager
def progress(
    total: int | None, description: str, unit: str, every: float = 10.0
) -> Iterator[Callable[..., None]]:
    """Show on stderr how far a work of `total` units is, its rate and the time left.

    Yields `advance(count=1, note="")`, where `note` is a short text such as the current loss. Where
    stderr is no terminal, a plain line comes every `every` seconds and at the end.
    """
    shown = _bar(total, description, unit) if sys.stderr.isatty() else _lines(total, description, unit, every)
    with shown as advance:
        yield advance


@contextlib.contextmanager
def progress_so_far(description: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress of a work that calls back with (done, total) and first knows its total then."""
    with contextlib.ExitStack() as stack:
        advance, before = None, 0

        def report(done: int, total: int) -> None:
            nonlocal advance, before
            if advance is None:
                advance = stack.enter_context(progress(total, description, unit))
            advance(done - before)
            before = done

        yield report


@contextlib.contextmanager
def _bar(total: int | None, description: str, unit: str) -> Iterator[Callable[..., None]]:
    """Show progress as a bar on a terminal."""
    from rich import progress as bars
    from rich.console import Console

    columns = [bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn()]
    columns += [bars.TextColumn("{task.fields[rate]}"), bars.TimeRemainingColumn()]
    columns += [bars.TextColumn("{task.fields[note]}")]
    with bars.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total, rate="", note="")
        start, done = time.monotonic(), 0

        def advance(count: int = 1, note: str = "") -> None:
            nonlocal done
            done += count
            rate = _rate(done, time.monotonic() - start, unit)
            bar.update(task, advance=count, rate=rate, **({"note": note} if note else {}))

        yield advance


@contextlib.contextmanager
def _lines(total: int | None, description: str, unit: str, every: float) -> Iterator[Callable[..., None]]:
    """Show progress as sparse lines of text, for logs."""
    start = last = time.monotonic()
    done, latest = 0, ""

    def line() -> str:
        taken = time.monotonic() - start
        parts = [
            f"{done}/{total} {unit}" if total is not None else f"{done} {unit}",
            _rate(done, taken, unit),
        ]
        if total and 0 < done < total:
            parts.append(f"{_clock(taken * (total - done) / done)} left")
        return f"{description}: {', '.join([*parts, *([latest] if latest else [])])}"

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal done, last, latest
        done, latest = done + count, note or latest
        if time.monotonic() - last >= every:
            last = time.monotonic()
            print(line(), file=sys.stderr, flush=True)

    try:
        yield advance
    finally:
        print(line(), file=sys.stderr, flush=True)


def _rate(done: int, seconds: float, unit: str) -> str:
    """Say a rate with three digits, per minute where it is slow."""
    rate = done / max(seconds, 1e-9)
    return f"{rate:,.3g} {unit}/s" if rate >= 1 or not done else f"{60 * rate:.3g} {unit}/min"


def _clock(seconds: float) -> str:
    """Say a duration as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
