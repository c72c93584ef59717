"""The scores of a night's report: what each means, how it changed per session, how the run went.

Lower is better everywhere; a score nobody named here is still shown, by its key.
"""

from collections.abc import Sequence

from train.report.charts import Change, Line, change_chart, curve_chart
from train.report.formatting import (
    Told,
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
from train.report.html import Markup, element

NAMES = {
    "one_view_share": (
        "One camera alone",
        "how far the body from a single camera is from the one that all cameras found together",
    ),
    "fused_share": (
        "All cameras in the network",
        "the same for what the network makes of all of them",
    ),
    "n_mpjpe_mm": ("Against the truth", "one camera's body, joint by joint (N-MPJPE)"),
    "p_mpjpe_mm": ("Against the truth, pose only", "the same after the best turn (P-MPJPE)"),
    "views_apart": (
        "Cameras among themselves",
        "how far apart the bodies are that the single cameras give",
    ),
    "bone_spread": ("Bones", "how much their lengths change, though bones do not"),
    "reprojection_share": (
        "Back in the pictures",
        "how far joints land from where the camera saw them",
    ),
}
_REFERENCE = {"n_mpjpe": "everyday movement, N-MPJPE", "p_mpjpe": "everyday movement, P-MPJPE"}
_FINE = 0.05  # shares below are said to a hundredth of a percent
_JUDGED_BY = ("one_view_share", "n_mpjpe_mm")
_CURVES = (
    ("loss", "Loss", "mean since the point before", {"loss": "loss"}),
    (
        "errors",
        "Error on instants kept back",
        "millimetres, N-MPJPE",
        {"one_view": "one camera alone", "fused": "all together"},
    ),
    (
        "agreement",
        "Agreement among cameras",
        "told without a truth; trunk and leg are 1",
        {"views_apart": "cameras apart", "bone_spread": "bones"},
    ),
)


def better_and_worse(report: Told) -> tuple[int, int, int] | None:
    """How many kept-back sessions got better, worse and neither."""
    ways = [change.way for change in _judged(report)]
    if not ways:
        return None
    return ways.count("better"), ways.count("worse"), ways.count("same")


def _judged(report: Told) -> list[Change]:
    """Every kept-back session's change, by the first score that it has."""
    found = []
    for told in rows(report, "evaluation"):
        changes = (_change(told, key) for key in _JUDGED_BY)
        known = [c for c in changes if c.before is not None and c.after is not None]
        found += known[:1]
    return found


def changes_panels(report: Told) -> list[Markup]:
    """A panel for every score with a row for every kept-back session, and one for the reference."""
    evaluation = rows(report, "evaluation")
    keys = [
        key
        for told in evaluation
        for when in ("before", "after")
        for key, value in table(told, when).items()
        if finite(value) is not None
    ]
    ordered = [key for key in NAMES if key in keys]
    ordered += sorted({str(key) for key in keys} - set(NAMES))
    panels = []
    for key in ordered:
        changes = [_change(told, key) for told in evaluation]
        changes = [c for c in changes if c.before is not None or c.after is not None]
        title, meaning = NAMES.get(key, (key, ""))
        panels.append(_panel(title, meaning, _chart(key, changes)))
    return [*panels, *_reference(table(report, "reference"))]


def _reference(reference: Told) -> list[Markup]:
    """What the network must not forget: bodies, and files, whose truth is known."""
    changes = [_change(reference, f"{key}_mm", name) for key, name in _REFERENCE.items()]
    for name, pair in table(reference, "files").items():
        both = items({"both": pair}, "both")
        told = dict(zip(("before", "after"), both, strict=False))
        changes.append(_change(told, "n_mpjpe_mm", f"{name}, N-MPJPE"))
    changes = [c for c in changes if c.before is not None or c.after is not None]
    if not changes:
        return []
    meaning = (
        f"{count(number(reference, 'instants'), 'view', 'views')} of bodies whose truth is known"
    )
    return [_panel("What it knew already", meaning, _chart("n_mpjpe_mm", changes))]


def curve_panels(report: Told) -> list[Markup]:
    """How the losses and errors went while it trained."""
    points = rows(table(report, "training"), "curve")
    placed = [(step, p) for p in points if (step := number(p, "step")) is not None and step >= 0]
    steps = max((step for step, _ in placed), default=0.0)
    if steps <= 0:
        return []
    panels = []
    for kind, title, meaning, names in _CURVES:
        lines = [_line(placed, key, label, i) for i, (key, label) in enumerate(names.items())]
        lines = [line for line in lines if any(finite(y) is not None for _, y in line.points)]
        if lines:
            chart = curve_chart(lines, logarithmic=kind == "loss", steps=steps)
            panels.append(_panel(title, meaning, _key(lines), chart))
    return panels


def _line(placed: Sequence[tuple[float, Told]], key: str, label: str, index: int) -> Line:
    """What was noted under the key; what was noted and is no number makes a gap."""
    told = [(step, point[key]) for step, point in placed if key in point]
    noted = [(step, finite(y)) for step, y in told if y is not None or key == "loss"]
    points = tuple((step, float("nan") if y is None else y) for step, y in noted)
    return Line(label=label, kind=f"line{index}", points=points)


def _key(lines: Sequence[Line]) -> Markup:
    """Which line is which, where it started and where it ended."""
    said = []
    for line in lines:
        known = [y for _, y in line.points if finite(y) is not None]
        ends = f"{known[0]:.3g} → {known[-1]:.3g}"
        dot = element("i", class_=f"dot {line.kind}")
        said.append(element("span", dot, f"{line.label} ", element("b", ends)))
    return element("p", *said, class_="key")


def _change(told: Told, key: str, name: str | None = None) -> Change:
    session = text(told, "session") or "unnamed"
    earlier = " (kept back earlier)" if told.get("is_new") is False else ""
    return Change(
        name=name or session + earlier,
        before=number(table(told, "before"), key),
        after=number(table(told, "after"), key),
    )


def _panel(title: str, meaning: str, *parts: Markup) -> Markup:
    heading = element("h3", title, *([element("small", meaning)] if meaning else []))
    return element("section", heading, *parts, class_="panel")


def _chart(key: str, changes: Sequence[Change]) -> Markup:
    """The changes of one score in its unit, in as many digits as they need."""
    if key.endswith("_mm"):
        return change_chart(changes, lambda v: f"{v:.1f} mm", lambda v: f"{v:g} mm" if v else "0")
    if key not in NAMES and not key.endswith("_share"):
        return change_chart(changes, plain, plain)
    most = max(v for c in changes for v in (c.before, c.after) if v is not None)
    digits = 1 if most >= _FINE else 2
    return change_chart(changes, lambda v: percent(v, digits), lambda v: f"{100 * v:.3g} %")
