"""The charts of a night's report: what changed per session, and training curves."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from train.report.drawing import COLOURS, Drawing, blank, dot, draw
from train.report.formatting import plain

_WAYS = {"better": "good", "worse": "bad", "same": "calm"}  # the colour of each
LINES = ("right", "left")  # the colours of a chart's curves
_WIDTH_PX, _SIDES_PX = 470, 20  # of a chart of changes
_TICKS = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row of a chart of changes: lower is better."""

    name: str
    before: float | None
    after: float | None

    @property
    def gain(self) -> float | None:
        """The gain: the share by which the value fell, negative if it rose; None if a value is not
        known or the first is not above 0.
        """
        if self.before is None or self.after is None or self.before <= 0:
            return None
        return 1 - self.after / self.before

    @property
    def way(self) -> str:
        """In which direction the value changed: `better` if it fell, `worse` if it rose, `same` if
        it is equal within rounding or not known.
        """
        if self.before is None or self.after is None or math.isclose(self.before, self.after):
            return "same"
        return "better" if self.after < self.before else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve over the steps of training; NaN is a gap."""

    label: str
    points: tuple[tuple[float, float], ...]


def change_chart(changes: Sequence[Change], mark: Callable[[float], str]) -> list[Drawing]:
    """An arrow from before to after for every change, all on one scale from 0; last, the scale,
    whose values `mark` writes. A value that is None is not drawn.
    """
    values = [value for c in changes for value in (c.before, c.after) if value is not None]
    ticks = [float(tick) for tick in _TICKS.tick_values(0.0, max(values, default=0.0) or 1.0)]
    arrows = [_arrow(change, ticks) for change in changes]
    axes = blank(_WIDTH_PX, 18, sides=_SIDES_PX, bottom=17)
    axes.set(xlim=(0, ticks[-1]))
    axes.set_xticks(ticks, [mark(tick) for tick in ticks])
    return [*arrows, draw(axes)]


def _arrow(change: Change, ticks: Sequence[float]) -> Drawing:
    axes = blank(_WIDTH_PX, 19, sides=_SIDES_PX)
    axes.set(xlim=(0, ticks[-1]), ylim=(-9.5, 9.5))
    axes.vlines(ticks, -9.5, 9.5, color=COLOURS["grid"], lw=1)
    before, after, colour = change.before, change.after, _WAYS[change.way]
    if before is not None and after is not None:
        axes.plot([before, after], [0, 0], color=COLOURS[colour], lw=2.4)
    if before is not None:
        dot(axes, before, 0, "quiet", 10)
        dot(axes, before, 0, "panel", 6)
    if after is not None and before is not None and change.way != "same":
        px = ticks[-1] / (_WIDTH_PX - 2 * _SIDES_PX) * (1 if change.way == "better" else -1)
        head = [after + length * px for length in (0, 10, 7.5, 10)]
        axes.fill(head, [0, 6.5, 0, -6.5], color=COLOURS[colour], lw=0, zorder=3)
    elif after is not None:
        dot(axes, after, 0, colour)
    return draw(axes)


def interval_chart(gain: float, low: float, high: float) -> Drawing:
    """A drawing of a gain with its interval, beside zero; all are shares of 1. Green if the whole
    interval is above 0, red if it is below.
    """
    axes = blank(220, 36, sides=26, bottom=18)
    colour = "good" if low > 0 else "bad" if high < 0 else "calm"
    axes.axvline(0, color=COLOURS["quiet"], lw=1.5)
    axes.plot([low, high], [0, 0], color=COLOURS[colour], lw=5, alpha=0.35)
    dot(axes, gain, 0, colour, 11)
    axes.set_xticks([0], ["no gain"])
    label = f"gain {100 * gain:.1f} %, between {100 * low:.1f} and {100 * high:.1f} %"
    return draw(axes, label)


def curve_chart(lines: Sequence[Line], *, logarithmic: bool, steps: float) -> Drawing:
    """Curves over steps 0 to `steps`, at most two; values that are not finite make gaps, and the
    first gap is marked. With `logarithmic`, values of 0 or less are left out, else the scale begins
    at 0.
    """
    axes = blank(320, 215, sides=8, left=44, bottom=22)
    for line, colour in zip(lines, LINES, strict=False):
        drawn = [(x, y if y > 0 or not logarithmic else math.nan) for x, y in line.points]
        axes.plot(*zip(*drawn or [(0, math.nan)], strict=True), color=COLOURS[colour], lw=2.2)
        if known := [(x, y) for x, y in drawn if math.isfinite(y)]:
            dot(axes, *known[-1], colour)
        if lost := [x for x, y in line.points if not math.isfinite(y)]:
            axes.axvline(lost[0], color=COLOURS["bad"], lw=1.5, ls=(0, (3, 3)))
            at = "left" if lost[0] < steps / 2 else "right"
            axes.text(
                lost[0], 1.01, "not finite", transform=axes.get_xaxis_transform(), ha=at,
                color=COLOURS["bad"], fontsize=12,
            )  # fmt: skip
    values = [y for line in lines for _, y in line.points if math.isfinite(y)]
    values = [y for y in values if y > 0 or not logarithmic] or [1.0]
    low, high = min(values) / 1.08, max(values) * 1.08
    if logarithmic:
        axes.set_yscale("log")
        tens = high / low
        subs = (1, 1.5, 2, 3, 5, 7) if tens < 10 else (1, 2, 5) if tens < 100 else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.set_ylim(low, high)
    else:
        ticks = _TICKS.tick_values(0.0, max(values))
        axes.set(ylim=(0, ticks[-1]), yticks=ticks)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: plain(y)))
    axes.grid(axis="y", color=COLOURS["grid"], lw=1)
    marks = [tick for tick in _TICKS.tick_values(0.0, steps) if tick <= steps]
    axes.set(xlim=(0, steps))
    axes.set_xticks(marks, [f"{mark:g}" if mark else "step 0" for mark in marks])
    return draw(axes)
