"""The charts of a night's report as SVG: what changed per session, and figures over steps.

Places are percent of the width, so lines stretch and words keep their size, on a wall or a phone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from train.report.formatting import MINUS, NOTHING, plain
from train.report.html import Markup, element, join

Say = Callable[[float], str]

_DIVISIONS = 4
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row of a chart of changes: lower is better."""

    name: str
    before: float | None
    after: float | None

    @property
    def gain(self) -> float | None:
        """The share by which it fell."""
        if self.before is None or self.after is None or self.before <= 0:
            return None
        return 1 - self.after / self.before

    @property
    def way(self) -> str:
        """Which way it went, as the class of its colour."""
        if self.before is None or self.after is None or math.isclose(self.before, self.after):
            return "same"
        return "better" if self.after < self.before else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure over steps."""

    label: str
    kind: str  # the class of its colour
    points: tuple[tuple[float, float], ...]


def change_chart(changes: Sequence[Change], say: Say, mark: Say) -> Markup:
    """A row for every session, an arrow from before to after, all on one scale from 0."""
    values = [v for c in changes for v in (c.before, c.after) if v is not None]
    step = round_step(max(values, default=0.0))
    top = step * max(1, math.ceil(max(values, default=0.0) / step * 1.02))
    ticks = [step * i for i in range(round(top / step) + 1)]
    grid = [
        element("line", x1=_at(t, top), x2=_at(t, top), y1=0, y2="100%", class_="grid")
        for t in ticks
    ]
    drawn = [_change(change, say, top, join(*grid)) for change in changes]
    scale = [_tick(t, top, mark(t)) for t in ticks]
    return element("div", *drawn, element("svg", *scale, class_="scale"), class_="changes")


def _change(change: Change, say: Say, top: float, grid: Markup) -> Markup:
    gain = change.gain
    said = [say(v) if v is not None else NOTHING for v in (change.before, change.after)]
    moved = "" if gain is None else f"{MINUS if gain >= 0 else '+'}{abs(100 * gain):.1f} %"
    moved = "0 %" if moved.endswith((f"{MINUS}0.0 %", "+0.0 %")) else moved
    words = element(
        "p",
        element("span", change.name, class_="who"),
        element("span", f"{said[0]} → ", element("b", said[1]), class_="what"),
        element("span", moved, class_=f"moved {change.way}"),
    )
    label = f"{change.name}: {said[0]} before, {said[1]} after"
    arrow = element("svg", grid, _arrow(change, top), class_="arrow", role="img", aria_label=label)
    return element("div", words, arrow, class_="change")


def _arrow(change: Change, top: float) -> Markup:
    parts = []
    if change.before is not None and change.after is not None and change.way != "same":
        ends = {"x1": _at(change.before, top), "x2": _at(change.after, top)}
        parts.append(element("line", **ends, y1="50%", y2="50%", class_=f"shaft {change.way}"))
    if change.before is not None:
        parts.append(
            element("circle", cx=_at(change.before, top), cy="50%", r=4.5, class_="before")
        )
    if change.after is not None:
        parts.append(_head(change, _at(change.after, top)))
    return join(*parts)


def _head(change: Change, x: str) -> Markup:
    """Where it is now: a head that points the way it went, or a dot."""
    if change.way == "same" or change.before is None:
        return element("circle", cx=x, cy="50%", r=4.5, class_="after same")
    shape = {"better": "M-1 0L9 -6.5L6.5 0L9 6.5Z", "worse": "M1 0L-9 -6.5L-6.5 0L-9 6.5Z"}
    path = element("path", d=shape[change.way], class_=f"after {change.way}")
    return element("svg", path, x=x, y="50%", overflow="visible", class_="point")


def interval_chart(gain: float, low: float, high: float) -> Markup:
    """A gain within its interval, against none at all."""
    least, most = min(low, gain, 0.0), max(high, gain, 0.0)
    room = (most - least) * 0.06 or 0.01
    start, width = least - room, most - least + 2 * room

    def at(value: float) -> str:
        return _at(value - start, width)

    way = "better" if low > 0 else "worse" if high < 0 else "same"
    return element(
        "svg",
        element("line", x1=at(0), x2=at(0), y1=2, y2=20, class_="zero"),
        element("line", x1=at(low), x2=at(high), y1=11, y2=11, class_=f"range {way}"),
        element("circle", cx=at(gain), cy=11, r=5.5, class_=f"after {way}"),
        element("text", "no gain", x=at(0), y=34, text_anchor=_anchor((0 - start) / width)),
        class_="interval",
        role="img",
        aria_label=f"gain {100 * gain:.1f} %, between {100 * low:.1f} and {100 * high:.1f} %",
    )


def curve_chart(lines: Sequence[Line], *, logarithmic: bool, steps: float) -> Markup:
    """Figures over steps, each named where it ends; a gap is where there was no number."""
    values = [y for line in lines for _, y in line.points if math.isfinite(y)]
    values = [y for y in values if y > 0] if logarithmic else values
    low, high, ticks = _log_range(values) if logarithmic else _range(values)
    fold = math.log if logarithmic else float

    def up(y: float) -> float:
        return 100 * (1 - (fold(y) - fold(low)) / ((fold(high) - fold(low)) or 1.0))

    drawn = [_curve(line, up, steps, logarithmic) for line in lines]
    grid = [
        join(
            element("line", x1=0, x2="100%", y1=f"{up(t):.2f}%", y2=f"{up(t):.2f}%", class_="grid"),
            element("text", plain(t), x=-6, y=f"{up(t):.2f}%", dy="0.35em", text_anchor="end"),
        )
        for t in ticks
    ]
    plot = element("svg", *grid, *drawn, class_="plot", overflow="visible")
    step = round_step(steps)
    marks = [step * i for i in range(int(steps / step + 1e-9) + 1)]
    scale = [_tick(t, steps, f"{t:g}" if t else "step 0") for t in marks]
    return element("div", plot, element("svg", *scale, class_="scale"), class_="curve")


def _curve(line: Line, up: Callable[[float], float], steps: float, logarithmic: bool) -> Markup:
    paths, last, pen = [], None, "M"
    for x, y in line.points:
        if not math.isfinite(y) or (logarithmic and y <= 0):
            pen = "M"
            continue
        last = (100 * x / steps, up(y))
        paths.append(f"{pen}{last[0]:.2f} {last[1]:.2f}")
        pen = "L"
    path = element("path", d="".join(paths), class_=line.kind)
    stretched = element(
        "svg", path, viewBox="0 0 100 100", preserveAspectRatio="none", overflow="visible",
        width="100%", height="100%",
    )  # fmt: skip
    dot = (
        element("circle", cx=f"{last[0]:.2f}%", cy=f"{last[1]:.2f}%", r=4, class_=line.kind)
        if last
        else None
    )
    lost = [x for x, y in line.points if not math.isfinite(y)]
    return join(stretched, dot, _lost(lost[0] / steps) if lost else None)


def _lost(share: float) -> Markup:
    """Where a figure first was no number."""
    at = f"{100 * share:.2f}%"
    said = element("text", "no number", x=at, y=-5, text_anchor=_anchor(share), class_="lost")
    return join(element("line", x1=at, x2=at, y1=0, y2="100%", class_="lost"), said)


def _range(values: Sequence[float]) -> tuple[float, float, list[float]]:
    most = max(values, default=1.0)
    step = round_step(most)
    top = step * max(1, math.ceil(most / step))
    return 0.0, top, [step * i for i in range(round(top / step) + 1)]


def _log_range(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """A little more than the values span, marked at 1, 2 and 5 of every ten."""
    low, high = min(values, default=1.0) / 1.08, max(values, default=1.0) * 1.08
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1,)):
        ticks = [d * 10.0**ten for ten in tens for d in digits if low <= d * 10.0**ten <= high]
        if len(ticks) <= 6:
            break
    return low, high, ticks[:: max(1, math.ceil(len(ticks) / 6))]


def round_step(top: float) -> float:
    """A round distance between marks of a scale from 0 to `top`."""
    if not math.isfinite(top) or top <= 0:
        return 1.0
    least = top / _DIVISIONS
    ten = 10.0 ** math.floor(math.log10(least))
    return next((s * ten for s in _STEPS if s * ten >= least * 0.999), 10 * ten)


def _tick(value: float, top: float, said: str) -> Markup:
    share = value / top if top else 0.0
    return element("text", said, x=_at(value, top), y=13, text_anchor=_anchor(share))


def _anchor(share: float) -> str:
    return "start" if share < 0.06 else "end" if share > 0.94 else "middle"


def _at(value: float, top: float) -> str:
    return f"{100 * value / top if top else 0:.2f}%"
