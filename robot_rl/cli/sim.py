"""`robot-rl sim`: watch a simulated task, as a video, in a window, or as a contact sheet of pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_rl.cli.common import progress
from robot_rl.errors import BadInput, nearest, need_installed

if TYPE_CHECKING:
    import numpy as np

    from robot_rl.envs.recording import Actor
    from robot_rl.envs.task_env import TaskEnv
    from robot_rl.report.task_sheet import Strip
    from robot_rl.specs.tasks import TaskCard

_FRAME_RATE = 40.0  # Hz, at most, of videos
_SHEET_FRAMES = 3  # of each task: the start, the middle, the end
_DRAWS = 17  # of a randomised task, beside the picture without
INTERRUPTED = "nothing was written"


@dataclass(frozen=True)
class Config:
    """Record a task's scripted expert, or a policy, as a video; or a contact sheet of tasks."""

    task: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")] = None
    """Name of a task card in sim/tasks, or the path of a card; with --sheet it may be left out: all tasks."""
    policy: Path | None = None
    """Folder of a checkpoint that acts; default: a scripted behaviour."""
    behaviour: str | None = None
    """Scripted behaviour that acts; default: expert, or the first that the task has."""
    seed: int = 0
    """Decides the start, and what is drawn with --randomise."""
    size: int = 256
    """Pixels of the square picture."""
    randomise: bool = False
    """Draw light, colours, camera, masses, friction, latency and sensor noise from the task card's ranges."""
    sheet: bool = False
    """Write a PNG contact sheet instead of a video; with --randomise, the starts of many episodes."""
    show: bool = False
    """Open MuJoCo's window instead of writing a video; needs a display."""
    out: Path | None = None
    """File to write; default runs/sim/TASK.mp4, or .png for a sheet."""


def main(config: Config) -> None:
    """Record or show, and say where the file is and how the episode ended."""
    need_installed("mujoco", "sim")
    if config.task is None and not (config.sheet and not config.randomise):
        raise BadInput(f"TASK: is missing; only --sheet without --randomise shows all.{_known()}")
    if config.policy and config.behaviour:
        raise BadInput("--policy and --behaviour: give one of them")
    if not 32 <= config.size <= 1024:
        raise BadInput(f"--size: must be 32 to 1024 pixels, not {config.size}")
    if config.show:
        _show(config)
    elif config.sheet:
        _sheet(config)
    else:
        _video(config)


def _known() -> str:
    from robot_rl.specs.tasks import task_names

    return nearest("", task_names())


def _made(config: Config, card: TaskCard, randomise: bool) -> tuple[TaskEnv, Actor]:
    """The environment and who acts in it."""
    from robot_rl.envs.make import make_task
    from robot_rl.envs.recording import policy_actor, scripted_actor

    env = make_task(card, size=config.size, randomise=randomise)
    if config.policy:
        from robot_rl.cli.evaluate import check_fits
        from robot_rl.policies.checkpoint import load_spec

        check_fits(load_spec(config.policy), card, config.policy)
        return env, policy_actor(env, config.policy)
    name = config.behaviour or ("expert" if "expert" in env.behaviours else env.behaviours[0])
    return env, scripted_actor(env, name, config.seed)


def _video(config: Config) -> None:
    from robot_rl.envs.recording import record
    from robot_rl.report.video import encode_mp4
    from robot_rl.specs.tasks import load_task

    card = load_task(config.task)
    env, actor = _made(config, card, config.randomise)
    every = max(1, round(card.control_rate / _FRAME_RATE))
    seen = record(env, actor, config.seed, every)
    env.close()
    content = encode_mp4(seen.frames, fps=card.control_rate / every)
    path = _write(config.out or Path("runs/sim") / f"{card.name}.mp4", content)
    end = "success" if seen.success else "no success"
    print(f"{card.name}: {end} in {seen.steps} steps, return {seen.returned:.4g}\nvideo: {path}")


def _sheet(config: Config) -> None:
    need_installed("matplotlib", "report")
    from robot_rl.report.task_sheet import task_sheet
    from robot_rl.specs.tasks import load_task, task_names

    cards = [load_task(name) for name in ([config.task] if config.task else task_names())]
    if config.randomise:
        strips = _draws(config, cards[0])
        columns, name = 6, f"{cards[0].name}-randomised"
    else:
        strips, left_out = _strips(config, cards)
        columns, name = 3, cards[0].name if config.task else "tasks"
        for line in left_out:
            print(f"note: left out: {line}")
    path = _write(config.out or Path("runs/sim") / f"{name}.png", task_sheet(strips, columns))
    print(f"contact sheet: {path}")


def _strips(config: Config, cards: Sequence[TaskCard]) -> tuple[list[Strip], list[str]]:
    """A strip of each task; of several, those whose extra is not installed are left out and named."""
    import numpy as np

    from robot_rl.envs.recording import record
    from robot_rl.report.task_sheet import Strip

    strips, left_out = [], []
    with progress(len(cards), "playing", "tasks") as advance:
        for card in cards:
            try:
                env, actor = _made(config, card, randomise=False)
            except BadInput as error:
                if len(cards) == 1:
                    raise
                left_out.append(f"{card.name}: {error}")
                advance()
                continue
            frames = record(env, actor, config.seed).frames
            env.close()
            chosen = np.linspace(0, len(frames) - 1, _SHEET_FRAMES).round().astype(int)
            strips.append(Strip(card.name, frames[chosen]))
            advance()
    return strips, left_out


def _draws(config: Config, card: TaskCard) -> list[Strip]:
    """The task's start as it is, and as it is drawn under the seeds that follow."""
    from robot_rl.envs.make import make_task
    from robot_rl.report.task_sheet import Strip

    plain, drawn = (make_task(card, size=config.size, randomise=flag) for flag in (False, True))
    seeds = range(config.seed, config.seed + _DRAWS)
    strips = [Strip("as in the card", _start(plain, config.seed)[None])]
    strips += [Strip(f"seed {seed}", _start(drawn, seed)[None]) for seed in seeds]
    plain.close()
    drawn.close()
    return strips


def _start(env: TaskEnv, seed: int) -> np.ndarray:
    """The picture of an episode's start."""
    env.reset(seed=seed)
    return env.render().copy()


def _show(config: Config) -> None:
    """Play in MuJoCo's own window at the control rate until it is closed or the episode ends."""
    from robot_rl.specs.tasks import load_task

    card = load_task(config.task)
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise BadInput("--show: there is no display here; leave it out to write a video")
    from robot_rl.envs.window import show

    env, actor = _made(config, card, config.randomise)
    show(env, actor, config.seed)
    env.close()


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
