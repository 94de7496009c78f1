"""Runs where LeRobot is installed: reads our dataset with its reader, writes two with its writer."""

import os
import sys
from pathlib import Path

import numpy as np

STEPS = 12


def read(root: str, out: str) -> None:
    """Save what LeRobot's reader gives for every frame of the dataset at `root`."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("local/ours", root=root, video_backend="pyav")
    items = [dataset[i] for i in range(len(dataset))]
    found = {key: np.stack([np.asarray(item[key]) for item in items]) for key in items[0] if key != "task"}
    found["task"] = np.array([item["task"] for item in items])
    stats = {f"stats/{key}/mean": np.asarray(value["mean"]) for key, value in dataset.meta.stats.items()}
    np.savez(out, episodes=dataset.num_episodes, fps=dataset.fps, **found, **stats)


def picture(step: int, camera: int) -> np.ndarray:
    """A smooth (48, 64, 3) picture of its own for each step and camera."""
    y, x = np.mgrid[:48, :64]
    return np.stack([x * 3 + step * 5, y * 4 + 60 * camera, np.full_like(x, 10 * step)], -1).astype(np.uint8)


def write(root: str, videos: bool) -> None:
    """Write two episodes with two cameras and two tasks, as LeRobot does."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    kind = "video" if videos else "image"
    camera = {"dtype": kind, "shape": (48, 64, 3), "names": ["height", "width", "channels"]}
    features = {
        "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["left", "right"]},
        "observation.images.front": camera,
        "observation.images.wrist": camera,
    }
    dataset = LeRobotDataset.create("local/theirs", 10, features, root=root, use_videos=videos)
    for episode in range(2):
        for step in range(STEPS):
            dataset.add_frame(
                {
                    "observation.state": np.array([episode, step, step / 2], np.float32),
                    "action": np.array([-step, episode], np.float32),
                    "observation.images.front": picture(step, 0),
                    "observation.images.wrist": picture(step, 1),
                    "task": ["wipe", "fold"][episode],
                }
            )
        dataset.save_episode()
    dataset.finalize()


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"  # the dataset lies here; nothing is to be fetched
    read(sys.argv[1], sys.argv[2])
    write(str(Path(sys.argv[3]) / "videos"), True)
    write(str(Path(sys.argv[3]) / "images"), False)
