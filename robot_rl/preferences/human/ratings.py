"""What several raters said, together: one answer a question, who said what, how fast, how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from robot_rl.preferences.human.agreement import Agreement, agreements
from robot_rl.preferences.human.answer import unanswered
from robot_rl.preferences.human.pace import pace
from robot_rl.preferences.types import Outcome, Preference, Question


@dataclass(frozen=True)
class Ratings:
    """The outcome of a rating run, earlier runs' answers to the same questions included."""

    answers: tuple[Preference, ...]  # one a question, in the order of the questions
    per_rater: Mapping[str, Mapping[int, Preference]]  # rater -> index of the question -> his answer
    given: Mapping[str, int]  # rater -> how many questions he was to answer
    pace: Mapping[str, float | None]  # rater -> pairs a minute
    agreement: tuple[Agreement, ...]  # each two raters

    @property
    def unanswered(self) -> int:
        """How many questions nobody has answered."""
        return sum(answer.outcome is Outcome.FAILED for answer in self.answers)


def collect(
    questions: Sequence[Question],
    per_rater: Mapping[str, Mapping[int, Preference]],
    given: Mapping[str, int],
    counted: Sequence[int],
) -> Ratings:
    """Put the raters' answers together; `counted` are the question indices without repeats of one content."""
    answers = tuple(
        merged([his[index] for his in per_rater.values() if index in his], question)
        for index, question in enumerate(questions)
    )
    paces = {name: pace(his[i] for i in counted if i in his) for name, his in per_rater.items()}
    return Ratings(answers, per_rater, given, paces, agreements(per_rater, counted))


def merged(said: Sequence[Preference], question: Question) -> Preference:
    """One answer of several raters': the mean p of those with an opinion, in which a tie counts one half.

    All ties are a tie, no opinion at all is cannot-tell, and no answer is FAILED. Its latency is the seconds
    of all, its model the names of those it rests on; a single rater's answer stays as it is.
    """
    opinions = [answer for answer in said if answer.p is not None]
    among = opinions or list(said)
    if not among:
        return unanswered(question, "")
    if len(among) == 1:
        return among[0]
    outcome = Outcome.CANNOT_TELL
    if opinions:
        ties = all(answer.outcome is Outcome.TIE for answer in opinions)
        outcome = Outcome.TIE if ties else Outcome.PREFERENCE
    orders = {answer.order for answer in among}
    return replace(
        among[0],
        outcome=outcome,
        p=sum(answer.p for answer in opinions) / len(opinions) if opinions else None,
        model="+".join(answer.model for answer in among),
        order=orders.pop() if len(orders) == 1 else question.order,
        latency=sum(answer.latency for answer in said),
    )
