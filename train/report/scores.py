"""The scores of a night's report: their meaning, their change per session, the training curves.

Lower is always better; a score without a name here appears under its key.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from train.report.charts import Change, Line, change_chart, curve_chart
from train.report.drawing import Drawing
from train.report.formatting import (
    MINUS,
    NOTHING,
    Report,
    count,
    finite,
    items,
    number,
    percent,
    plain,
    rows,
    table,
    text,
)

NAMES = {
    "one_view_share": (
        "One camera alone",
        "distance of the body lifted from one camera from the one reconstructed by all cameras",
    ),
    "fused_share": (
        "All cameras fused by the lifter",
        "the same for the fused body",
    ),
    "n_mpjpe_mm": ("Against ground truth", "the body lifted from one camera (N-MPJPE)"),
    "p_mpjpe_mm": (
        "Against ground truth, pose only",
        "the same after the best similarity (P-MPJPE)",
    ),
    "views_apart": (
        "Disagreement of the views",
        "distance between the bodies lifted from single cameras",
    ),
    "bone_spread": ("Bones", "relative standard deviation of their lengths"),
    "reprojection_share": (
        "Reprojection error",
        "distance of the projected joints from the keypoints",
    ),
}
_REFERENCE = {"n_mpjpe": "everyday movement, N-MPJPE", "p_mpjpe": "everyday movement, P-MPJPE"}
_FINE = 0.05  # shares below it have two decimals in percent
_COMPARED_BY = ("one_view_share", "n_mpjpe_mm")
_CURVES = (
    ("loss", "Loss", "mean since the previous point", {"loss": "loss"}),
    (
        "errors",
        "Error on instants kept back",
        "millimetres, N-MPJPE",
        {"one_view": "one camera", "fused": "all cameras"},
    ),
    (
        "agreement",
        "Agreement of the views",
        "label-free; trunk and leg are 1",
        {"views_apart": "disagreement of the views", "bone_spread": "spread of bone lengths"},
    ),
)


class Row(NamedTuple):
    """One change as text and as an arrow."""

    name: str
    before: str
    after: str
    moved: str
    way: str
    arrow: Drawing


class Panel(NamedTuple):
    """A titled chart: rows with an arrow each and the scale of all, or curves and their key."""

    title: str
    meaning: str
    chart: Drawing
    changes: Sequence[Row] = ()
    curves: Sequence[tuple[str, str]] = ()  # label, first and last value


def better_and_worse(report: Report) -> tuple[int, int, int] | None:
    """How many kept-back sessions became better, became worse and stayed the same, by the error of
    one camera alone, else by N-MPJPE; None if no session has both values.
    """
    ways = [change.way for change in _compared(report)]
    if not ways:
        return None
    return ways.count("better"), ways.count("worse"), ways.count("same")


def _compared(report: Report) -> list[Change]:
    """Every kept-back session's change, by the first score that it has."""
    found = []
    for row in rows(report, "evaluation"):
        changes = (_change(row, key) for key in _COMPARED_BY)
        known = [c for c in changes if c.before is not None and c.after is not None]
        found += known[:1]
    return found


def changes_panels(report: Report) -> list[Panel]:
    """A panel for every score with a row for every kept-back session that has it, in the order of
    `NAMES`, then others by key; last, one for the reference. Empty if the report has no scores.
    """
    evaluation = rows(report, "evaluation")
    keys = [
        key
        for row in evaluation
        for when in ("before", "after")
        for key, value in table(row, when).items()
        if finite(value) is not None
    ]
    ordered = [key for key in NAMES if key in keys]
    ordered += sorted({str(key) for key in keys} - set(NAMES))
    panels = []
    for key in ordered:
        changes = [_change(row, key) for row in evaluation]
        changes = [c for c in changes if c.before is not None or c.after is not None]
        panels.append(_panel(*NAMES.get(key, (key, "")), key, changes))
    return [*panels, *_reference(table(report, "reference"))]


