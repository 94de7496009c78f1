"""The command `robot-rl`: finds the verb's file, parses its Config, calls its main, and reports errors.

A verb is a module of this folder with a frozen dataclass `Config`, a function `main(config)` and, if
Ctrl-C has a better story than the default, a line `INTERRUPTED`. It is imported only when it is used.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from robot_rl import __version__
from robot_rl.errors import BadInput, RobotRLError, nearest

# verb -> (module, one line of help), in the order of the work; a new verb is one more line.
VERBS = {
    "demo": (
        "robot_rl.cli.demo",
        "Run the whole job on one task: poor episodes in, a policy that works out.",
    ),
    "collect": ("robot_rl.cli.collect", "Collect a dataset of chosen quality in simulation."),
    "import": ("robot_rl.cli.import_", "Bring a dataset of another format into robot-rl's own."),
    "inspect": (
        "robot_rl.cli.inspect",
        "Show what a dataset holds and what is wrong with it: text, a page, or for the Rerun viewer.",
    ),
    "edit": (
        "robot_rl.cli.edit",
        "Make a new dataset from others: filter, split, merge, resample or crop.",
    ),
    "label": (
        "robot_rl.cli.label",
        "Label a dataset from one sentence: preferences, a reward, a new version.",
    ),
    "reward": ("robot_rl.cli.reward", "Apply a reward model that was fitted before to another dataset."),
    "success": (
        "robot_rl.cli.success",
        "Fit a classifier that sees in the pictures whether the goal is reached.",
    ),
    "train": ("robot_rl.cli.train", "Train a policy on a labeled dataset."),
    "finetune": (
        "robot_rl.cli.finetune",
        "Let a trained policy go on learning in simulation, from the true or the learned reward.",
    ),
    "evaluate": ("robot_rl.cli.evaluate", "Measure a policy's success in simulation and film it."),
    "sim": ("robot_rl.cli.sim", "Watch a simulated task: a video, a window or a sheet of pictures."),
    "export": (
        "robot_rl.cli.export",
        "Add policy.onnx to a checkpoint, or write a dataset in another library's format.",
    ),
    "deploy": (
        "robot_rl.cli.deploy",
        "Run a policy on a robot over ROS 2, or on a simulated one behind the same topics.",
    ),
    "report": ("robot_rl.cli.report", "Write one page on a labeling, a training run or an online run."),
}
_INTERRUPTED = "what was finished is saved; the same command continues from there"


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its status: 0, 1 failed, 2 usage or bad input, 130 Ctrl-C."""
    args = list(sys.argv[1:] if args is None else args)
    if not args or args[0] in ("-h", "--help"):
        print(usage())
        return 0 if args else 2
    if args[0] == "--version":
        print(f"robot-rl {__version__}")
        return 0
    verb = args[0]
    if verb not in VERBS:
        return _fail(f"robot-rl: no command '{verb}'.{nearest(verb, VERBS)}", 2)
    return _run(verb, args[1:])


def usage() -> str:
    """Return the list of verbs, one line each."""
    width = max(map(len, VERBS))
    verbs = [f"  {verb:{width}}  {line}" for verb, (_, line) in VERBS.items()]
    notes = [
        "`robot-rl COMMAND --help` shows a command's options with units and defaults;",
        "`--config FILE` repeats a run from the config.yaml saved beside it; `--version` prints the version.",
    ]
    return "\n".join(["usage: robot-rl COMMAND [OPTIONS]", "", "Commands:", *verbs, "", *notes])


def _run(verb: str, args: list[str]) -> int:
    """Run one verb and turn what it raises into one line and an exit status."""
    module = None
    try:
        module = importlib.import_module(VERBS[verb][0])
        status = module.main(parse(verb, module, args))
        sys.stdout.flush()  # so that a closed pipe is noticed here
        return int(status or 0)
    except BadInput as error:
        return _fail(f"robot-rl {verb}: {_one_line(error)}", 2)
    except RobotRLError as error:
        return _fail(f"robot-rl {verb}: {_one_line(error)}", 1)
    except KeyboardInterrupt as interrupt:
        told = _one_line(interrupt) or getattr(module, "INTERRUPTED", _INTERRUPTED)
        return _fail(f"robot-rl {verb}: interrupted; {told}", 130)
    except BrokenPipeError:
        # Whoever read our output has left; without this the interpreter would complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parse(verb: str, module: ModuleType, args: list[str]) -> Any:
    """Parse a verb's options into its Config; `--config FILE` gives defaults that options override.

    Raises BadInput for a bad config file; leaves with status 2 (SystemExit) on wrong options.
    """
    import tyro

    from robot_rl.cli.common import load_config

    file, args = _take_config(args)
    default = tyro.MISSING_NONPROP if file is None else load_config(module.Config, file)
    description = (module.Config.__doc__ or VERBS[verb][1]).strip()
    return tyro.cli(
        module.Config,
        prog=f"robot-rl {verb}",
        description=f"{description}\n--config FILE takes a saved config.yaml as the defaults.",
        args=args,
        default=default,
    )


def _take_config(args: list[str]) -> tuple[str | None, list[str]]:
    """Take `--config FILE` or `--config=FILE` out of the options; raises BadInput without a file."""
    file, rest, todo = None, [], iter(args)
    for arg in todo:
        if arg == "--config":
            file = next(todo, "")
        elif arg.startswith("--config="):
            file = arg.removeprefix("--config=")
        else:
            rest.append(arg)
    if file == "":
        raise BadInput("--config needs a file, e.g. --config runs/x/config.yaml")
    return file, rest


def _one_line(error: BaseException) -> str:
    """Return an error's text without line breaks."""
    return " ".join(str(error).split())


def _fail(line: str, status: int) -> int:
    """Print one line to stderr and return the status."""
    print(line, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
