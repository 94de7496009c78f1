"""The labeler `oracle`: answers from a known true reward, with chosen errors; for tests and ablations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.preferences.types import FrameSource, Outcome, Preference, Question


class OracleLabeler:
    """Prefers the frame with the larger true reward, and is wrong in a chosen share of its answers.

    Whether it errs on a pair is decided by the pair's pictures and the seed, so reruns agree; `always_first`
    is the share of answers that name the first picture shown without a look.
    """

    name = "oracle"

    def __init__(
        self, rewards: np.ndarray, error_rate: float = 0.0, always_first: float = 0.0, seed: int = 0
    ) -> None:
        """`rewards` is (N,) over the dataset's frames; the rates are in [0, 1]."""
        for field, value in (("error_rate", error_rate), ("always_first", always_first)):
            if not 0.0 <= value <= 1.0:
                raise BadInput(f"oracle: {field} must be in [0, 1], not {value}")
        self._rewards = np.asarray(rewards, np.float64)
        self._params = {"error_rate": error_rate, "always_first": always_first, "seed": seed}
        self._mark = hashlib.sha256(np.ascontiguousarray(self._rewards).tobytes()).hexdigest()[:16]

    @property
    def identity(self) -> Mapping[str, Any]:
        return {
            "model": "true reward",
            "prompt_version": "none",
            "params": {**self._params, "rewards": self._mark},
        }

    def label(self, questions: Sequence[Question], frames: FrameSource) -> Iterable[Preference]:
        """Answer a batch without looking at the pictures."""
        for question in questions:
            first, second = self._rewards[[question.pair.first, question.pair.second]]
            err, blind = self._draws(question)
            p = 0.5 if first == second else float(second > first)
            if err < self._params["error_rate"]:
                p = 1.0 - p
            if blind < self._params["always_first"]:
                p = 0.0 if question.order == "given" else 1.0
            yield Preference(
                Outcome.TIE if p == 0.5 else Outcome.PREFERENCE,
                p=p,
                labeler=self.name,
                model="true reward",
                prompt_version="none",
                order=question.order,
            )

    def _draws(self, question: Question) -> tuple[float, float]:
        """Two numbers in [0, 1) that depend on the pair's pictures alone, whichever comes first."""
        pair = "|".join(sorted((question.first_hash, question.second_hash)))
        digest = hashlib.sha256(f"{self._params['seed']}|{pair}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64, int.from_bytes(digest[8:16], "big") / 2**64