def _reference(reference: Report) -> list[Panel]:
    """A panel of what must not be forgotten: everyday movement, and files with ground truth."""
    changes = [_change(reference, f"{key}_mm", name) for key, name in _REFERENCE.items()]
    for name, pair in table(reference, "files").items():
        both = dict(zip(("before", "after"), items({"both": pair}, "both"), strict=False))
        changes.append(_change(both, "n_mpjpe_mm", f"{name}, N-MPJPE"))
    changes = [c for c in changes if c.before is not None or c.after is not None]
    if not changes:
        return []
    meaning = f"{count(number(reference, 'instants'), 'view', 'views')} of bodies with ground truth"
    return [_panel("Not to be forgotten", meaning, "n_mpjpe_mm", changes)]


def curve_panels(report: Report) -> list[Panel]:
    """Charts of the losses and errors during training, only those of which the report has finite
    values; empty if there is no step above 0.
    """
    points = rows(table(report, "training"), "curve")
    points_by_step = [
        (step, p) for p in points if (step := number(p, "step")) is not None and step >= 0
    ]
    steps = max((step for step, _ in points_by_step), default=0.0)
    if steps <= 0:
        return []
    panels = []
    for kind, title, meaning, names in _CURVES:
        lines = [_line(points_by_step, key, label) for key, label in names.items()]
        lines = [line for line in lines if any(finite(y) is not None for _, y in line.points)]
        if lines:
            chart = curve_chart(lines, logarithmic=kind == "loss", steps=steps)
            key = [(line.label, _ends(line)) for line in lines]
            panels.append(Panel(title, meaning, chart, curves=key))
    return panels


def _line(points_by_step: Sequence[tuple[float, Report]], key: str, label: str) -> Line:
    """The curve of one key; values that are not numbers make gaps."""
    values = [(step, point[key]) for step, point in points_by_step if key in point]
    known = [(step, finite(y)) for step, y in values if y is not None or key == "loss"]
    return Line(
        label=label,
        points=tuple((step, float("nan") if y is None else y) for step, y in known),
    )


def _ends(line: Line) -> str:
    """The first and the last value."""
    known = [y for _, y in line.points if finite(y) is not None]
    return f"{known[0]:.3g} → {known[-1]:.3g}"


def _change(row: Report, key: str, name: str | None = None) -> Change:
    session = text(row, "session") or "unnamed"
    earlier = " (kept back earlier)" if row.get("is_new") is False else ""
    return Change(
        name=name or session + earlier,
        before=number(table(row, "before"), key),
        after=number(table(row, "after"), key),
    )


def _panel(title: str, meaning: str, key: str, changes: Sequence[Change]) -> Panel:
    """The changes of one score in its unit, in as many digits as they need."""
    write, mark = _formats(key, changes)
    *arrows, scale = change_chart(changes, mark)
    found = []
    for change, arrow in zip(changes, arrows, strict=True):
        before, after = (NOTHING if v is None else write(v) for v in (change.before, change.after))
        found.append(Row(change.name, before, after, _moved(change.gain), change.way, arrow))
    return Panel(title, meaning, scale, changes=found)


def _formats(
    key: str, changes: Sequence[Change]
) -> tuple[Callable[[float], str], Callable[[float], str]]:
    """How a score's values and the marks of its scale are written."""
    if key.endswith("_mm"):
        return lambda v: f"{v:.1f} mm", lambda v: f"{v:g} mm" if v else "0"
    if key not in NAMES and not key.endswith("_share"):
        return plain, plain
    most = max(v for c in changes for v in (c.before, c.after) if v is not None)
    digits = 1 if most >= _FINE else 2
    return lambda v: percent(v, digits), lambda v: f"{100 * v:.3g} %"


def _moved(gain: float | None) -> str:
    if gain is None:
        return ""
    moved = f"{abs(100 * gain):.1f} %"
    return "0 %" if moved == "0.0 %" else f"{MINUS if gain >= 0 else '+'}{moved}"
