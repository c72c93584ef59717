"""A night's report as one page: the verdict for who coaches, every figure for who engineers.

The page is one file that needs nothing else, and every report makes one: what is not known is left
out, never guessed.
"""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from cvsf.system.disk import Storage, replace_file
from train.report.charts import interval_chart
from train.report.formatting import (
    Told,
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
from train.report.html import Markup, element, join
from train.report.scores import better_and_worse, changes_panels, curve_panels
from train.report.skeletons import (
    VIEWS,
    Build,
    Room,
    Shown,
    draw_body,
    read_build,
    read_shown,
    room,
)
from train.report.tables import (
    engines_list,
    gate_table,
    sessions_table,
    steps_chart,
    training_facts,
)

_TEMPLATE = Path(__file__).parent / "page" / "night.html"
_OUTCOMES = {
    "promoted": ("▲", "promoted", "The hub works with the new network from now on."),
    "kept": ("■", "kept", "The new network was not clearly better, so the one before stays live."),
    "refused": ("✕", "refused", "The night stopped; the network that was live stays live."),
    "dry run": ("○", "dry run", "Nothing was changed."),
}
_UNFINISHED = ("…", "unfinished", "The night has not come to a verdict.")
_UNIT = (
    "Percent are of the athlete's trunk and leg together: 1 % is about 13 mm on an adult. "
    "An open circle is before, an arrow's head after; further left is better."
)
_BODIES = (
    "The same instants before and after. Grey is the body that all cameras found together; "
    "coloured is what the network says from one camera. Threads join what should be one joint."
)


def write_page(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as one HTML file, whole or not at all."""
    page = Template(_TEMPLATE.read_text("utf-8")).substitute(
        title=element("title", f"cvsf · night of {_day(report)}"), body=_body(report)
    )
    replace_file(Storage(), path, page.encode())


def _body(report: Told) -> Markup:
    return join(
        element("header", *_masthead(report)),
        element(
            "main",
            _verdict(report),
            _problems(report),
            _key_figures(report),
            _section("The gate", "what a new network has to show", gate_table(report)),
            _section("Before and after", _UNIT, *changes_panels(report), grid="grid"),
            _section("Training", training_facts(report), *curve_panels(report), grid="grid curves"),
            _section("Bodies", _BODIES, *_bodies(report)),
            _section("Sessions", "what the night saw", sessions_table(report)),
            _section("Steps", _how_long(report), steps_chart(report)),
            _section("Engines", "", engines_list(report)),
        ),
    )


def _masthead(report: Told) -> list[Markup]:
    began, ended = moment(report, "began"), moment(report, "ended")
    times = [f"{at:%H:%M}" for at in (began, ended) if at]
    said = f"{' to '.join(times)} UTC" if times else ""
    return [
        element("p", element("b", "cvsf"), class_="wordmark"),
        element("p", "Night of ", element("b", _day(report))),
        element("p", said, class_="quiet"),
    ]


def _verdict(report: Told) -> Markup:
    outcome = text(report, "outcome")
    sign, name, meaning = _OUTCOMES.get(outcome or "", _UNFINISHED)
    badge = element("p", element("i", sign, aria_hidden="true"), name, class_="badge")
    return element(
        "section",
        badge,
        element("h1", text(report, "verdict") or meaning),
        element("p", meaning, class_="quiet") if text(report, "verdict") else None,
        class_=f"verdict {name.replace(' ', '-')}",
    )


def _problems(report: Told) -> Markup | None:
    said = text(report, "verdict") or ""
    problems = [str(p) for p in items(report, "problems") if p and str(p) not in said]
    if not problems:
        return None
    listed = element("ul", *(element("li", problem) for problem in problems))
    title = "What went wrong" if len(problems) > 1 else "One thing went wrong"
    return element("section", element("h2", title), listed, class_="problems")


def _key_figures(report: Told) -> Markup | None:
    tiles = [_gain(report), _learned(report), _judged(report), _time(report)]
    known = [tile for tile in tiles if tile]
    return element("section", *known, class_="tiles") if known else None


def _gain(report: Told) -> Markup | None:
    gain = number(report, "gain")
    if gain is None:
        return None
    limits = [finite(value) for value in items(report, "gain_interval")]
    chart, between = None, None
    if len(limits) == 2 and limits[0] is not None and limits[1] is not None:
        chart = interval_chart(gain, limits[0], limits[1])
        between = f"likely between {percent(limits[0])} and {percent(limits[1])}"
    said = f"{'less' if gain >= 0 else 'more'} error from one camera"
    return _tile(percent(abs(gain)), said, between, chart)


def _learned(report: Told) -> Markup | None:
    sessions = rows(table(report, "sessions"), "learned")
    if not sessions:
        return None
    of = count(len(sessions), "session", "sessions")
    instants = [n for one in sessions if (n := number(one, "instants")) is not None]
    if not instants:
        return _tile(count(len(sessions)), f"{of.partition(' ')[2]} learned from", None)
    seconds = [s for one in sessions if (s := number(one, "seconds")) is not None]
    length = f", {span(sum(seconds))} of movement" if seconds else ""
    return _tile(count(sum(instants)), "instants learned from", of + length)


def _judged(report: Told) -> Markup | None:
    found = better_and_worse(report)
    if found is None:
        return None
    better, worse, same = found
    kinds = ["better"] * better + ["same"] * same + ["worse"] * worse
    signs = {"better": "▲", "same": "=", "worse": "▼"}
    marks = element("p", *(element("i", signs[k], class_=k) for k in kinds), class_="marks")
    rest = f"{worse} worse" + (f", {same} unchanged" if same else "")
    return _tile(f"{better} of {sum(found)}", "sessions kept back are better", rest, marks)


def _time(report: Told) -> Markup | None:
    began, ended = moment(report, "began"), moment(report, "ended")
    if began is None or ended is None or ended < began:
        return None
    computing = number(table(report, "training"), "computing_s")
    of = f"{span(computing)} of it spent learning" if computing is not None else None
    return _tile(span((ended - began).total_seconds()), "for the whole night", of)


def _tile(figure: str, what: str, more: str | None, drawn: Markup | None = None) -> Markup:
    return element(
        "article",
        element("p", figure, class_="figure"),
        element("p", what, class_="what"),
        element("p", more, class_="quiet") if more else None,
        drawn,
    )


def _bodies(report: Told) -> list[Markup | None]:
    build = read_build(report)
    shown = read_shown(report, build) if build else []
    if not build or not shown:
        return []
    box = room(shown)
    cards = [_card(instant, build, box) for instant in shown]
    return [_sides(build), element("div", *cards, class_="cards")]


def _sides(build: Build) -> Markup | None:
    if "left" not in build.sides:
        return None
    dots = (element("span", element("i", class_=f"dot {s}"), s) for s in ("left", "right"))
    target = element("span", element("i", class_="dot target"), "all cameras together")
    return element("p", *dots, target, class_="key")


def _card(shown: Shown, build: Build, box: Room) -> Markup:
    at = f"{shown.t_s:.2f} s" if shown.t_s is not None else ""
    title = element("h3", shown.name, element("small", at))
    sides = []
    for name, body in (("before", shown.before), ("after", shown.after)):
        drawn = [
            element(
                "figure",
                draw_body(shown, body, build, turn, box),
                element("figcaption", view),
            )
            for view, turn in VIEWS.items()
        ]
        said = element("p", element("b", name), f" {percent(shown.distance(body))} off")
        sides.append(element("div", said, *drawn, class_=f"bodies {name}"))
    return element("article", title, *sides, class_="card")


def _section(title: str, meaning: str, *parts: Markup | None, grid: str = "") -> Markup | None:
    if not any(parts):
        return None
    inner = element("div", *parts, class_=grid) if grid else join(*parts)
    lead = element("p", meaning, class_="lead") if meaning else None
    return element("section", element("h2", title), lead, inner)


def _how_long(report: Told) -> str:
    seconds = [number(step, "seconds") for step in rows(report, "steps")]
    return f"{span(sum(s for s in seconds if s is not None))} in all"


def _day(report: Told) -> str:
    at = moment(report, "night") or moment(report, "began")
    return f"{at:%A}, {at.day} {at:%B %Y}" if at else text(report, "night") or "an unknown day"
