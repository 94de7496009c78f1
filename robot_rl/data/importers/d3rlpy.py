"""Reads what d3rlpy's `ReplayBuffer.dump` writes: an HDF5 file with numbered arrays an episode.

d3rlpy itself is not needed. `data.exporters.d3rlpy` writes the same form.
"""

from __future__ import annotations

from robot_rl.data.episode import Episode
from robot_rl.data.importers.hdf5_source import Hdf5Source
from robot_rl.data.importers.source import floats, join_parts, names_of, parts_of
from robot_rl.errors import BadInput


class D3rlpySource(Hdf5Source):
    """One dump; episodes that did not terminate have their last observation as the final one.

    d3rlpy never learns from the last step of such an episode, whose action led nowhere that is known; it is
    made the final observation here, and its action and reward are not taken over.
    """

    default_fps = 10.0
    rate_name = "the rate"

    def _check_options(self) -> None:
        self._task = self._options.task_or_refuse(self.path, "a d3rlpy buffer")
        self._options.refuse_size(self.path, "d3rlpy buffers")

    def _load(self) -> None:
        self._fps = self._rate()
        keys = set(self._file.keys())
        count = 0
        while f"actions_{count}" in keys:
            count += 1
        if not count:
            raise BadInput(f"{self.path}: has no array 'actions_0'; dump the buffer again")
        self._count = count
        for key in ("observations_0", "actions_0"):
            if len(self._file.shape(key)) != 2:
                raise BadInput(
                    f"{self.path}: '{key}' has the shape {self._file.shape(key)}; "
                    "only buffers of vectors are read"
                )
        shapes = {key: self._file.shape(f"{key}_0")[1:] for key in ("observations", "actions")}
        self._state = parts_of({"observations": shapes["observations"]}, "state", str(self.path))
        self._action = parts_of({"actions": shapes["actions"]}, "action", str(self.path))
        self.notes.append(
            "of episodes that did not terminate, the last step is kept as the final observation alone, "
            "for its action led to nothing known"
        )
        self.settings = {
            "fps": self._fps,
            "state_names": names_of(self._state),
            "action_names": names_of(self._action),
            "metadata": {"source": {"format": "d3rlpy ReplayBuffer", "name": self.path.name}},
        }

    def __len__(self) -> int:
        return self._count

    def where(self, index: int) -> str:
        """The file and the episode's number in it."""
        return f"{self.path}: episode {index}"

    def episode(self, index: int) -> Episode:
        """One episode of the buffer."""
        read, where = self._file.numbers, self.where(index)
        states = join_parts(self._state, {"observations": read(f"observations_{index}")}, where)
        actions = join_parts(self._action, {"actions": read(f"actions_{index}")}, where)
        rewards = floats(read(f"rewards_{index}")).reshape(-1)
        terminated = self._file.flag(f"terminated_{index}")
        if not len(states) == len(actions) == len(rewards):
            raise BadInput(
                f"{where}: {len(states)} observations, {len(actions)} actions, {len(rewards)} rewards"
            )
        if terminated:
            return Episode({"state": states}, actions, self._task, self._fps, rewards, terminated=True)
        return Episode(
            {"state": states[:-1]},
            actions[:-1],
            self._task,
            self._fps,
            rewards[:-1],
            final_observation={"state": states[-1]} if len(states) else None,
        )
