"""Datasets open, ours and others', and every way to be broken is named."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rl.data import layout, store
from robot_rl.data.store import Dataset
from robot_rl.data.tables import write_tasks
from robot_rl.data.video_write import Encoding, encode, encode_png
from robot_rl.errors import BadInput
from tests.conftest import make_episode, picture


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_column(path: Path, name: str, values: pa.Array | None) -> None:
    table = pq.read_table(path)
    at = table.column_names.index(name)
    table = table.remove_column(at)
    pq.write_table(table if values is None else table.add_column(at, name, values), path)


def test_columns_and_indices(tiny_dataset: Dataset) -> None:
    episodes = [make_episode(i) for i in range(4)]
    states = np.concatenate([e.observations["state"] for e in episodes])
    np.testing.assert_array_equal(tiny_dataset.column("observation.state"), states)
    actions = np.concatenate([e.actions for e in episodes])
    np.testing.assert_array_equal(tiny_dataset.column("action"), actions)
    assert tiny_dataset.column("next.success").dtype == bool
    np.testing.assert_array_equal(tiny_dataset.column("episode_index"), tiny_dataset.episode_index)
    np.testing.assert_array_equal(tiny_dataset.column("frame_index"), tiny_dataset.frame_index)
    np.testing.assert_array_equal(tiny_dataset.column("next.done"), tiny_dataset.frame_index == 11)
    assert tiny_dataset.lengths.tolist() == [12] * 4
    assert tiny_dataset.terminated.tolist() == [False, True, False, True]
    finals = np.stack([e.final_observation["state"] for e in episodes])
    np.testing.assert_array_equal(tiny_dataset.final_states(), finals)
    with pytest.raises(ValueError, match="read-only"):
        tiny_dataset.column("action")[0] = 0
    with pytest.raises(BadInput, match="no column 'next.rewad'.*Did you mean 'next.reward'"):
        tiny_dataset.column("next.rewad")
    with pytest.raises(BadInput, match="no camera 'fron'.*front"):
        tiny_dataset.frames("fron", [0])
    with pytest.raises(IndexError, match=r"0\.\.3"):
        tiny_dataset.episode(4)
    with pytest.raises(IndexError, match=r"0\.\.47"):
        tiny_dataset.frames("front", [48])


def test_frames_are_the_same_in_any_order(tiny_dataset: Dataset) -> None:
    batches = list(tiny_dataset.iter_frames("front", 7))
    assert [start for start, _ in batches] == list(range(0, 48, 7))
    sequential = np.concatenate([frames for _, frames in batches])
    again = Dataset.open(tiny_dataset.root)
    wanted = np.random.default_rng(0).integers(0, 48, 60)
    np.testing.assert_array_equal(again.frames("front", wanted), sequential[wanted])
    for border in (12, 11, 24, 23, 36, 35, 0, 47):
        np.testing.assert_array_equal(again.frames("front", [border])[0], sequential[border])
        episode = again.episode(border // 12)
        np.testing.assert_array_equal(episode.observations["image.front"][border % 12], sequential[border])
        expected = picture(border % 12, border // 12).astype(int)
        assert np.abs(sequential[border].astype(int) - expected).mean() < 12
    assert again.frames("front", []).shape == (0, 32, 32, 3)


PLAIN = """
import json, sys
import av, pyarrow.parquet as pq
root = sys.argv[1]
info = json.load(open(f"{root}/meta/info.json"))
episodes = pq.read_table(f"{root}/meta/episodes/chunk-000/file-000.parquet").to_pylist()
key = "observation.images.front"
for row in episodes:
    data = info["data_path"].format(chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])
    rows = pq.read_table(f"{root}/{data}").slice(row["dataset_from_index"], row["length"])
    assert rows["episode_index"].to_pylist() == [row["episode_index"]] * row["length"]
    assert rows["index"].to_pylist() == list(range(row["dataset_from_index"], row["dataset_to_index"]))
    place = {n: row[f"videos/{key}/{n}"] for n in ("chunk_index", "file_index")}
    video = av.open(f"{root}/" + info["video_path"].format(video_key=key, **place))
    times = [float(f.pts * f.time_base) for f in video.decode(video=0)]
    start = row[f"videos/{key}/from_timestamp"]
    for stamp in rows["timestamp"].to_pylist():
        assert min(abs(t - start - stamp) for t in times) < 1e-4
