"""Ways to damage files: bytes of any file, and fields through the structure of JSON, HDF5, Parquet and text.

Each takes a random generator and a path, and changes the file in place; what comes out need not be readable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Rng = np.random.Generator
INTERESTING = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -0.5, 1e308, float("nan"), float("inf"), "", "x", "\0",
    "../../etc/passwd", "/etc/passwd", "{episode_index}", "{0.__class__}", "a" * 5000, [], {}, [0], [[]],
    {"a": 1}, [1, 2, 3], "9" * 400, "\ud800",
)  # fmt: skip


def mutate(rng: Rng, path: Path) -> None:
    """Damage a file in one to three ways, by its structure where it has one."""
    structural = {".json": json_field, ".jsonl": json_field, ".parquet": parquet_column, ".csv": text_field}
    structural |= {".hdf5": hdf5_item, ".h5": hdf5_item, ".yaml": text_field}
    for _ in range(int(rng.integers(1, 4))):
        way = structural.get(path.suffix)
        if way is None or rng.random() < 0.5:
            way = damage_bytes
        try:
            way(rng, path)
        except Exception:  # noqa: BLE001 - an earlier damage may keep the structure from being opened
            damage_bytes(rng, path)


def damage_bytes(rng: Rng, path: Path) -> None:
    """Flip bits, cut, blank, swap, repeat or insert stretches of bytes."""
    data = bytearray(path.read_bytes())
    if data:
        BYTES[int(rng.integers(len(BYTES)))](rng, data)
    path.write_bytes(data)


def _flip(rng: Rng, data: bytearray) -> None:
    for at in rng.integers(len(data), size=int(rng.integers(1, 17))):
        data[at] ^= 1 << int(rng.integers(8))


def _cut(rng: Rng, data: bytearray) -> None:
    del data[int(rng.integers(len(data))) :]


def _stretch(rng: Rng, data: bytearray) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(2 ** rng.uniform(0, 12)))


def _blank(rng: Rng, data: bytearray) -> None:
    start, stop = _stretch(rng, data)
    data[start:stop] = bytes([int(rng.choice([0, 255]))]) * (stop - start)


def _swap(rng: Rng, data: bytearray) -> None:
    (a, b), (c, d) = sorted([_stretch(rng, data), _stretch(rng, data)])
    if b <= c:
        data[a:d] = data[c:d] + data[b:c] + data[a:b]


def _repeat(rng: Rng, data: bytearray) -> None:
    start, stop = _stretch(rng, data)
    data[start:start] = data[start:stop]


def _insert(rng: Rng, data: bytearray) -> None:
    at = int(rng.integers(len(data)))
    data[at:at] = rng.bytes(int(rng.integers(1, 65)))


def _number(rng: Rng, data: bytearray) -> None:
    size = int(rng.choice([1, 2, 4, 8]))
    at = int(rng.integers(max(1, len(data) - size)))
    value = INTERESTING[int(rng.integers(len(INTERESTING)))] % 256**size
    data[at : at + size] = value.to_bytes(size, str(rng.choice(["little", "big"])))


def _delete(rng: Rng, data: bytearray) -> None:
    start, stop = _stretch(rng, data)
    del data[start:stop]


BYTES: tuple[Callable[[Rng, bytearray], None], ...] = (
    _flip, _cut, _blank, _swap, _repeat, _insert, _number, _number, _delete,
)  # fmt: skip


def json_field(rng: Rng, path: Path) -> None:
    """Replace, remove or copy one value of a JSON file, or of one line of a JSONL file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    row = int(rng.integers(len(lines)))
    root = [json.loads(lines[row])]
    places = list(_places(root))
    parent, key = places[int(rng.integers(len(places)))]
    kind = rng.random()
    if kind < 0.2 and len(places) > 1 and parent is not root:
        del parent[key]
    elif kind < 0.3:
        other, name = places[int(rng.integers(len(places)))]
        parent[key] = json.loads(json.dumps(other[name]))
    elif kind < 0.35:
        parent[key] = json.loads("[" * 500 + "]" * 500)
    else:
        parent[key] = VALUES[int(rng.integers(len(VALUES)))]
    lines[row] = json.dumps(root[0])
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


