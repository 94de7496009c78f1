"""Reads rosbag2 recordings in MCAP, as a mapping or a robot contract says what their topics are.

A bag is a `.mcap` file, or a folder with metadata.yaml whose files follow one another. It is one episode,
resampled to one rate: at each step stands the last value of every topic. Where a guard recorded what it
executed, each of its commands is a step. Pictures are decoded when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.importers.bag_contract import mapping_of
from robot_rl.data.importers.bag_executed import Steps, read_executed, stamp_of
from robot_rl.data.importers.bag_file import BagFile, picture
from robot_rl.data.importers.bag_mapping import BagMapping, load_mapping, value_at
from robot_rl.data.importers.source import Options
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import load_contract

NANO = 1e-9
STAMP = "source.stamp"  # label: seconds, which stand still where a topic of the state was silent
INTERVENTION = "intervention"  # label: 1 where a person's command was executed
_ALIEN = 60.0  # s between a header's time and that of recording, from which they are not of one clock
_SILENT = 3.0  # usual periods of a topic after which it was silent


@dataclass
class _Held:
    """What was read of one bag."""

    bag: int
    series: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]  # topic -> times (ns), values by path
    pictures: dict[str, tuple[np.ndarray, np.ndarray]]  # topic -> times of logging, and of taking (ns)

    @property
    def times(self) -> dict[str, np.ndarray]:
        """Times of every topic's messages (ns)."""
        return {t: found[0] for t, found in self.series.items()} | {
            t: found[1] for t, found in self.pictures.items()
        }


