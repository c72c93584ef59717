"""The tables of a night's report as rows of the template: the checks of the gate, the sessions and
their use, the duration of each step, the engines.
"""

from typing import Any

from train.report.formatting import (
    NOTHING,
    Report,
    count,
    items,
    number,
    plain,
    rows,
    span,
    table,
    text,
)

_OUTCOMES = {True: ("pass", "✓ passed"), False: ("fail", "✕ failed")}
_ROLES = {"learned": "trained on", "kept_back": "kept back for evaluation"}
_EARLIER = {
    "earlier": "kept back by an earlier night, evaluated again",
    "rehearsed": "trained on by an earlier night, and again now",
}
_ROLLBACK = {
    "promoted": "To roll back to the engine from before this night, type:",
    None: "To roll back to the engine from before the last promotion, type:",
}


def gate_rows(report: Report) -> list[dict[str, Any]]:
    """Every check of the gate, with the value found and the value wanted; a check without a result
    is `not run`. Empty if there are none.
    """
    checks = []
    for check in rows(report, "gate"):
        passed = check.get("passed")
        known = isinstance(passed, bool)
        kind, outcome = _OUTCOMES[passed is True] if known else ("", "not run")
        checks.append(
            {
                "name": text(check, "check") or NOTHING,
                "found": plain(number(check, "found")),
                "wanted": text(check, "wanted") or NOTHING,
                "kind": kind,
                "outcome": outcome,
            }
        )
    return checks


def session_rows(report: Report) -> list[dict[str, Any]]:
    """The sessions and their use as maps of text: trained on, kept back, of earlier nights, left
    out. Only the first two have a number of instants and a duration.
    """
    sessions = table(report, "sessions")
    found = [
        {
            "name": text(session, "name") or NOTHING,
            "instants": count(number(session, "instants")),
            "length": span(number(session, "seconds")),
            "kind": key,
            "role": role,
        }
        for key, role in _ROLES.items()
        for session in rows(sessions, key)
    ]
    for key, role in _EARLIER.items():
        found += [{"name": str(n), "kind": "again", "role": role} for n in items(sessions, key)]
    for name, reason in table(sessions, "left_out").items():
        found.append({"name": str(name), "kind": "out", "role": f"left out: {reason}"})
    return found


def step_rows(report: Report) -> list[dict[str, Any]]:
    """The steps one after another, with start and width of each one's bar in percent of the time of
    all; a step of unknown duration has width 0.
    """
    steps = [(text(s, "step") or NOTHING, number(s, "seconds")) for s in rows(report, "steps")]
    total = sum(seconds or 0.0 for _, seconds in steps) or 1.0
    start, found = 0.0, []
    for name, seconds in steps:
        share = 100 * (seconds or 0.0) / total
        found.append({"name": name, "length": span(seconds), "start": start, "share": share})
        start += share
    return found


def engine_facts(report: Report) -> list[tuple[str, str]]:
    """Pairs of text: which engine was live before the night, which one it made, and which is live
    now, with their sha256. What the report does not say is left out.
    """
    before, after = table(report, "before"), table(report, "after")
    new, outcome = text(report, "engine"), text(report, "outcome")
    made = "new engine" if outcome in (None, "promoted") else "new engine, not live"
    facts = [
        ("live before the night", text(before, "id")),
        ("its sha256", text(before, "sha256")),
        (made, new or ("none" if outcome else None)),
        ("its sha256", text(after, "sha256") if new else None),
        (
            "live after it",
            (new if outcome == "promoted" else text(before, "id")) if outcome else None,
        ),
    ]
    return [(name, fact) for name, fact in facts if fact is not None]


def rollback(report: Report) -> str:
    """The sentence that stands before the rollback command: what it does after a night with this
    outcome.
    """
    return _ROLLBACK.get(
        text(report, "outcome"),
        "No engine became live, so there is nothing to roll back. After a night with a promotion:",
    )


def training_facts(report: Report) -> str:
    """The night's training as one line of text: variant, steps, time of computing, as far as they
    are known; empty if none is.
    """
    training = table(report, "training")
    steps, seconds = number(training, "steps"), number(training, "computing_s")
    facts = [
        f"variant {variant}" if (variant := text(training, "variant")) else None,
        count(steps, "step", "steps") if steps is not None else None,
        f"{span(seconds)} of computing" if seconds is not None else None,
    ]
    return " · ".join(fact for fact in facts if fact)
