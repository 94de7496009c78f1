"""Runs a reset-free practice from the command line, and says what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from robot_rl.cli.common import plain, progress, save_config
from robot_rl.cli.reset_free import Parts, parts_of
from robot_rl.cli.reset_free_report import MEASURED, OTHERS
from robot_rl.cli.sinks import open_sinks

if TYPE_CHECKING:
    from robot_rl.cli.finetune import Config
    from robot_rl.deploy.verdict import Tally


def run(config: Config) -> None:
    """Practise, in one process or in three, and print success before and after."""
    parts = parts_of(config)
    parts.offline(), parts.rules()  # what is wrong with them shows here, in one line
    if not (parts.out / "config.yaml").exists():
        save_config(replace(config, out=parts.out), parts.out / "config.yaml")
    if config.practice.lock_step:
        _in_lock_step(parts)
    else:
        from robot_rl.cli.reset_free_processes import run_processes

        run_processes(parts)
    judge_others(parts)
    measure(parts)
    print_result(parts)


def judge_others(parts: Parts) -> dict[str, dict[str, tuple[int, int]]]:
    """Success on the run's other tasks, before practice and of the best weights; written to other_tasks.json.

    Tasks without a simulator, and a run that only has the pair, are passed over.
    """
    from robot_rl.cli.arms import write_json
    from robot_rl.envs.rollout import evaluate
    from robot_rl.specs.tasks import load_task

    config, found = parts.config, {}
    seeds = range(config.first_seed, config.first_seed + config.episodes)
    for task in parts.others:
        both = {"before": config.run, "best": parts.out / "best"}
        rates = {name: evaluate(load_task(task), run, seeds).success for name, run in both.items()}
        found[task] = {name: (len(one), int(one.sum())) for name, one in rates.items()}
    if found:
        write_json(parts.out / OTHERS, found)
    return found


def measure(parts: Parts) -> None:
    """What a walk measures besides success, before and of the best weights; written to measured.json."""
    from robot_rl.cli.arms import write_json
    from robot_rl.cli.evaluate import means_of
    from robot_rl.envs.rollout import evaluate
    from robot_rl.specs.tasks import load_task

    config, card = parts.config, load_task(parts.tasks[0])
    if card.goes_on:
        seeds = range(config.first_seed, config.first_seed + config.episodes)
        both = {"before": config.run, "best": parts.out / "best"}
        found = {name: means_of(evaluate(card, run, seeds)) for name, run in both.items()}
        write_json(parts.out / MEASURED, found)


def _in_lock_step(parts: Parts) -> None:
    from robot_rl.cli.lock_step import LockStep

    config = parts.config
    also = {"tensorboard": config.tensorboard, "wandb": config.wandb}
    with open_sinks(parts.out, plain(config), **also) as sink:
        lock_step = LockStep(parts, sink)
        try:
            with progress(config.steps, "practice", "steps") as advance:
                advance(lock_step.learner.step)
                lock_step.run(progress=advance)
        finally:
            lock_step.close()


def print_result(parts: Parts) -> None:
    """Success of the first weights and of the best, as they were judged, and what it took."""
    from robot_rl.data.layout import read_json
    from robot_rl.deploy.practice import SUPERVISOR

    ledger = parts.ledger()
    source = ledger.source()
    for name, version in (("before", ledger.versions()[0]), ("best", ledger.best())):
        tally = ledger.tally(version.number, source)
        told = tally_text({task: tally[task] for task in parts.tasks if task in tally})
        own = " of its own tries" if source == "practice" else ""
        print(f"{name}: {told}{own} (at step {version.step})")
    for name, means in (read_json(parts.out / MEASURED) if (parts.out / MEASURED).exists() else {}).items():
        print(f"{name}: {', '.join(f'{what} {mean:.3f}' for what, mean in means.items())}")
    for task, both in (read_json(parts.out / OTHERS) if (parts.out / OTHERS).exists() else {}).items():
        told = {name: tally_text({name: tuple(counts)}) for name, counts in both.items()}
        print(f"other task {task}: {told['before']}, {told['best']}")
    state = read_json(parts.out / SUPERVISOR)["state"]
    minutes = (
        (state["steps"] - state["waited"]) / read_json(parts.out / SUPERVISOR)["rules"]["control_rate"] / 60
    )
    print(
        f"{minutes:.1f} minutes of robot time, {state['resets'] - 1} resets after the first, "
        f"{state['interventions']} interventions, {state['perturbations']} perturbations, "
        f"asked for help {state['asked_for_help']} times"
        + (f", {state['falls']} falls, {state['get_ups']} get-ups" if state.get("falls") else "")
    )
    print(f"the best policy: {parts.out / 'best'}; robot-rl report {parts.out} shows how it went")


def tally_text(tally: Tally) -> str:
    """Success of each task with its 95 % Wilson interval, in one line."""
    from robot_rl.report.statistics import wilson

    parts = []
    for task, (tries, successes) in tally.items():
        found = wilson(successes, tries)
        parts.append(f"{task} {found.mean:.2f} ({found.low:.2f} to {found.high:.2f})")
    return ", ".join(parts) or "not judged yet"
