"""Success over the minutes that a robot practised, one line a task, with Wilson intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from robot_rl.errors import BadInput
from robot_rl.report.drawing import FULL_WIDTH, SERIES, figure, style, to_svg
from robot_rl.report.statistics import wilson


@dataclass(frozen=True)
class Tried:
    """Tries at one moment, or over a span around it."""

    minute: float  # of robot time
    tries: int
    successes: int


def success_over_minutes(series: Mapping[str, Sequence[Tried]], label: str) -> str:
    """The lines as SVG; raises BadInput where there is nothing to draw."""
    drawn = {name: [one for one in line if one.tries] for name, line in series.items()}
    if not any(drawn.values()):
        raise BadInput("success over minutes: needs at least one try")
    with style():
        fig = figure(FULL_WIDTH, 320)
        axes = fig.subplots()
        for (name, line), colour, marker in zip(drawn.items(), cycle(SERIES), cycle("os^D"), strict=False):
            found = [wilson(one.successes, one.tries) for one in line]
            minutes = [one.minute for one in line]
            low, high = [f.low for f in found], [f.high for f in found]
            axes.fill_between(minutes, low, high, color=colour, alpha=0.15, lw=0)
            means = [f.mean for f in found]
            axes.plot(minutes, means, marker=marker, color=colour, markersize=4, label=name, clip_on=False)
        axes.set(ylim=(0, 1.02), xlabel="minutes of trying, going home left out", ylabel="success")
        axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
        axes.grid(axis="x", visible=False)
        axes.margins(x=0.02)
        fig.legend(loc="outside lower center", ncols=max(len(drawn), 1))
        return to_svg(fig, label)
