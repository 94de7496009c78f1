"""Tables of a rating run for the terminal: who said what, how far they agree, which episodes are best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from robot_rl.preferences.human.answer import category
from robot_rl.preferences.human.ratings import Ratings
from robot_rl.preferences.ranking import EpisodeSkill
from robot_rl.preferences.types import Outcome, Preference

Table = tuple[list[str], list[list[object]]]  # header and rows, as cli.common.table takes them
_NONE = "-"


def rater_table(ratings: Ratings) -> Table:
    """One row a rater. `left` near 0 % or 100 % tells of somebody who did not look: sides are tossed."""
    header = ["rater", "answered", "of", "preferences", "ties", "cannot tell", "left", "pairs/min"]
    rows: list[list[object]] = []
    for name, his in ratings.per_rater.items():
        said = Counter(category(answer) for answer in his.values())
        speed = ratings.pace[name]
        row = [name, len(his), ratings.given[name], said["first"] + said["second"], said["tie"]]
        row += [said["cannot_tell"], _percent(left_share(list(his.values())))]
        rows.append([*row, _NONE if speed is None else f"{speed:.1f}"])
    return header, rows


def left_share(answers: Sequence[Preference]) -> float | None:
    """Share of a rater's preferences that went to the picture shown first, in [0, 1]; None without any."""
    sides = [(a.p < 0.5) == (a.order == "given") for a in answers if a.outcome is Outcome.PREFERENCE]
    return sum(sides) / len(sides) if sides else None


def agreement_table(ratings: Ratings) -> Table:
    """One row for each two raters; kappa is 1 for full agreement and 0 for what chance alone would give."""
    rows = [
        [
            f"{a.first} and {a.second}",
            a.questions,
            _percent(a.observed),
            _NONE if a.kappa is None else f"{a.kappa:.2f}",
        ]
        for a in ratings.agreement
    ]
    return ["raters", "questions", "agree", "kappa"], rows


def ranking_table(ranked: Sequence[EpisodeSkill], most: int = 5) -> Table:
    """The best and the worst `most` episodes that have played at all."""
    played = [skill for skill in ranked if skill.games]
    ends = played if len(played) <= 2 * most else [*played[:most], *played[-most:]]
    rows = [[s.place, s.episode, f"{s.mu:.1f}", f"{s.sigma:.1f}", s.games, f"{s.won:g}"] for s in ends]
    return ["place", "episode", "skill", "+/-", "games", "won"], rows


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{share:.0%}"
