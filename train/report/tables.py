"""The tables of a night's report: what the gate asked, what was learned from, what took how long,
and which engine was live.

They hold every figure the charts are drawn from, or name where it is.
"""

from collections.abc import Iterable, Sequence

from train.report.formatting import (
    NOTHING,
    Told,
    count,
    items,
    number,
    plain,
    rows,
    span,
    table,
    text,
)
from train.report.html import Markup, element, join

_PASSED = {True: ("pass", "✓ passed"), False: ("fail", "✕ failed")}
_AGAIN = {
    "earlier": "kept back by an earlier night, judged by again",
    "rehearsed": "learned by an earlier night, rehearsed so as not to be forgotten",
}
_ROLES = {
    "learned": "learned from",
    "kept_back": "kept back to judge by",
}


def gate_table(report: Told) -> Markup | None:
    """Every check, what was found and what was wanted."""
    checks = rows(report, "gate")
    if not checks:
        return None
    body = []
    for check in checks:
        passed = check.get("passed")
        kind, said = (
            _PASSED.get(passed, ("", "not run")) if isinstance(passed, bool) else ("", "not run")
        )
        cells = [
            element("td", text(check, "check") or NOTHING, class_="name"),
            element("td", plain(number(check, "found")), class_="number", data_name="found "),
            element("td", text(check, "wanted") or NOTHING, class_="number", data_name="wanted "),
            element("td", element("span", said, class_=f"mark {kind}")),
        ]
        body.append(element("tr", *cells, class_=kind or None))
    return _table(["check", "found", "wanted", "outcome"], body, "gate")


def sessions_table(report: Told) -> Markup | None:
    """What was used for what, and what was left out and why."""
    sessions, body = table(report, "sessions"), []
    for key, role in _ROLES.items():
        for session in rows(sessions, key):
            body.append(_session(session, role, key))
    for key, role in _AGAIN.items():
        for name in items(sessions, key):
            body.append(_session({"name": str(name)}, role, "again"))
    for name, reason in table(sessions, "left_out").items():
        why = element("span", f"left out: {reason}")
        body.append(_session({"name": str(name)}, why, "out"))
    return _table(["session", "instants", "length", "used for"], body, "sessions") if body else None


def _session(session: Told, role: str, kind: str) -> Markup:
    known = kind in _ROLES
    instants, length = number(session, "instants"), number(session, "seconds")
    return element(
        "tr",
        element("td", text(session, "name") or NOTHING, class_="name"),
        element(
            "td",
            count(instants) if known else "",
            class_="number",
            data_unit=" instants" if known else None,
        ),
        element("td", span(length) if known else "", class_="number"),
        element("td", element("i", class_=f"dot {kind}"), role),
    )


def steps_chart(report: Told) -> Markup | None:
    """The steps one after another, each as long as it took."""
    steps = [
        (text(step, "step") or NOTHING, number(step, "seconds")) for step in rows(report, "steps")
    ]
    if not steps:
        return None
    total = sum(seconds or 0.0 for _, seconds in steps) or 1.0
    start, body = 0.0, []
    for name, seconds in steps:
        left, width = 100 * start / total, 100 * (seconds or 0.0) / total
        bar = element(
            "rect", x=f"{left:.2f}%", width=f"{max(width, 0.3):.2f}%", y=0, height=10, rx=2
        )
        cells = [
            element("td", name, class_="name"),
            element("td", element("svg", bar, class_="bar", aria_hidden="true"), class_="wide"),
            element("td", span(seconds), class_="number"),
        ]
        body.append(element("tr", *cells))
        start += seconds or 0.0
    return _table(["step", "", "time"], body, "steps")


def engines_list(report: Told) -> Markup:
    """Which engine was live, which is, and the way back."""
    before, after = table(report, "before"), table(report, "after")
    new, outcome = text(report, "engine"), text(report, "outcome")
    now = new if outcome == "promoted" else text(before, "id")
    tried = "new engine" if outcome in (None, "promoted") else "new engine, not live"
    facts = [
        ("live before the night", text(before, "id")),
        ("its sha256", text(before, "sha256")),
        (tried, new or ("none" if outcome else None)),
        ("its sha256", text(after, "sha256") if new else None),
        ("live after it", now if outcome else None),
    ]
    told = [
        join(element("dt", name), element("dd", element("code", said)))
        for name, said in facts
        if said is not None
    ]
    return join(element("dl", *told, class_="engines"), _way_back(report))


def _way_back(report: Told) -> Markup:
    said = {
        "promoted": "To put the engine from before this night back, type:",
        None: "To put the engine from before the last promotion back, type:",
    }.get(
        text(report, "outcome"),
        "Nothing was put live, so there is nothing to take back. After a night that did:",
    )
    return join(
        element("p", said),
        element("pre", element("code", "cvsf models rollback")),
        element("p", "The hub takes it between two instants and loses none.", class_="quiet"),
    )


def training_facts(report: Told) -> str:
    """How it was trained, in one line."""
    training = table(report, "training")
    steps, seconds = number(training, "steps"), number(training, "computing_s")
    said = [
        f"variant {variant}" if (variant := text(training, "variant")) else None,
        count(steps, "step", "steps") if steps is not None else None,
        f"{span(seconds)} of computing" if seconds is not None else None,
    ]
    return " · ".join(part for part in said if part)


def _table(head: Sequence[str], body: Iterable[Markup], kind: str) -> Markup:
    titles = element("tr", *(element("th", title, scope="col") for title in head))
    return element("table", element("thead", titles), element("tbody", *body), class_=kind)
