"""What a supervisor asks of the policy's node, as a message's text: act, shake loose, go home, or rest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from robot_rl.errors import BadInput

Mode = Literal["act", "perturb", "home", "wait"]


@dataclass(frozen=True)
class Instruction:
    """One instruction, in force until the next."""

    # act: the policy, for `task`; perturb: random motion; home: the contract's way; wait: stand still
    mode: Mode
    task: str
    number: int  # counts up: each try and each perturbation is an instruction of its own

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Instruction:
        """The instruction that `to_text` wrote; raises BadInput for any other text."""
        try:
            made = cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise BadInput(f"{text[:80]!r} is no instruction (mode, task, number): {error}") from error
        if made.mode not in get_args(Mode):
            raise BadInput(f"instruction: mode must be {', '.join(get_args(Mode))}, not '{made.mode}'")
        return made
