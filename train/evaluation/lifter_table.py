"""Scores as tables: the errors in 3D, the refined 2D, and the label-free metrics.

A figure of several seeds is its mean and standard deviation.
"""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from train.evaluation.score_lifter import BAD_SHARE

_ROWS = {
    "one_view": "one view alone",
    "one_view_refined": "one view, of refined 2D",
    "fused": "all views together",
}
_ERRORS = {"n_mpjpe_mm": ("N-MPJPE mm", 1.0), "p_mpjpe_mm": ("P-MPJPE mm", 1.0)}
_ERRORS |= {"n_pck": ("N-PCK %", 100.0)}
_WITHOUT_TRUTH = {
    "views_apart": "views apart (bodies of unit scale)",
    "bone_spread": "spread of bone lengths (share)",
}


def show(facts: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Print scores, of one lifter or the `spread` of several seeds, under a title, to standard
    output or `console`. Scores that `facts` lacks are left out; `without_truth` must be there.
    """
    console = console or Console()
    console.print(title, highlight=False)
    if rows := [name for name in _ROWS if name in facts]:
        table = _table("", *(column for column, _ in _ERRORS.values()))
        for name in rows:
            cells = (_figure(facts[name][key], size, 1) for key, (_, size) in _ERRORS.items())
            table.add_row(_ROWS[name], *cells)
        console.print(table)
    if "refined_2d" in facts:
        console.print(_refined(facts))
    for name, what in _WITHOUT_TRUTH.items():
        if facts["without_truth"].get(name) is not None:
            console.print(f"{what}: {_figure(facts['without_truth'][name], 1, 4)}", highlight=False)


def computing(facts: Mapping[str, Any]) -> str:
    """A phrase for people: how many minutes a run of `cvsf train` computed. `facts` must have
    `computing_s` (s), a number or the mean and deviation of several seeds.
    """
    return f"{_figure(facts['computing_s'], 1 / 60, 1)} minutes of computing"


def _refined(facts: Mapping[str, Any]) -> Table:
    """2D errors and joint detection rate before and after epipolar refinement."""
    figures = facts["refined_2d"]
    table = _table("2D, before and after refining", "before", "after")
    for name, what in (
        ("bad", f"joints off by more than {BAD_SHARE:.0%}, % of the pose"),
        ("good", "the others, % of the pose"),
    ):
        if figures[f"{name}_before"] is not None:
            both = (_figure(figures[f"{name}_{when}"], 100, 2) for when in ("before", "after"))
            table.add_row(what, *both)
    if "jdr" in facts:
        change = {
            joint: _mean(rate["after"]) - _mean(rate["before"])
            for joint, rate in facts["jdr"].items()
        }
        worst = min(change, key=lambda joint: change[joint])
        both = (_figure(facts["jdr"][worst][when], 100, 1) for when in ("before", "after"))
        table.add_row(f"JDR % of the joint it serves worst, {worst}", *both)
    return table


def _table(*columns: str) -> Table:
    table = Table()
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=number > 0)
    return table


def _mean(value: Any) -> float:
    return float(value["mean"] if isinstance(value, Mapping) else value)


def _figure(value: Any, size: float, digits: int) -> str:
    """A number, or a mean and its standard deviation."""
    if not isinstance(value, Mapping) or not value["sd"]:
        return f"{size * _mean(value):.{digits}f}"
    return f"{size * value['mean']:.{digits}f} ± {size * value['sd']:.{digits}f}"