class BagSource:
    """One bag or a folder of bags, read through a mapping."""

    def __init__(self, path: Path, options: Options, mapping: BagMapping | None = None):
        """Open the bags at `path`; the mapping comes from the options' file or robot unless it is given."""
        self.path, self._options = path, options
        self._task = options.task_or_refuse(path, "a bag")
        self._bags = [BagFile(files) for files in find_bags(path)]
        self.notes: list[str] = []
        self._mapping = mapping or self._told_mapping()
        options.refuse_rate(path, "the robot contract" if options.robot else "the mapping")
        self._noted: set[int] = set()
        self._held: _Held | None = None
        self._episodes = [one for number in range(len(self._bags)) for one in self._cut(number)]
        self.settings = self._settings()

    def __enter__(self) -> BagSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __len__(self) -> int:
        return len(self._episodes)

    def _told_mapping(self) -> BagMapping:
        options, first = self._options, self._bags[0]
        if options.robot is not None and options.mapping is not None:
            raise BadInput("--robot and --mapping both say what a bag's topics are; give one of them")
        if options.robot is not None:
            mapping, notes = mapping_of(load_contract(options.robot), first)
            self.notes += notes
            return mapping
        if options.mapping is None:
            raise BadInput(
                f"{self.path}: say which topics are state, actions and cameras: --robot NAME (a contract's) "
                f"or --mapping FILE (YAML); its topics are {first.told_topics()}"
            )
        return load_mapping(options.mapping)

    def _cut(self, number: int) -> list[tuple[int, Steps | None]]:
        """The episodes of a bag: as its guard executed them, or one; a broken one is told when it is read."""
        mapping = self._mapping
        if mapping.executed is None:
            return [(number, None)]
        names = [field.name for field in mapping.actions]
        try:
            found = read_executed(self._bags[number], mapping.executed, names, mapping.resume_within)
        except BadInput:
            return [(number, None)]
        return [(number, steps) for steps in found]

    def _settings(self) -> dict[str, Any]:
        mapping, sizes = self._mapping, {}
        for camera, topic in mapping.cameras.items():
            _, message = next(self._bags[0].messages([topic]), (0, None))
            if message is None:
                raise BadInput(f"{self._bags[0].name}: {self._bags[0].silent(topic)}")
            sizes[camera] = (
                self._options.resize or picture(message, f"{self._bags[0].name}: {topic}").shape[:2]
            )
        return {
            "fps": mapping.rate,
            "state_names": mapping.state_names,
            "action_names": [field.name for field in mapping.actions],
            "cameras": sizes,
            "robot_type": mapping.robot,
            "labels": [STAMP, *([INTERVENTION] if mapping.executed else [])],
            "metadata": {
                "source": {
                    "format": "rosbag2 MCAP",
                    "name": self.path.resolve().name,
                    "mapping": mapping.model_dump(mode="json"),
                },
                **mapping.units,
            },
        }

    def where(self, index: int) -> str:
        """The bag."""
        return self._bags[self._episodes[index][0]].name

    def episode(self, index: int) -> Episode:
        """One bag, resampled, or the part of it that its guard executed as one episode."""
        number, steps = self._episodes[index]
        bag, mapping = self._bags[number], self._mapping
        if mapping.executed is not None and steps is None:
            names = [field.name for field in mapping.actions]
            read_executed(bag, mapping.executed, names, mapping.resume_within)  # says what is wrong
        held = self._read(number)
        steps = self._resampled_steps(bag, held) if steps is None else self._heard_steps(bag, held, steps)
        state = self._state(held, steps.times, steps.before)
        observations: dict[str, Any] = {"state": state}
        for camera, topic in mapping.cameras.items():
            logged, taken = held.pictures[topic]
            numbers = np.searchsorted(taken, steps.seen, "right") - 1
            observations[IMAGE + camera] = self._options.sized(BagFrames(bag, topic, logged, numbers))
        labels = {STAMP: self._clock(held, steps.times)}
        meta = {"source_bag": bag.name, "start_time_ns": int(steps.times[0])}
        final = None
        if mapping.executed is not None:
            labels[INTERVENTION] = steps.person
            after = steps.times[-1:] + round(1 / mapping.rate / NANO)
            final = {"state": self._state(held, after, steps.actions[-1:])[0]}
        return Episode(
            observations,
            steps.actions,
            self._task,
            mapping.rate,
            final_observation=final,
            labels=labels,
            metadata=meta,
        )

    # Reading.

    def _read(self, number: int) -> _Held:
        """The numbers and times of a bag, read once for all of its episodes."""
        if self._held is None or self._held.bag != number:
            bag, mapping = self._bags[number], self._mapping
            topics = mapping.topics if mapping.executed is None else [field.topic for field in mapping.state]
            series = {topic: self._series(bag, topic) for topic in dict.fromkeys(topics)}
            self._held = _Held(number, series, {t: self._taken(bag, t) for t in mapping.cameras.values()})
            self._note(bag, number, self._held.times)
        return self._held

    def _taken(self, bag: BagFile, topic: str) -> tuple[np.ndarray, np.ndarray]:
        logged, published = bag.times(topic)
        if not len(logged):
            raise BadInput(f"{bag.name}: {bag.silent(topic)}")
        return logged, np.maximum.accumulate(published) if self._mapping.contract else logged

    def _series(self, bag: BagFile, topic: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Times (N,) int64 in nanoseconds of a topic's messages, and its numbers by path, (N,) each."""
        mapping = self._mapping
        fields = (*mapping.state, *(() if mapping.executed else mapping.actions))
        paths = list(dict.fromkeys(field.path for field in fields if field.topic == topic))
        frame, where = mapping.frames.get(topic), f"{bag.name}: {topic}"
        recorded, stamps, rows = [], [], []
        for log, published, message in bag.timed([topic]):
            recorded.append(published if mapping.contract else log)
            stamps.append(stamp_of(message) if topic in mapping.stamped else 0)
            if frame is not None and (told := _frame_of(message)) != frame:
                raise BadInput(
                    f"{where}: its frame is '{told}', the contract says '{frame}'; positions in another "
                    "frame mean something else: convert them, or correct a contract file"
                )
            rows.append([value_at(message, path, where) for path in paths])
        if not recorded and topic in mapping.awaited:
            raise BadInput(f"{bag.name}: {bag.silent(topic)}")
        times = self._times(np.asarray(recorded, np.int64), np.asarray(stamps, np.int64), where)
        order = np.argsort(times, kind="stable")
        values = np.asarray(rows, np.float64).reshape(-1, len(paths))[order]
        return times[order], dict(zip(paths, values.T, strict=True))

    def _times(self, recorded: np.ndarray, stamps: np.ndarray, where: str) -> np.ndarray:
        """The stamps (N,) where all messages have one of the recorder's clock that rises, else `recorded`."""
        if not len(stamps) or not stamps.all():
            return recorded
        apart = float(np.median(np.abs(stamps - recorded))) * NANO
        back = np.diff(stamps) < 0
        if apart > _ALIEN:
            why = f"are {apart:.0f} s from the times of recording"
        elif back.any():
            at = int(np.flatnonzero(back)[0])
            when = (recorded[at] - recorded[0]) * NANO
            why = f"go back {int(back.sum())} times, first by {(stamps[at] - stamps[at + 1]) * NANO:.3g} s, "
            why += f"{when:.2f} s after the first message"
        else:
            return stamps
        self.notes.append(f"{where}: the time stamps {why}; the times of recording are used instead")
        return recorded

    # Steps.

    def _heard_steps(self, bag: BagFile, held: _Held, steps: Steps) -> Steps:
        """The steps from when every topic has spoken."""
        awaited = [held.times[t] for t in held.times if t in self._mapping.awaited or t in held.pictures]
        kept = steps.after(max(int(found[0]) for found in awaited) if awaited else 0)
        if len(kept) < 2:
            raise BadInput(
                f"{bag.name}: of {len(steps)} commands that the guard executed, {len(kept)} come after all "
                "topics were heard; an episode needs at least 2"
            )
        return kept

    def _resampled_steps(self, bag: BagFile, held: _Held) -> Steps:
        """Steps at the mapping's rate, with the last action of each."""
        grid = self._grid(bag, held)
        actions = self._numbers(self._mapping.actions, held, grid)
        before = np.concatenate([np.zeros_like(actions[:1]), actions[:-1]])
        return Steps(grid, grid, actions, before, np.zeros(len(grid), np.float32))

    def _grid(self, bag: BagFile, held: _Held) -> np.ndarray:
        """Times of the steps: from when every topic has spoken until the first falls silent for good."""
        mapping = self._mapping
        times = {t: held.times[t] for t in (*mapping.awaited, *mapping.cameras.values())}
        start = max(int(found[0]) for found in times.values())
        stop = min(int(found[-1]) for found in times.values())
        if mapping.contract:  # steps begin with a command, so that each lies close behind its own
            commands = times[mapping.actions[0].topic]
            start = int(commands[min(np.searchsorted(commands, start), len(commands) - 1)])
        steps = int((stop - start) * NANO * mapping.rate + 1e-6) + 1
        if steps < 2:
            late = max(times, key=lambda topic: times[topic][0])
            raise BadInput(
                f"{bag.name}: all topics together last {max(stop - start, 0) * NANO:.3f} s ('{late}' begins "
                f"last); an episode needs at least 2 steps at {mapping.rate:g} Hz"
            )
        return start + np.round(np.arange(steps) / mapping.rate / NANO).astype(np.int64)

    def _state(self, held: _Held, times: np.ndarray, before: np.ndarray) -> np.ndarray:
        """(T, S) float32 at `times` (T,) ns, with the actions (T, A) before each."""
        mapping = self._mapping
        numbers = self._numbers(mapping.state, held, times)
        if not mapping.previous:
            return numbers
        names = [field.name for field in mapping.actions]
        return np.concatenate([numbers, before[:, [names.index(a) for a in mapping.previous.values()]]], 1)

    def _numbers(self, fields: Any, held: _Held, grid: np.ndarray) -> np.ndarray:
        """(T, K) float32: each field's last value at each time of the grid."""
        columns = []
        for field in fields:
            times, values = held.series[field.topic]
            at = np.searchsorted(times, grid, "right") - 1
            default = np.nan if field.default is None else field.default
            told = field.scale * values[field.path] + field.offset
            columns.append(np.where(at >= 0, told[at], default) if len(told) else np.full(len(grid), default))
        return np.stack(columns, 1).astype(np.float32)

    def _clock(self, held: _Held, grid: np.ndarray) -> np.ndarray:
        """(T,) float32: seconds from the first step; they stand while a topic of the state is silent."""
        told = grid.copy()
        for topic in dict.fromkeys(field.topic for field in self._mapping.state):
            times = held.times[topic]
            gaps = np.diff(times)
            if not len(gaps):
                continue
            silent = gaps > max(_SILENT * float(np.median(gaps)), 2 / self._mapping.rate / NANO)
            at = np.searchsorted(times, grid, "right") - 1
            inside = (at >= 0) & (at < len(gaps)) & silent[np.clip(at, 0, len(gaps) - 1)]
            told[inside] = np.minimum(told[inside], times[at[inside]])
        return ((told - told[0]) * NANO).astype(np.float32)

    def _note(self, bag: BagFile, number: int, times: dict[str, np.ndarray]) -> None:
        if number in self._noted:
            return
        self._noted.add(number)
        if bag.cut:
            self.notes.append(f"{bag.name} ends early (the recorder was killed?); what is readable was taken")
        for topic, found in times.items():
            gaps = np.diff(found) * NANO
            if len(gaps) and gaps.max() > self._mapping.stale_after:
                at = int(gaps.argmax())
                self.notes.append(
                    f"{bag.name}: '{topic}' is silent for {gaps[at]:.2f} s, "
                    f"{(found[at] - found[0]) * NANO:.2f} s after its first message; its last value is held"
                )


class BagFrames(Frames):
    """Pictures of a topic at the steps of an episode, decoded when read."""

    def __init__(self, bag: BagFile, topic: str, stamps: np.ndarray, numbers: np.ndarray):
        """Take the messages `numbers` (T,) int64 of a topic whose times are `stamps` (N,) int64 (ns)."""
        self._bag, self._topic, self._stamps, self._numbers = bag, topic, stamps, numbers
        _, first = next(bag.messages([topic]))
        self.shape = (len(numbers), *picture(first, f"{bag.name}: {topic}").shape)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the pictures at `indices` (n,)."""
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        wanted = self._stamps[self._numbers[np.asarray(indices)]]  # (n,) ns
        if not len(wanted):
            return out
        for time, message in self._bag.messages([self._topic], int(wanted.min()), int(wanted.max())):
            rows = np.flatnonzero(wanted == time)
            if len(rows):
                where = f"{self._bag.name}: {self._topic}: the picture at {time} ns"
                image = picture(message, where)
                if image.shape != self.shape[1:]:
                    raise BadInput(f"{where} is {image.shape}, the first {self.shape[1:]}; they must agree")
                out[rows] = image
        return out


def _frame_of(message: Any) -> Any:
    return getattr(getattr(message, "header", None), "frame_id", None)


def find_bags(path: Path) -> list[list[Path]]:
    """The files of each bag at `path`; BadInput where there is none."""
    if path.is_file():
        return [[path]]
    if (path / "metadata.yaml").is_file():
        return [_files(path)]
    inside = [[p] for p in sorted(path.glob("*.mcap"))]
    inside += [_files(p.parent) for p in sorted(path.glob("*/metadata.yaml"))]
    if not inside:
        raise BadInput(f"{path} holds no .mcap file and no folder of a bag with metadata.yaml")
    return inside


def _files(folder: Path) -> list[Path]:
    """The MCAP files of one recorded bag, in the order in which they were written."""
    files = sorted(folder.glob("*.mcap"), key=lambda p: (_number(p.stem), p.name))
    if not files:
        raise BadInput(f"{folder} has metadata.yaml but no .mcap file; convert it: ros2 bag convert")
    return files


def _number(stem: str) -> int:
    digits = stem.rsplit("_", 1)[-1]
    return int(digits) if digits.isdecimal() else -1
