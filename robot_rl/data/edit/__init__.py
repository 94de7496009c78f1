"""Edits that make a new dataset from others and record where it came from; the sources are only read.

`assemble` takes whole episodes (filter, split, merge) and links their videos; `rewrite` passes each episode
through a function (resample, crop) and encodes pictures anew where they change.
"""

from robot_rl.data.edit.assemble import assemble
from robot_rl.data.edit.choose import Criteria, choose_episodes, split_episodes
from robot_rl.data.edit.crop import Crop, crop_episode
from robot_rl.data.edit.resample import resample_episode
from robot_rl.data.edit.rewrite import rewrite

__all__ = [
    "Criteria",
    "Crop",
    "assemble",
    "choose_episodes",
    "crop_episode",
    "resample_episode",
    "rewrite",
    "split_episodes",
]
