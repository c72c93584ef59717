"""A night's report as one HTML file without other files: the verdict, and all figures.

Every report gives a page; what is not known is left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cvsf.system.disk import Storage, replace_file
from train.report.charts import LINES, interval_chart
from train.report.drawing import Drawing
from train.report.formatting import (
    Report,
    count,
    finite,
    items,
    moment,
    number,
    percent,
    rows,
    span,
    table,
    text,
)
from train.report.scores import better_and_worse, changes_panels, curve_panels
from train.report.skeletons import (
    VIEWS,
    Build,
    Extent,
    Instant,
    common_extent,
    draw_body,
    read_build,
    read_instants,
)
from train.report.tables import (
    engine_facts,
    gate_rows,
    rollback,
    session_rows,
    step_rows,
    training_facts,
)

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_OUTCOMES = {
    "promoted": ("▲", "promoted", "The hub uses the new engine from now on."),
    "kept": ("■", "kept", "The new engine was not measurably better: the previous one stays live."),
    "refused": ("✕", "refused", "The night stopped; the live engine stays live."),
    "dry run": ("○", "dry run", "Nothing was changed."),
}
_UNFINISHED = ("…", "unfinished", "The night has no verdict yet.")


class Tile(NamedTuple):
    """One key figure and its meaning."""

    figure: str
    what: str
    more: str | None = None
    marks: Sequence[tuple[str, str]] = ()  # class and sign, for every session
    drawing: Drawing | None = None


def write_page(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as one HTML file, whole or not at all, in place of one that is there. What
    the report lacks is left out of the page; OSError if it cannot be written.
    """
    page = _PAGES.get_template("night.html").render(_facts(report))
    replace_file(Storage(), path, page.encode())


def _facts(report: Report) -> dict[str, Any]:
    began, ended = moment(report, "began"), moment(report, "ended")
    sign, name, meaning = _OUTCOMES.get(text(report, "outcome") or "", _UNFINISHED)
    verdict = text(report, "verdict") or ""
    build = read_build(report)
    seconds = [number(step, "seconds") for step in rows(report, "steps")]
    return {
        "day": _day(report),
        "times": " to ".join(f"{at:%H:%M}" for at in (began, ended) if at),
        "outcome": {"sign": sign, "name": name, "meaning": meaning},
        "verdict": verdict,
        "problems": [str(p) for p in items(report, "problems") if p and str(p) not in verdict],
        "tiles": [
            t for t in (_gain(report), _learned(report), _compared(report), _time(report)) if t
        ],
        "gate": gate_rows(report),
        "changes": changes_panels(report),
        "training": training_facts(report),
        "curves": curve_panels(report),
        "line_colours": LINES,
        "sides": "left" in build.sides if build else False,
        "bodies": _bodies(read_instants(report, build), build) if build else [],
        "sessions": session_rows(report),
        "total": span(sum(s for s in seconds if s is not None)),
        "steps": step_rows(report),
        "engines": engine_facts(report),
        "rollback": rollback(report),
    }


def _gain(report: Report) -> Tile | None:
    gain = number(report, "gain")
    if gain is None:
        return None
    limits = [finite(value) for value in items(report, "gain_interval")]
    drawing, more = None, None
    if len(limits) == 2 and limits[0] is not None and limits[1] is not None:
        drawing = interval_chart(gain, limits[0], limits[1])
        more = f"likely between {percent(limits[0])} and {percent(limits[1])}"
    what = f"{'less' if gain >= 0 else 'more'} error of single cameras"
    return Tile(percent(abs(gain)), what, more, drawing=drawing)


def _learned(report: Report) -> Tile | None:
    sessions = rows(table(report, "sessions"), "learned")
    if not sessions:
        return None
    of = count(len(sessions), "session", "sessions")
    instants = [n for one in sessions if (n := number(one, "instants")) is not None]
    if not instants:
        return Tile(count(len(sessions)), f"{of.partition(' ')[2]} trained on")
    seconds = [s for one in sessions if (s := number(one, "seconds")) is not None]
    length = f", {span(sum(seconds))} of movement" if seconds else ""
    return Tile(count(sum(instants)), "instants trained on", of + length)


def _compared(report: Report) -> Tile | None:
    found = better_and_worse(report)
    if found is None:
        return None
    better, worse, same = found
    return Tile(
        f"{better} of {sum(found)}",
        "kept-back sessions are better",
        f"{worse} worse" + (f", {same} unchanged" if same else ""),
        [("better", "▲")] * better + [("same", "=")] * same + [("worse", "▼")] * worse,
    )


def _time(report: Report) -> Tile | None:
    began, ended = moment(report, "began"), moment(report, "ended")
    if began is None or ended is None or ended < began:
        return None
    computing = number(table(report, "training"), "computing_s")
    more = f"{span(computing)} of it for training" if computing is not None else None
    return Tile(span((ended - began).total_seconds()), "for the whole night", more)


def _bodies(instants: list[Instant], build: Build) -> list[dict[str, Any]]:
    """Every instant before and after, each from all directions."""
    if not instants:
        return []
    extent = common_extent(instants)
    return [
        {
            "name": instant.name,
            "at": f"{instant.t_s:.2f} s" if instant.t_s is not None else "",
            "sides": {
                when: _side(instant, getattr(instant, when), build, extent)
                for when in ("before", "after")
            },
        }
        for instant in instants
    ]


def _side(instant: Instant, body: Any, build: Build, extent: Extent) -> dict[str, Any]:
    views = {v: draw_body(instant, body, build, turn, extent) for v, turn in VIEWS.items()}
    return {"distance": percent(instant.distance(body)), "views": views}


def _day(report: Report) -> str:
    at = moment(report, "night") or moment(report, "began")
    return f"{at:%A}, {at.day} {at:%B %Y}" if at else text(report, "night") or "an unknown day"
