"""Success from pixels: small heads on a frozen encoder's features say whether the goal is reached.

Fitted on few labeled frames, or taken from a reward model; its probability is calibrated and its threshold
chosen on frames of other episodes. `SuccessDetector` follows one camera with it, picture by picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from robot_rl.errors import BadInput
from robot_rl.rewards import success_storage
from robot_rl.rewards.checks import check_features, check_vector, chunks
from robot_rl.rewards.heads import rewards_of
from robot_rl.rewards.model import RewardModel, inverse_of, moments_of, standardised
from robot_rl.rewards.success_config import SuccessConfig
from robot_rl.rewards.success_heads import fit_success_heads
from robot_rl.rewards.success_threshold import check_support, choose_threshold, fit_platt, sigmoid

__all__ = ["SuccessClassifier", "SuccessConfig", "SuccessDetector"]


class Encoder(Protocol):
    """What makes features of pictures; `identity` names all that can change them."""

    identity: Mapping[str, Any]

    def images(self, pictures: np.ndarray) -> np.ndarray:
        """Features (n, D) float32 of pictures (n, H, W, 3) uint8."""
        ...


@dataclass(frozen=True)
class SuccessClassifier:
    """A fitted classifier; make it with `fit` or `from_reward`, then `calibrated`, or read it with `load`.

    P(success) = sigmoid(slope * z + offset), where z is the mean of the K members' outputs, each
    (raw - shift) * scale. A frame counts as success where P >= threshold.
    """

    config: SuccessConfig
    weights: Mapping[str, Tensor]  # of the heads, each (K, ...)
    feature_mean: np.ndarray  # (strip * D,) float32
    feature_std: np.ndarray  # (strip * D,) float32
    shift: np.ndarray  # (K,) float32, logits
    scale: np.ndarray  # (K,) float32
    slope: float = 1.0
    offset: float = 0.0
    threshold: float = 0.5  # probability
    about: Mapping[str, Any] = field(default_factory=dict)  # JSON: whence its labels, what it reached
    identity: Mapping[str, Any] = field(default_factory=dict)  # of the encoder, as given to `save`
    encoder: Encoder | None = field(default=None, repr=False)  # as given to `load` or `seeing`

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        labels: np.ndarray,
        config: SuccessConfig | None = None,
        *,
        unlabeled: np.ndarray | None = None,
    ) -> SuccessClassifier:
        """Fit to features (n, strip * D) and labels (n,) in [0, 1], probabilities that the goal is reached.

        `unlabeled` (m, strip * D) are features of frames as they come: they set the scale of each number, of
        which few labeled frames say little. The same seed, inputs and number of threads give the same
        classifier. Raises BadInput, also where all labels are of one kind.
        """
        config = config or SuccessConfig()
        features = check_features(features)
        labels = check_vector("labels", labels, len(features), 0, 1)
        for kind, count in (("success", labels > 0.5), ("no success", labels <= 0.5)):
            if not count.any():
                raise BadInput(f"labels: none of the {len(labels)} labeled frames says '{kind}'; label some")
        mean, std = moments_of(features if unlabeled is None else check_features(unlabeled, "unlabeled"))
        weights, bias = fit_success_heads(standardised(features, mean, std), labels, config)
        return cls(config, weights, mean, std, -bias, np.ones_like(bias))

    @classmethod
    def from_reward(cls, model: RewardModel, config: SuccessConfig | None = None) -> SuccessClassifier:
        """The classifier whose score z is a reward model's mean; only its calibration needs labels."""
        config = dataclasses.replace(config or SuccessConfig(), members=model.config.members,
                                     hidden=model.config.hidden, strip=1)  # fmt: skip
        moments = model.feature_mean, model.feature_std
        return cls(config, model.weights, *moments, model.reward_mean, inverse_of(model.reward_std))

    def calibrated(self, features: np.ndarray, truth: np.ndarray, episodes: np.ndarray) -> SuccessClassifier:
        """This classifier with its probability and threshold set by held-out frames.

        features (n, strip * D), truth (n,) bool, and each frame's episode (n,), none of them fitted on. The
        threshold makes the fewest errors of both kinds with at most `config.false_positives` of the frames
        without success above it, as far as these episodes can tell with 95 % confidence. Raises BadInput
        where so few frames could not show such a rate.
        """
        truth, episodes = np.asarray(truth, bool), np.asarray(episodes)
        check_support(truth, episodes, self.config.false_positives)
        slope, offset = fit_platt(self.scores(features), truth)
        made = dataclasses.replace(self, slope=slope, offset=offset)
        threshold = choose_threshold(made.chance(features), truth, episodes, self.config.false_positives)
        return dataclasses.replace(made, threshold=threshold)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """z (n,) float64 of features (n, strip * D); raises BadInput."""
        features = check_features(features, size=len(self.feature_mean))
        found = np.empty(len(features))
        for rows in chunks(len(features)):
            part = torch.from_numpy(standardised(features[rows], self.feature_mean, self.feature_std))
            with torch.no_grad():
                raw = rewards_of(self.weights, part.expand(len(self.shift), -1, -1)).numpy()
            found[rows] = ((raw - self.shift[:, None]) * self.scale[:, None]).mean(0)
        return found

    def chance(self, features: np.ndarray) -> np.ndarray:
        """P(success) (n,) float64 of features (n, strip * D)."""
        return sigmoid(self.slope * self.scores(features) + self.offset)

    def probability(self, frames: np.ndarray) -> np.ndarray:
        """P(success) (N,) float64 of pictures (N, H, W, 3) uint8, or of strips (N, strip, H, W, 3).

        A picture alone, where the classifier looks at strips, stands for a strip in which nothing moves.
        Raises BadInput for other shapes and for a classifier without an encoder.
        """
        frames, strip = np.asarray(frames), self.config.strip
        if frames.dtype != np.uint8 or frames.ndim not in (4, 5) or frames.shape[-1] != 3:
            raise BadInput(
                f"frames: must be uint8 (N, H, W, 3) or (N, {strip}, H, W, 3), "
                f"not {frames.dtype} {frames.shape}"
            )
        if frames.ndim == 5 and frames.shape[1] != strip:
            raise BadInput(f"frames: strips of {frames.shape[1]}, but the classifier looks at {strip} frames")
        vectors = self._seen(frames.reshape(-1, *frames.shape[-3:]))
        if frames.ndim == 4:
            vectors = np.tile(vectors, (1, strip))
        return self.chance(vectors.reshape(len(frames), -1)) if len(frames) else np.zeros(0)

    def detector(self) -> SuccessDetector:
        """Follow a camera picture by picture, from the start of an episode on."""
        return SuccessDetector(self)

    def seeing(self, encoder: Encoder) -> SuccessClassifier:
        """This classifier with the encoder that makes its features."""
        return dataclasses.replace(self, encoder=encoder)

    def save(self, folder: str | Path, identity: Mapping[str, Any]) -> None:
        """Write to `folder`, replacing an older classifier; `identity` (JSON) names the encoder."""
        success_storage.write(Path(folder), self, identity)

    @classmethod
    def load(cls, folder: str | Path, encoder: Encoder | None = None) -> SuccessClassifier:
        """Read a classifier to use with `encoder`; one that it was not fitted with is refused by field.

        Raises BadInput for a folder that is no success classifier, damaged, or written by a newer version.
        """
        values = success_storage.read(Path(folder), None if encoder is None else encoder.identity)
        heads = {name: torch.from_numpy(value) for name, value in values.pop("weights").items()}
        return cls(weights=heads, encoder=encoder, **values)

    def _seen(self, pictures: np.ndarray) -> np.ndarray:
        if self.encoder is None:
            raise BadInput("success: has no encoder to look at pictures with; give one to load()")
        return self.encoder.images(pictures)


class SuccessDetector:
    """Says of one picture after another whether the goal is reached: `hold` in a row at the threshold."""

    def __init__(self, classifier: SuccessClassifier) -> None:
        self._classifier = classifier
        self._past: list[np.ndarray] = []  # features (1, D), the newest last
        self._reached = 0
        self.probability = float("nan")  # of the newest picture

    def __call__(self, picture: np.ndarray) -> bool:
        """Take the next picture (H, W, 3) uint8; every control step is to bring one."""
        config = self._classifier.config
        reach = (config.strip - 1) * config.stride + 1
        self._past = [*self._past, self._classifier._seen(picture[None])][-reach:]
        last = len(self._past) - 1
        strip = [self._past[max(last - k * config.stride, 0)] for k in range(config.strip)]
        self.probability = float(self._classifier.chance(np.concatenate(strip[::-1], 1))[0])
        self._reached = self._reached + 1 if self.probability >= self._classifier.threshold else 0
        return self._reached >= config.hold

    def reset(self) -> None:
        """Forget the pictures before, at the start of an episode or when the instruction changes."""
        self._past, self._reached, self.probability = [], 0, float("nan")