def _places(value: Any) -> Any:
    """Every (container, key) below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


def text_field(rng: Rng, path: Path) -> None:
    """Replace one word of a text file."""
    words = path.read_text(encoding="utf-8").replace(",", " , ").split(" ")
    at = int(rng.integers(len(words)))
    words[at] = str(VALUES[int(rng.integers(len(VALUES)))])
    path.write_bytes(" ".join(words).replace(" , ", ",").encode("utf-8", "surrogatepass"))


def parquet_column(rng: Rng, path: Path) -> None:
    """Drop, rename, retype, empty, shorten or replace a column of a Parquet file."""
    table = pq.read_table(path)
    at = int(rng.integers(table.num_columns))
    name, column = table.column_names[at], table.column(at)
    kind = int(rng.integers(8))
    if kind == 0:
        table = table.drop_columns([name])
    elif kind == 1:
        table = table.rename_columns([n + "x" if i == at else n for i, n in enumerate(table.column_names)])
    elif kind == 2:
        table = table.slice(0, int(rng.integers(table.num_rows + 1)))
    elif kind == 3:
        table = pa.concat_tables([table, table])
    elif kind == 4:
        table = table.take(rng.permutation(table.num_rows))
    else:
        table = table.set_column(at, name, _values(rng, kind, column))
    pq.write_table(table, path, row_group_size=int(rng.choice([1, 3, 1000])))


def _values(rng: Rng, kind: int, column: pa.ChunkedArray) -> pa.Array:
    """As many values as the column has, of another sort."""
    count = len(column)
    if kind == 5:
        return pa.nulls(count, column.type)
    choices = (
        lambda: pa.array(["a"] * count),
        lambda: pa.array([2**62] * count),
        lambda: pa.array([-1] * count),
        lambda: pa.array([float("nan")] * count),
        lambda: pa.array([[0.5] * (i % 3) for i in range(count)]),
        lambda: pa.array([b"\x89PNG\r\n"] * count),
        lambda: pa.array([{"bytes": rng.bytes(30), "path": "../../x"}] * count),
        lambda: pa.array([None] * (count - 1) + [1] if count else [], pa.int64()),
        lambda: pa.array([True] * count),
    )
    return choices[int(rng.integers(len(choices)))]()


def hdf5_item(rng: Rng, path: Path) -> None:
    """Delete, rename, retype, reshape or relink one array or group, or change an attribute."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = names[int(rng.integers(len(names)))]
        kind = int(rng.integers(8))
        if kind == 0:
            del file[name]
        elif kind == 1:
            file.move(name, name + "x")
        elif kind == 2:
            del file[name]
            file[name] = h5py.SoftLink(f"/{names[int(rng.integers(len(names)))]}")
        elif kind == 3:
            del file[name]
            file[name] = h5py.ExternalLink("/etc/passwd", "x")
        elif kind == 4:
            file[f"{name}/more" if isinstance(file[name], h5py.Group) else f"{name}y"] = file["/"]
        elif kind == 5:
            owner = file[name.split("/")[0]]
            keys = list(owner.attrs) or ["env_args"]
            owner.attrs[keys[int(rng.integers(len(keys)))]] = str(VALUES[int(rng.integers(24))])
        else:
            del file[name]
            _replace(rng, file, name)


def _replace(rng: Rng, file: h5py.File, name: str) -> None:
    """Put something else where an array or group was."""
    choices = (
        lambda: np.zeros((0, 3)),
        lambda: np.float64(3.0),
        lambda: np.array(["a", "b"], "S"),
        lambda: np.full((6, 3), np.nan),
        lambda: np.arange(5),
        lambda: np.zeros((2, 3, 4, 5, 6)),
        lambda: np.zeros(4, [("a", "i4"), ("b", "f8")]),
        lambda: np.full((6, 4), 1e300),
        lambda: np.zeros((6, 4), np.complex128),
        lambda: h5py.Empty("f8"),
    )
    kind = int(rng.integers(len(choices) + 2))
    if kind < len(choices):
        file[name] = choices[kind]()
    elif kind == len(choices):
        file.create_dataset(name, (2**40, 3), "f8", chunks=(100, 3))
    else:
        file.create_group(name)
