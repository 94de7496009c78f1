"""One control step: the latest observation in, the policy's wish out; and the exchange of its weights.

The policy comes from a checkpoint folder: policy.onnx through onnxruntime where it was exported, the weights
through numpy otherwise; the encoders of one that sees always through onnxruntime. No torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robot_rl.deploy.eyes import Eyes, blank
from robot_rl.deploy.following import Exploring, Following
from robot_rl.deploy.instruction import Instruction
from robot_rl.deploy.interface import StateBuilder, check_fit
from robot_rl.errors import BadInput
from robot_rl.policies import image_policy
from robot_rl.policies.checkpoint import SPEC, WEIGHTS, load_spec
from robot_rl.policies.onnx_export import parity
from robot_rl.policies.onnx_policy import ONNX, OnnxPolicy
from robot_rl.policies.policy import MlpPolicy, Policy
from robot_rl.specs.robot_contract import RobotContract

_SAME = 1e-4  # of an action's range: more is not the rounding of another processor or runtime


class ControlStep:
    """A policy on a robot: hears state parts, pictures and executed actions, and says what it wishes."""

    def __init__(self, contract: RobotContract, policy: Policy, version: str = "") -> None:
        check_fit(contract, policy.spec, version or "the policy")
        self.contract, self.policy, self.version = contract, policy, version
        self.state = StateBuilder(contract, policy.spec.state_names)
        self.eyes = Eyes(contract, policy.spec)
        self.following = Following(contract, policy.spec)

    def follow(self, text: str) -> None:
        """Take a supervisor's instruction (`Instruction.to_text`); raises BadInput, and keeps the old one."""
        self.state.heard(self.following.follow(text))

    def begin_with(self, task: str) -> None:
        """Act for a task, by default the policy's own, where no supervisor will say; raises BadInput.

        A policy of one task acts for that one anyway.
        """
        if self.following.tasks:
            self.follow(Instruction("act", task or self.policy.spec.task, 0).to_text())

    def executed(self, actions: Mapping[str, float]) -> None:
        """Note the action that was executed, name -> value in the policy's units."""
        self.state.executed(actions)
        self.following.executed(actions)

    def __call__(self, wall: float, now: float) -> dict[str, float]:
        """The wished action, name -> value in the policy's units; times in s, `now` monotonic.

        Raises BadInput if a source or an instruction is missing, or a camera that it sees shows nothing new.
        """
        if (instead := self.following.instead(self.state.measured)) is not None:
            return instead
        state, pictures = self.state(), self.eyes(wall, now)
        action = self.policy.act({"state": state, **pictures} if pictures else state)
        return dict(zip(self.policy.spec.action_names, np.asarray(action, np.float64).tolist(), strict=True))

    def check(self, policy: Policy, version: str) -> None:
        """Try a policy that is to take over, which takes time; raises BadInput if it does not fit."""
        check_fit(self.contract, policy.spec, version)
        if policy.spec.state_names != self.policy.spec.state_names:
            raise BadInput(
                f"{version}: state_names differ from those of the running policy; start anew with it"
            )
        if _seen(policy) != _seen(self.policy):
            raise BadInput(f"{version}: images differ from those of the running policy; start anew with it")
        policy.reset()
        # The first call is slow, so it is not left to the step after the swap.
        action = np.asarray(policy.act(blank(policy.spec)))
        if action.shape != (len(policy.spec.action_names),) or not np.isfinite(action).all():
            raise BadInput(f"{version}: at state_mean it wishes {action.tolist()}; train again")

    def swap(self, policy: Policy, version: str) -> None:
        """Take another policy, which was checked, between two steps."""
        self.policy, self.version = policy, version


def _seen(policy: Policy) -> list[tuple]:
    """What a policy takes from each camera; the encoders may differ."""
    return [(one.camera, one.height, one.width) for one in policy.spec.images]


def load_policy(folder: str | Path, runtime: str = "auto", explore: float = 0.0) -> Policy:
    """Load a checkpoint's policy; `runtime` is onnx, numpy or auto (onnx where policy.onnx was exported).

    `explore` above 0 adds so much of its learner's noise, with numpy.
    """
    folder = Path(folder)
    if explore:
        return Exploring(folder, explore)
    if runtime not in ("auto", "onnx", "numpy"):
        raise BadInput(f"runtime: must be auto, onnx or numpy, not '{runtime}'")
    if load_spec(folder).images:
        if runtime == "onnx":
            raise BadInput(f"runtime: {folder} sees pictures and has no policy.onnx; use auto or numpy")
        return image_policy.load_policy(folder)
    if runtime == "onnx" or (runtime == "auto" and (folder / ONNX).exists()):
        return OnnxPolicy.load(folder)
    return MlpPolicy.load(folder)


def version_of(folder: str | Path) -> str:
    """A short name for the weights in a checkpoint folder: the first of policy.json's SHA-256."""
    path = Path(folder) / SPEC
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); give a run's folder") from error


def load_swap(
    run: str | Path, folder: str | Path, runtime: str = "auto", explore: float = 0.0
) -> tuple[Policy, str]:
    """Load new weights for a running policy, from inside its run's folder only; raises BadInput.

    Symbolic links do not lead out of it, neither the folder's nor its files'. The weights' hash is verified,
    and policy.onnx must do what the weights do.
    """
    chosen = _inside(run, folder)
    version = version_of(chosen)
    weights = image_policy.load_policy(chosen)
    if not weights.spec.weights_hash:
        raise BadInput(
            f"{chosen / SPEC}: weights_hash is empty; only weights that can be verified are swapped"
        )
    policy = weights if weights.spec.images else load_policy(chosen, runtime, explore)
    if isinstance(policy, OnnxPolicy):
        difference = parity(policy, weights)
        if not difference <= _SAME:
            raise BadInput(
                f"{chosen / ONNX}: its actions differ from those of {WEIGHTS} by {difference:.2g} of their "
                "range; export the run again (robot-rl export RUN)"
            )
    if version_of(chosen) != version:
        raise BadInput(f"{chosen}: was written to while it was read; swap again when it is complete")
    return policy, version


def _inside(run: str | Path, folder: str | Path) -> Path:
    """The folder's true path; raises BadInput unless it and its files lie inside the run's folder."""
    try:
        inside, chosen = Path(run).resolve(), Path(folder).resolve()
        files = [(chosen / name).resolve() for name in (SPEC, WEIGHTS, ONNX)]
        files += [path.resolve() for path in chosen.glob("*.onnx")]  # encoders of one that sees
    except (OSError, RuntimeError, ValueError) as error:  # too long, links in a circle, a null character
        raise BadInput(f"{str(folder)!r}: not a path that can be followed ({error})") from error
    for path in (chosen, *files):
        if not path.is_relative_to(inside):
            raise BadInput(
                f"{folder}: new weights must lie inside the run's folder, {run}, but {path} does not"
            )
    return chosen
