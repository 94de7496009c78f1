"""Puts the questions of a labeling to the labeler that was chosen, in rounds where the choice needs them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from robot_rl.cli import asking, judging
from robot_rl.cli.asking import Asked, Asking
from robot_rl.cli.common import progress, table
from robot_rl.cli.labeling import Labeling
from robot_rl.cli.spread import chat_on
from robot_rl.preferences.chat.announce import announcement
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.types import Labeler


@dataclass(frozen=True)
class Judged:
    """What was asked, what was answered, and by whom."""

    asking: Asking
    asked: Asked
    judge: str  # in words, for the user
    labeler: Labeler | None  # None for people, who are not asked again
    lines: tuple[str, ...] = field(default=())  # what else there is to say of it


Put = Callable[[Asking], Judged]


def ask(labeling: Labeling) -> Judged | None:
    """Choose the pairs and ask; None where a batch went out or has not come back whole."""
    way = {"human": _human, "cascade": _cascade, "chat": _chat}.get(labeling.config.labeler, _plain)
    put = way(labeling)  # refuses what cannot be used before a store is made
    if put is None:
        return None
    before = labeling.labels.totals()
    for note in labeling.labels.notes:
        print(f"note: {note}")
    judged = put(asking.choose(labeling.dataset, labeling.look, labeling.goal, labeling.choice()))
    if labeling.config.select == "disagreement":
        judged = _second_round(labeling, judged, put)
    cost, tokens = (now - then for now, then in zip(labeling.labels.totals(), before, strict=True))
    if tokens:
        spent = f"spent: {tokens:,} tokens" + (f", {cost:.4g} USD" if cost else "")
        judged = replace(judged, lines=(*judged.lines, spent))
    return judged


def _second_round(labeling: Labeling, first: Judged, put: Put) -> Judged:
    """Ask the other half of the pairs where a reward model that was fitted to the first half is unsure."""
    vectors, look = labeling.seen.vectors, labeling.look
    model = judging.fit(vectors, first.asked, labeling.reward_config)
    before = labeling.choice()
    choice = replace(
        before,
        pairs=labeling.pairs - before.pairs,
        way="disagreement",
        members=lambda pairs: model.probabilities(vectors, look.moments(pairs)),
        round=1,
    )
    second = put(asking.choose(labeling.dataset, look, labeling.goal, choice))
    return replace(second, asking=first.asking + second.asking, asked=first.asked + second.asked)


def _plain(labeling: Labeling) -> Put:
    """Ask clip, or the oracle."""
    config = labeling.config
    if config.labeler == "oracle":
        labeler = judging.oracle_labeler(
            labeling.dataset, config.error_rate, config.seed, config.position_bias
        )
        name = f"oracle ({labeler.identity['model']})"
    else:
        labeler = labeling.clip
        name = f"clip ({labeling.seen.encoder.identity['origin']})"

    def put(questions: Asking) -> Judged:
        with progress(None, "labeling", "pairs") as advance:
            return Judged(questions, asking.ask(labeler, questions, labeling.labels, advance), name, labeler)

    return put


def _chat(labeling: Labeling) -> Put | None:
    """Ask a vision-language model, or hand its questions out and take the answers in as files."""
    config = labeling.config
    labeler = ChatLabeler(config.chat, labeling.look.told)
    if config.export_batch is not None or config.import_batch:
        questions = asking.choose(labeling.dataset, labeling.look, labeling.goal, labeling.choice())
        if not _batch(labeling, labeler, questions):
            return None

    def put(questions: Asking) -> Judged:
        if not config.import_batch:
            announce(labeling, labeler, questions)
        asks = chat_on(config.ray, labeler, labeling.shared_look(), labeling.look.told)
        with progress(None, "labeling", "pairs") as advance:
            asked = asking.ask(asks, questions, labeling.labels, advance)
        return Judged(questions, asked, f"chat ({config.chat.model})", asks)

    return put


def announce(labeling: Labeling, labeler: ChatLabeler, questions: Asking, share: float = 1.0) -> None:
    """Say how many pictures go where before the first one does, and make sure that somebody is there."""
    some = questions.questions[: math.ceil(share * len(questions.questions))]
    line = announcement(labeler, some, questions.look.frames, labeling.labels)
    print(line if share == 1.0 else f"at most {line}", flush=True)
    keys = {question.key(labeler.name, labeler.identity) for question in some}
    if len(labeling.labels.get(keys)) < len(keys):
        for note in labeler.probe():
            print(f"note: {note}")


def _batch(labeling: Labeling, labeler: ChatLabeler, questions: Asking) -> bool:
    """Do what --export-batch and --import-batch say; returns whether every pair has its answer now."""
    from robot_rl.preferences.batch import export_batch, import_batch

    config, asked_of = labeling.config, (questions.questions, questions.look.frames)
    if config.export_batch is not None:
        made = export_batch(labeler, *asked_of, labeling.labels, config.export_batch)
        print("batch: " + (", ".join(map(str, made)) if made else "every pair has its answer already"))
        print("next: hand it to the provider, then the same command with --import-batch in its place")
        return False
    found = import_batch(labeler, questions.questions, config.import_batch, labeling.labels)
    print(f"batch: {found}")
    without = found.missing + found.outcomes.get("failed", 0)
    if without:
        print(
            f"{without} pairs have no answer yet: export them again, or ask them directly, without "
            "--import-batch"
        )
    return not without


def _cascade(labeling: Labeling) -> Put:
    """Ask clip about everything and the vision-language model where that pays."""
    from robot_rl.preferences.cascade import fit_cascade

    config, chat = labeling.config, ChatLabeler(labeling.config.chat, labeling.look.told)

    def put(questions: Asking) -> Judged:
        announce(labeling, chat, questions, config.cascade.share)
        asked_of, labels = (questions.questions, questions.look.frames), labeling.labels
        with progress(None, "comparing the judges", "pairs") as advance:
            labeler = fit_cascade(labeling.clip, chat, *asked_of, labels, config.cascade, advance)
        with progress(None, "labeling", "pairs") as advance:
            asked = asking.ask(labeler, questions, labels, advance)
        lines = _cascade_lines(labeler.report)
        return Judged(questions, asked, f"cascade (clip, then {config.chat.model})", labeler, lines)

    return put


def _cascade_lines(report) -> tuple[str, ...]:
    """Say what the cascade asked of whom."""
    before, after = (
        "-" if error is None else f"{error:.3f}" for error in (report.error_before, report.error_after)
    )
    told = (
        f"cascade: {report.cheap_calls:,} questions to clip, {report.expensive_calls:,} to the chat model "
        f"(expected {report.expected_calls:,}); {report.escalated_share:.0%} of {report.pairs:,} pairs are "
        f"escalated; clip's calibration error on {report.calibration_pairs} pairs {before}, then {after}"
    )
    return (told, *report.notes)


def _human(labeling: Labeling) -> Put:
    """Serve the page and wait for people."""
    from robot_rl.preferences.human.rate import rate

    config = labeling.config.human
    # What the pictures are is part of what a rater judged.
    config = replace(config, seed=config.seed or labeling.config.seed)

    def put(questions: Asking) -> Judged:
        with progress(None, "rating", "pairs") as advance:
            ratings = rate(config, questions.questions, questions.look.frames, labeling.labels, advance)
        asked = Asked(questions.pairs, tuple(ratings.answers), questions.held_out, questions.look)
        names = ", ".join(config.raters)
        return Judged(questions, asked, f"human ({names})", None, _rating_lines(labeling, asked, ratings))

    return put


def _rating_lines(labeling: Labeling, asked: Asked, ratings) -> tuple[str, ...]:
    """Tables of the raters, how far they agree, and which episodes are best by their word."""
    from robot_rl.preferences.human.summary import agreement_table, ranking_table, rater_table
    from robot_rl.preferences.ranking import rank_episodes

    pairs = [(pair.first, pair.second) for pair in asked.pairs]
    ranked = rank_episodes(pairs, [answer.p for answer in asked.answers], labeling.dataset.episode_index)
    tables: Sequence = [rater_table(ratings), agreement_table(ratings), ranking_table(ranked)]
    return tuple(table(header, rows) for header, rows in tables if rows)
