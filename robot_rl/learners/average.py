"""The moving average of an actor's weights, which is judged and deployed in the actor's place.

While an actor goes on learning, each update moves it to and fro about where it is heading; offline, a rate
that falls to 0 ends that, online nothing does. The average does not follow it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from robot_rl.learners.train import Learner

_ACTOR = "actor"  # the flat tensor of a learner's actor in its state_dict


class AveragedActor:
    """Averages a learner's actor over about 1 / (1 - keep) updates (Polyak and Juditsky, 1992)."""

    def __init__(self, learner: Learner, keep: float) -> None:
        """Begin with the actor as it is now; `keep` in [0, 1) is what stays of the average at an update."""
        self._learner, self._keep = learner, keep
        self._actor: Tensor = learner.state_dict()[_ACTOR].detach()
        self._average = self._actor.clone()

    def update(self) -> None:
        """Take in the actor after an update."""
        self._average.lerp_(self._actor, 1 - self._keep)

    def policy_weights(self) -> dict[str, np.ndarray]:
        """The average's tensors, as a checkpoint holds them; the actor's own where nothing is averaged."""
        if not self._keep:
            return self._learner.policy_weights()
        now = self._actor.clone()
        with torch.no_grad():
            self._actor.copy_(self._average)
            weights = self._learner.policy_weights()
            self._actor.copy_(now)
        return weights

    @property
    def tensor(self) -> Tensor:
        """The flat average (N,), which continuing needs."""
        return self._average

    def restore(self, saved: Tensor | None) -> None:
        """Continue from a saved average, or begin anew with the actor where there is none."""
        self._average.copy_(self._actor if saved is None else saved)