tasks = pq.read_table(f"{root}/meta/tasks.parquet")
assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]
assert tasks.to_pylist() == [{"task_index": 0, "task": "open the drawer"}]
print(len(episodes))
"""


def test_columns_read_together_are_those_read_singly(tiny_dataset: Dataset, monkeypatch) -> None:
    together, reads = Dataset.open(tiny_dataset.root), []
    expected = {name: tiny_dataset.column(name) for name in ("observation.state", "action")}
    read = store.read_table
    monkeypatch.setattr(store, "read_table", lambda path, names: reads.append(names) or read(path, names))
    together.columns(["observation.state", "action"])
    together.columns(["action"])
    for name, values in expected.items():
        np.testing.assert_array_equal(together.column(name), values)
    assert reads == [["observation.state", "action", "index"]]
    with pytest.raises(BadInput, match="has no column 'actio'"):
        together.columns(["actio"])


def test_a_final_state_of_another_size_is_named(tiny_dataset: Dataset) -> None:
    path = tiny_dataset.root / "meta/robot_rl.parquet"
    table = pq.read_table(path)
    short = pa.array([[1.0], None, [2.0], [3.0]], pa.list_(pa.float32()))
    column = table.column_names.index("final.state")
    pq.write_table(table.set_column(column, "final.state", short), path)
    with pytest.raises(BadInput, match="robot_rl.parquet: final.state has 3 numbers in 3 rows, not 7 each"):
        Dataset.open(tiny_dataset.root).final_states()


def test_plain_pyarrow_and_av_read_our_datasets(tiny_dataset: Dataset) -> None:
    command = [sys.executable, "-c", PLAIN, str(tiny_dataset.root)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "4\n"


def write_foreign(root: Path) -> np.ndarray:
    """Write a v3 dataset as others do and return its (10, 3) states.

    It has list columns, several files, rows out of order, pictures in two forms and none of our own files.
    """
    states = np.random.default_rng(0).normal(size=(10, 3))
    order = [[3, 1, 0, 2], [4, 5, 6, 7, 8, 9]]  # rows of the first file are not in order
    for number, rows in enumerate(order):
        images = [{"bytes": encode_png(picture(i, 1, 16)), "path": f"{i}.png"} for i in rows]
        table = pa.table(
            {
                "observation.state": pa.array(states[rows].tolist()),  # list<double>
                "action": pa.array([float(i) for i in rows]),  # one part, stored as numbers
                "observation.images.wrist": pa.array(images),
                "observation.effort": pa.array([[float(i), 0.0] for i in rows], pa.list_(pa.float32(), 2)),
                "quality": pa.array([i / 10 for i in rows]),
                "index": rows,
                "episode_index": [int(i >= 4) for i in rows],
                "frame_index": [i % 4 for i in rows],
                "task_index": [7 if i < 4 else 3 for i in rows],
            }
        )
        path = root / f"data/chunk-000/file-{number:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
    encode_video(root)
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    rows = [foreign_row(0, 4, 0.0), foreign_row(1, 6, 0.4)]
    pq.write_table(pa.Table.from_pylist(rows[1:]), root / "meta/episodes/chunk-000/file-000.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:1]), root / "meta/episodes/chunk-000/file-001.parquet")
    pq.write_table(
        pa.table({"task_index": [3, 7], "__index_level_0__": ["fold", "wipe"]}), root / "meta/tasks.parquet"
    )
    (root / "meta/info.json").write_text(json.dumps(FOREIGN_INFO))
    return states.astype(np.float32)


def encode_video(root: Path) -> None:
    path = root / "videos/observation.images.up/chunk-000/file-000.mp4"
    path.parent.mkdir(parents=True)
    encode(np.stack([picture(i, 0, 16) for i in range(10)]), path, 10, Encoding(gop=4))


def foreign_row(episode: int, length: int, start: float) -> dict[str, Any]:
    key = "videos/observation.images.up"
    return {
        "episode_index": episode, "length": length, "data/chunk_index": 0, "data/file_index": episode,
        f"{key}/chunk_index": 0, f"{key}/file_index": 0, f"{key}/from_timestamp": start,
        f"{key}/to_timestamp": start + length / 10, "stats/action/min": [0.0],
    }  # fmt: skip


FOREIGN_INFO = {
    "codebase_version": "v3.0", "fps": 10, "robot_type": None,
    "data_path": layout.DATA_PATH, "video_path": layout.VIDEO_PATH,
    "features": {
        "observation.state": {"dtype": "float64", "shape": [3], "names": {"axes": ["x", "y", "z"]}},
        "action": {"dtype": "float32", "shape": [1], "names": [["grip"]]},
        "observation.effort": {"dtype": "float32", "shape": [2], "names": {"motors": ["a", "a"]}},
        "observation.images.wrist": {"dtype": "image", "shape": [3, 16, 16],
                                     "names": ["channels", "height", "width"]},
        "observation.images.up": {"dtype": "video", "shape": [16, 16, 3], "names": None},
        "quality": {"dtype": "float64", "shape": [1], "names": None},
        **{name: {"dtype": "int64", "shape": [1], "names": None}
           for name in ("index", "episode_index", "frame_index", "task_index")},
    },
}  # fmt: skip


def test_datasets_of_others_open(tmp_path: Path) -> None:
    states = write_foreign(tmp_path)
    dataset = Dataset.open(tmp_path)
    np.testing.assert_array_equal(dataset.column("observation.state"), states)
    np.testing.assert_array_equal(dataset.column("action"), np.arange(10, dtype=np.float32)[:, None])
    info = dataset.info
    assert (info.state_names, info.action_names) == (("x", "y", "z"), ("grip",))
    assert info.vectors == {"effort": ("effort_0", "effort_1")}  # its names were not unique
    assert info.cameras == {"wrist": (16, 16), "up": (16, 16)}
    assert (info.labels, info.has_rewards, info.has_success) == (("quality",), False, False)
    assert [e.task for e in dataset] == ["wipe", "fold"]
    assert dataset.final_states() is None
    assert not dataset.terminated.any()
    episode = dataset.episode(1)
    np.testing.assert_array_equal(episode.observations["image.wrist"][2], picture(6, 1, 16))
    np.testing.assert_array_equal(dataset.frames("wrist", [0])[0], picture(0, 1, 16))
    np.testing.assert_array_equal(episode.observations["image.up"][3], dataset.frames("up", [7])[0])
    assert episode.rewards is None
    assert len(dataset.content_hash) == 64


@pytest.mark.parametrize(
    ("names", "size", "expected"),
    [
        (["a", "b"], 2, ["a", "b"]),
        ([["a", "b"]], 2, ["a", "b"]),
        ({"axes": ["a", "b"]}, 2, ["a", "b"]),
        ({"left": ["a"], "right": ["b"]}, 2, ["a", "b"]),
        ({"b": 1, "a": 0}, 2, ["a", "b"]),
        (None, 2, ["state_0", "state_1"]),
        (["a"], 2, ["state_0", "state_1"]),
        (["a", "a"], 2, ["state_0", "state_1"]),
    ],
)
def test_names_in_every_shape(names: Any, size: int, expected: list[str]) -> None:
    assert layout.names_of({"names": names}, size, "state") == expected


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        Dataset.open(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="no dataset"):
        Dataset.open(tmp_path)


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        ("info", {"codebase_version": "v2.1"}, "v2.1.*robot-rl import"),
        ("info", {"codebase_version": "v4.0"}, "newer than v3.*upgrade"),
        ("info", {"codebase_version": None}, "codebase_version is None"),
        ("info", {"fps": 0}, "fps is 0"),
        ("info", {"features": None}, "features is missing"),
        ("info", {"features": {"action": {"dtype": "float32", "shape": [4]}}}, "no 'observation.state'"),
        ("robot_rl", {"format_version": 2}, "format_version is 2.*upgrade"),
    ],
)
def test_wrong_metadata_is_refused(tiny_dataset: Dataset, file: str, changes: dict, words: str) -> None:
    edit_json(tiny_dataset.root / f"meta/{file}.json", **changes)
    with pytest.raises(BadInput, match=words):
        Dataset.open(tiny_dataset.root)


@pytest.mark.parametrize("template", ["../a.parquet", "/etc/passwd", "a/../../b", "{file_index.x}", "{x}"])
def test_path_templates_stay_inside(tiny_dataset: Dataset, template: str) -> None:
    edit_json(tiny_dataset.root / "meta/info.json", data_path=template, video_path=template)
    dataset = Dataset.open(tiny_dataset.root)
    with pytest.raises(BadInput, match="data_path"):
        dataset.column("action")
    with pytest.raises(BadInput, match="video_path"):
        dataset.frames("front", [0])


def test_a_camera_key_cannot_leave_the_folder(tiny_dataset: Dataset) -> None:
    features = dict(tiny_dataset.raw["features"])
    features["observation.images.../../x"] = features.pop("observation.images.front")
    edit_json(tiny_dataset.root / "meta/info.json", features=features)
    with pytest.raises(BadInput, match="not allowed"):
        Dataset.open(tiny_dataset.root)


def test_broken_files_are_named(tiny_dataset: Dataset) -> None:
    data = tiny_dataset.data_files[0]
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="file-000.parquet is not a readable Parquet"):
        Dataset.open(tiny_dataset.root).column("action")
    data.write_bytes(whole)
    edit_column(data, "action", None)
    with pytest.raises(BadInput, match="no column 'action'"):
        Dataset.open(tiny_dataset.root).column("action")
    edit_column(data, "next.reward", pa.array([0.0] * 30 + [np.nan] + [0.0] * 17))
    with pytest.raises(BadInput, match="'next.reward'.*episode 2, frame 6"):
        Dataset.open(tiny_dataset.root).column("next.reward")
    edit_column(data, "observation.state", pa.array([[0.0] * 6] * 48))
    with pytest.raises(BadInput, match="holds 6 numbers a step.*says 7"):
        Dataset.open(tiny_dataset.root).column("observation.state")
    pq.write_table(pq.read_table(data).slice(0, 40), data)
    with pytest.raises(BadInput, match="40 frames.*48"):
        Dataset.open(tiny_dataset.root).column("index")
    data.unlink()
    with pytest.raises(BadInput, match="file-000.parquet is missing"):
        Dataset.open(tiny_dataset.root).column("index")
    tiny_dataset.camera("front").files()[0].unlink()
    with pytest.raises(BadInput, match="file-000.mp4"):
        Dataset.open(tiny_dataset.root).frames("front", [0])


def test_threads_share_a_dataset(tiny_dataset: Dataset) -> None:
    frames = tiny_dataset.frames("front", np.arange(48))
    orders = [np.random.default_rng(i).permutation(48) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for order, got in zip(
            orders, pool.map(lambda o: tiny_dataset.frames("front", o), orders), strict=True
        ):
            np.testing.assert_array_equal(got, frames[order])


def test_a_dataset_without_our_own_files_opens(tiny_dataset: Dataset) -> None:
    (tiny_dataset.root / layout.OWN_JSON).unlink()
    (tiny_dataset.root / layout.OWN_TABLE).unlink()
    dataset = Dataset.open(tiny_dataset.root)
    assert dataset.episode(1).final_observation is None
    assert not dataset.terminated.any()
    assert dataset.info.metadata == {}


def test_tasks_are_written_as_pandas_would(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    write_tasks(["a", "b"], tmp_path / "tasks.parquet")
    frame = pandas.read_parquet(tmp_path / "tasks.parquet")
    assert frame.index.tolist() == ["a", "b"]
    assert frame.loc["b"].task_index == 1


def test_what_a_learner_needs_is_read_without_pictures(tmp_path: Path) -> None:
    from robot_rl.data.replay import transitions_from_dataset
    from tests.data.importers.test_lerobot_v3 import of_others, with_pictures

    root = with_pictures(of_others(tmp_path / "d"))
    for path in root.glob("data/*/*.parquet"):  # blank the pages of the pictures and nothing else
        group = pq.ParquetFile(path).metadata.row_group(0)
        chunks = [group.column(i) for i in range(group.num_columns)]
        at = next(chunk for chunk in chunks if "bytes" in chunk.path_in_schema)
        data = bytearray(path.read_bytes())
        start = at.dictionary_page_offset or at.data_page_offset
        data[start : start + at.total_compressed_size] = bytes(at.total_compressed_size)
        path.write_bytes(data)
    dataset = Dataset.open(root)
    assert len(transitions_from_dataset(dataset)) == 44  # the last step of each episode led to nothing known
    with pytest.raises(BadInput):
        dataset.frames("front", [0])


def test_each_jpeg_gives_its_own_picture() -> None:
    from robot_rl.data.video_write import decode_image
    from tests.benchmarks.data import jpeg

    pictures = [picture(step, step, 64) for step in range(3)]
    for image in [*pictures, *reversed(pictures)]:
        assert np.abs(decode_image(jpeg(image), "x").astype(int) - image).mean() < 8
    with pytest.raises(BadInput, match="x: the image cannot be decoded"):
        decode_image(jpeg(pictures[0])[:40], "x")
    assert np.abs(decode_image(jpeg(pictures[1]), "x").astype(int) - pictures[1]).mean() < 8
    with pytest.raises(BadInput, match="neither a PNG nor a JPEG"):
        decode_image(b"GIF89a", "x")
