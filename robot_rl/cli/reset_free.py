"""`robot-rl finetune RUN --reset-free`: a policy of two tasks that undo each other, or of one that goes on.

This file makes the parts of a run from its options; `lock_step.py` lets robot and learner take turns in one
process, `reset_free_processes.py` gives each a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_rl.errors import BadInput

if TYPE_CHECKING:
    from robot_rl.cli.finetune import Config
    from robot_rl.cli.reset_free_film import Film
    from robot_rl.cli.reset_free_judge import SceneJudge
    from robot_rl.cli.reset_free_world import PairWorld
    from robot_rl.data.replay import Transitions
    from robot_rl.deploy.durable_queue import DurableQueue
    from robot_rl.deploy.learner_process import LearnerProcess
    from robot_rl.deploy.practice import Practice
    from robot_rl.deploy.supervisor_rules import Rules
    from robot_rl.deploy.verdict import Judging
    from robot_rl.deploy.weights_ledger import WeightsLedger
    from robot_rl.learners.offline_run import OfflineRun
    from robot_rl.policies.checkpoint import PolicySpec

FOLDER, QUEUE = "reset_free", "queue.sqlite"
# A weak drawer policy of iql, which succeeds 6 of 6 times without noise, did 4 at 0.25, 2 at 0.5 and 2 at 1.
NOISE = {"iql": 0.4}
_TRIES = 5  # of each task, at most, before own tries judge: in a robot's time they are dear
WALKING = 0.25  # of that noise: a weak Go2 policy of iql fell within 2 s of each try at 0.4, rarely at 0.1
HOME_STEPS = {"metaworld": 200, "go2": 400}  # at most, of the scripted way home that a family of tasks has


@dataclass(frozen=True)
class Parts:
    """What all processes of one run know."""

    config: Config
    out: Path
    spec: PolicySpec  # of the run that practises
    tasks: tuple[str, ...]  # one that goes on by itself, or one and its reverse

    def offline(self) -> OfflineRun:
        """The whole run; raises BadInput where it cannot go on online. Needs torch."""
        from robot_rl.learners.offline_run import load_offline

        return load_offline(self.config.run)

    def queue(self) -> DurableQueue:
        """The queue of executed transitions."""
        from robot_rl.deploy.durable_queue import DurableQueue

        return DurableQueue(self.out / QUEUE, self.spec.state_names, self.spec.action_names)

    def ledger(self) -> WeightsLedger:
        """The ledger of weights."""
        from robot_rl.deploy.weights_ledger import WeightsLedger

        return WeightsLedger(self.out)

    def world(self) -> PairWorld:
        """The pair to practise in, not set up yet."""
        from robot_rl.cli.finetune import learned_reward
        from robot_rl.cli.reset_free_success import load_pixel_success
        from robot_rl.cli.reset_free_world import PairWorld

        pair = make_pair_of(self.tasks, self.config.practice.time_out)
        told = self.config.reward
        success = load_pixel_success(self.config.practice.success, self.tasks)
        if told in ("true", "success"):
            return PairWorld(pair, told, success)
        rewards = {
            task: learned_reward(folder, pair.env_of(task))
            for task, folder in zip(self.tasks, labelings(told, self.tasks), strict=True)
        }
        return PairWorld(pair, "learned", success, lambda env: rewards[env.card.name]())

    def rules(self, thresholds: Mapping[str, float] | None = None) -> Rules:
        """The supervisor's rules, with the thresholds of success that are not .5."""
        from robot_rl.deploy.supervisor_rules import Rules
        from robot_rl.specs.tasks import load_task

        p, cards = self.config.practice, [load_task(task) for task in self.tasks]
        family, goes_on = cards[0].environment.partition(":")[0], cards[0].goes_on
        return Rules(
            self.tasks,
            {card.name: p.time_out or card.episode_length for card in cards},
            cards[0].control_rate,
            thresholds=dict(thresholds or {}),
            hold=1 if goes_on else p.hold,
            window=p.window,
            tries=0 if goes_on else p.tries,
            perturbations=p.perturbations,
            home_steps=HOME_STEPS.get(family, 0) if p.home or goes_on else 0,
            only_from_home=goes_on,
        )

    def practice(
        self, world: PairWorld, queue: DurableQueue, ledger: WeightsLedger, supervisor: Path
    ) -> Practice:
        """The robot's side; its supervisor goes on from the file."""
        from robot_rl.deploy.practice import Practice
        from robot_rl.deploy.supervisor import Supervisor

        loaded = Supervisor.load(supervisor, self.rules(world.thresholds))
        return Practice(
            world,
            loaded,
            queue,
            ledger,
            self.out,
            seed=self.config.seed,
            noise=self.noise,
            vary=0
            if loaded.rules.only_from_home or not loaded.rules.home_steps
            else self.config.practice.vary,
            limit=self.config.steps,
        )

    @property
    def by_tries(self) -> bool:
        """Whether the robot's own tries judge new weights."""
        return self.config.practice.judged_by == "tries"

    @property
    def others(self) -> tuple[str, ...]:
        """The simulated tasks of the run that are not practised."""
        from robot_rl.policies.conditioning import tasks_of
        from robot_rl.specs.tasks import task_names

        known = [task for task in tasks_of(self.spec.state_names) if task in task_names()]
        return tuple(task for task in known if task not in self.tasks)

    @property
    def noise(self) -> float:
        """Of exploring, in the policy's own standard deviations."""
        from robot_rl.specs.tasks import load_task

        if self.config.practice.noise is not None:
            return self.config.practice.noise
        return NOISE.get(self.spec.algorithm, 1.0) * (WALKING if load_task(self.tasks[0]).goes_on else 1)

    def learner(
        self,
        queue: DurableQueue,
        ledger: WeightsLedger,
        log: Callable[[Mapping[str, float]], object],
        saves: bool = True,
    ) -> LearnerProcess:
        """The learner's side, begun or continued; the other options are those of `LearnerProcess`."""
        from robot_rl.cli.finetune import Config as Finetune
        from robot_rl.deploy.learner_process import LearnerProcess
        from robot_rl.learners.online import OnlineConfig, OnlineLearner
        from robot_rl.learners.reweighting import Reweigher

        config, p = self.config, self.config.practice
        names = {field.name for field in fields(OnlineConfig)} & {field.name for field in fields(Finetune)}
        settings = OnlineConfig(**{name: getattr(config, name) for name in names})
        offline = self.offline()
        transitions = offline_data(config, offline) if config.mix else None
        about = {"task": " ".join(self.tasks), "reward": config.reward, "practice": "reset-free"}
        learner = OnlineLearner(self.out, offline, settings, transitions, log, about)
        reweigh = Reweigher(learner, transitions) if p.reweigh else None
        return LearnerProcess(
            learner, queue, ledger, publish_every=p.publish_every, patience=p.patience, saves=saves,
            by_tries=self.by_tries, reweigh=reweigh,
        )  # fmt: skip

    def film(self) -> Film | None:
        """Who keeps pictures, where that is asked for."""
        from robot_rl.cli.reset_free_film import Film

        longest = max(self.rules().time_out.values())
        return Film(self.out, max(longest // 7, 1)) if self.config.practice.film else None

    def judge(self) -> SceneJudge:
        """Who judges weights, in a world of its own."""
        from robot_rl.cli.reset_free_judge import SceneJudge

        config = self.config
        seeds = range(config.first_seed, config.first_seed + config.episodes)
        scene = config.seed if config.practice.scenes == "same" and len(self.tasks) == 2 else None
        others = self.others if config.practice.reweigh else ()
        return SceneJudge(make_pair_of(self.tasks), seeds, scene, others)

    def judging(self) -> Judging:
        """By what rule."""
        from robot_rl.deploy.verdict import Judging

        episodes = self.config.episodes
        return Judging(min(episodes, _TRIES) if self.by_tries else episodes, self.config.practice.margin)


def parts_of(config: Config) -> Parts:
    """Check the options and the run; raises BadInput."""
    from robot_rl.policies.checkpoint import load_spec
    from robot_rl.policies.conditioning import tasks_of

    spec = load_spec(config.run)
    tasks = tasks_for(config, spec)
    if config.reward not in ("true", "success"):
        labelings(config.reward, tasks)
    folders = len(config.practice.success)
    if folders and len(tasks) == 1:
        raise BadInput(
            f"--practice.success: no picture shows how a whole try of {tasks[0]} went; leave it out"
        )
    if folders not in (0, 2):
        raise BadInput(f"--practice.success: needs a folder for {tasks[0]} and one for {tasks[1]}, or none")
    if config.practice.vary < 0:
        raise BadInput(f"--practice.vary: must be at least 0 steps, not {config.practice.vary}")
    if config.practice.reweigh and config.practice.judged_by == "tries":
        raise BadInput(
            "--practice.reweigh: needs every task judged, which own tries do not; leave out one of both"
        )
    if config.practice.reweigh and not (config.mix and tasks_of(spec.state_names)):
        raise BadInput(
            "--practice.reweigh: weighs the prior data of several tasks (--by-task), with --mix above 0"
        )
    if config.seeds != 1:
        raise BadInput("--seeds: --reset-free is one run; give each seed by --seed with an --out of its own")
    return Parts(config, config.out or config.run / FOLDER, spec, tasks)


def tasks_for(config: Config, spec: PolicySpec) -> tuple[str, ...]:
    """What is practised: a task that goes on by itself, or one and its reverse; raises BadInput."""
    from robot_rl.cli.evaluate import check_fits
    from robot_rl.policies.conditioning import tasks_of
    from robot_rl.specs.tasks import load_task

    known, forward = tasks_of(spec.state_names), config.task or spec.task
    card = load_task(forward)
    if not (known or card.goes_on):
        raise BadInput(
            f"{config.run}: was trained for one task; --reset-free needs one policy for a task and its "
            "reverse (robot-rl train FORWARD BACKWARD --by-task)"
        )
    if card.reverse_task is None and not card.goes_on:
        raise BadInput(
            f"--task: {forward} has no reverse_task and does not go on by itself as a walk does (goes_on in "
            "the task card), so it takes resets; leave out --reset-free"
        )
    tasks = (forward,) if card.goes_on else (forward, card.reverse_task)
    for task in tasks if known else ():
        if task not in known:
            raise BadInput(f"{config.run}: was trained for {', '.join(known)}, not for {task}")
    check_fits(spec, card, config.run)
    return tasks


def labelings(told: str, tasks: tuple[str, ...]) -> tuple[Path, ...]:
    """The labelings of the tasks, written FORWARD,BACKWARD; raises BadInput for another number of them."""
    folders = tuple(Path(one) for one in told.split(","))
    if len(folders) != len(tasks):
        both = f"the labelings of {' and of '.join(tasks)} with a comma between"
        needs = both if len(tasks) > 1 else f"one labeling of {tasks[0]}"
        raise BadInput(f"--reward: needs {needs}, or true or success, not '{told}'")
    return folders


def make_pair_of(tasks: tuple[str, ...], time_out: int | None = None) -> Any:
    """The pair of two tasks, or the world of one; a try of one that is judged as a whole lasts `time_out`."""
    from robot_rl.envs.pair import ResetFreePair
    from robot_rl.specs.tasks import load_task

    cards = [load_task(task) for task in tasks]
    if time_out:
        changes = {"episode_length": time_out}
        cards = [card.model_copy(update=changes if card.goes_on else {}) for card in cards]
    return ResetFreePair(*cards)


def offline_data(config: Config, offline: OfflineRun) -> Transitions:
    """The transitions that the run was trained on; raises BadInput where they changed."""
    from robot_rl.cli.common import load_config
    from robot_rl.cli.finetune import offline_transitions
    from robot_rl.cli.train import Config as TrainConfig
    from robot_rl.cli.train_tasks import load_tasks
    from robot_rl.learners.prepare import data_hash

    path = config.run / "config.yaml"
    if not path.exists():
        raise BadInput(f"{config.run} has no config.yaml that says on what it was trained; or give --mix 0")
    made = load_config(TrainConfig, path)
    if not made.by_task:
        return offline_transitions(config, offline)
    if config.data_reward:
        made = replace(made, reward=config.data_reward)
    transitions, _ = load_tasks((made.dataset, *made.more), made)
    if not config.data_reward and data_hash(transitions) != offline.data_hash:
        raise BadInput(f"the datasets have changed since {config.run} was trained on them; train again")
    return transitions
