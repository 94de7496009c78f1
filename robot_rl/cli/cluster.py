"""Spreads embedding, rewards and labeling over the processes of a Ray cluster, or of this machine.

`robot-rl label --ray` and `robot-rl reward --ray` use it. Workers read a dataset by its path, so a cluster
needs a shared file system. They hold no results: one that is killed costs time only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput, RobotRLError, need
from robot_rl.rewards.checks import chunks
from robot_rl.rewards.model import RewardModel
from robot_rl.vision.cache import release
from robot_rl.vision.encoder import ImageTextEncoder
from robot_rl.vision.open_clip_import import import_open_clip
from robot_rl.vision.shards import Progress, Shard, embed_shards

RETRIES = 5  # deaths of a worker that one piece of work outlives
_CONNECT_SECONDS = 10.0
_STORE_BYTES = 2**28  # of shared memory in local mode; a container often has no more
Key = TypeVar("Key", bound=Hashable)


@contextlib.contextmanager
def connected(address: str) -> Iterator[int]:
    """Connect to Ray at `address` (host:port, "auto"), or with "local" start it here; yields its CPUs.

    What was started here is stopped at the end. Raises BadInput where there is no Ray at the address.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read at the import; nothing is sent to anybody
    ray = need("ray", "ray")
    if ray.is_initialized():
        yield cpus()
        return
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    here = {"num_cpus": len(os.sched_getaffinity(0)), "object_store_memory": _STORE_BYTES, **quiet}
    elsewhere = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        _check_reachable(address)
        ray.init(address, **(here if address == "local" else elsewhere))
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"--ray: no Ray cluster at '{address}' ({str(error).splitlines()[0]}); give host:port as `ray "
            "start` prints it, auto, or local for the processors of this machine; a cluster that asks for a "
            "token needs RAY_AUTH_MODE=token and the token here as well"
        ) from error
    try:
        yield cpus()
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise OSError where nobody listens at host:port; Ray itself would try for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()


def cpus() -> int:
    """How many processors the connected cluster has."""
    return max(1, int(need("ray", "ray").cluster_resources().get("CPU", 1)))


def ray_shards(
    dataset: Dataset,
    camera: str,
    encoder: ImageTextEncoder,
    shards: Sequence[Shard],
    progress: Progress | None = None,
) -> Iterator[tuple[Shard, np.ndarray]]:
    """Do the `work` of vision.cache.embed_dataset with one task a shard; the vectors are the same.

    Only this process writes the cache, so workers need to see the dataset and nothing else.
    """
    # Inside a list, Ray hands a worker the reference alone: what must be imported first can be.
    held = [need("ray", "ray").put(encoder)]
    common = (str(dataset.root.resolve()), camera, held)
    for shard, vectors in _spread(_embed, common, ((shard, (shard,)) for shard in shards)):
        if progress:
            progress(len(shard))
        yield shard, vectors


def ray_rewards(model: RewardModel, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `model.reward`, mean and std (N,) float32, with one task a chunk of rows of `vectors` (N, F)."""
    mean, std = np.empty((2, len(vectors)), np.float32)
    pieces = ((rows.start, (np.array(vectors[rows]),)) for rows in chunks(len(vectors)))
    for start, (part_mean, part_std) in _spread(_reward, (model,), pieces):
        rows = slice(start, start + len(part_mean))
        mean[rows], std[rows] = part_mean, part_std
        release(vectors)
    return mean, std


def _spread(
    function: Callable[..., Any], common: Sequence[Any], pieces: Iterable[tuple[Key, tuple[Any, ...]]]
) -> Iterator[tuple[Key, Any]]:
    """Yield (key, function(*common, *arguments)) of each piece as it is done; few are held at a time."""
    ray = need("ray", "ray")
    task = ray.remote(num_cpus=1, max_retries=RETRIES)(function)
    shared, running = [ray.put(value) for value in common], {}
    for key, arguments in pieces:
        running[task.remote(*shared, *arguments)] = key
        if len(running) >= 2 * cpus():
            yield _first_done(running)
    while running:
        yield _first_done(running)


def _first_done(running: dict[Any, Key]) -> tuple[Key, Any]:
    """Take whichever task is done first."""
    done = need("ray", "ray").wait(list(running), num_returns=1)[0][0]
    return running.pop(done), fetched(done)


def fetched(reference: Any) -> Any:
    """Get a task's result; what it raised is raised here as if it had run here, in one line."""
    ray = need("ray", "ray")
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (RobotRLError, KeyboardInterrupt)):
            raise error.cause from None
        raise RobotRLError(f"a Ray worker failed: {type(error.cause).__name__}: {error.cause}") from error


def _embed(path: str, camera: str, held: Sequence[Any], shard: Shard) -> np.ndarray:
    """Embed one shard, on a worker."""
    _one_thread()
    return next(embed_shards(opened(path), camera, _encoder(held[0]), [shard]))[1]


@lru_cache(maxsize=1)
def _encoder(reference: Any) -> ImageTextEncoder:
    """Get the encoder once in a worker."""
    import_open_clip()  # its own way of importing it, which unpickling the model would not take
    return fetched(reference)


def _reward(model: RewardModel, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reward some frames, on a worker."""
    _one_thread()
    return model.reward(vectors)


def _one_thread() -> None:
    """Keep torch to the one processor that Ray counts for a task."""
    import torch

    torch.set_num_threads(1)


@lru_cache(maxsize=1)
def opened(path: str) -> Dataset:
    """Open a dataset once in a worker; raises BadInput that names the machine where it is not there."""
    if not Path(path).exists():
        raise BadInput(
            f"{path}: is not there on the Ray worker {os.uname().nodename}; a cluster reads datasets by "
            "path, so put it on a file system that all machines share, under the same path"
        )
    return Dataset.open(path)
