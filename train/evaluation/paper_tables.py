"""The paper's Tables 1 to 5 made again: our rows from a dataset's test split, beside the paper's.

The paper's protocol: every view is lifted alone and scored alone. Sessions are scored one at a time
and only sums are kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.data.dataset_recording import Split
from train.data.datasets import DATASETS, published, recognised
from train.data.human36m import action_of
from train.data.instants import Recordings
from train.evaluation.paper_results import JDR, SIX_JOINTS, TABLES, Reported
from train.evaluation.score_lifter import BAD_SHARE, Lift, over_pose_norm, score

Key = tuple[str, ...]
Row = tuple[Lift, Lift | None]
"""What lifts, and what lifts 2D that it has refined (the same, if None)."""

_WAYS = {
    "one_view": "one view",
    "one_view_refined": "one view, refined 2D",
    "fused": "all views",
}
_METRICS = {"n_mpjpe_mm": "N-MPJPE mm", "p_mpjpe_mm": "P-MPJPE mm", "n_pck": "N-PCK %"}


_SEEN_TOGETHER: dict[str, Split] = {"mpi-inf-3dhp": "train"}
"""Where one camera sees each test recording, what fusion does shows only on the other split."""


class Sums:
    """Means of figures over sessions of different sizes, by key."""

    def __init__(self) -> None:
        self._sums: dict[Key, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, key: Key, value: float | None, weight: float) -> None:
        """Add one session's mean `value` and how much it counts. Nothing happens for None, NaN or
        infinity, or a weight of 0.
        """
        if value is not None and weight > 0 and np.isfinite(value):
            self._sums[key][0] += value * weight
            self._sums[key][1] += weight

    def means(self) -> dict[str, Any]:
        """The weighted means, in new maps nested as their keys are: the last part of a key names
        the mean in the innermost map. Empty if nothing was added.
        """
        nested: dict[str, Any] = {}
        for (*path, last), (total, weight) in self._sums.items():
            place = nested
            for name in path:
                place = place.setdefault(name, {})
            place[last] = total / weight
        return nested


def dataset_of(number: int, dataset: Path) -> str:
    """The name of the dataset in a folder, by its layout. Refusal if there is no table of that
    number, the folder is no known dataset, or the table is of another.
    """
    if number not in TABLES:
        raise Refusal(f"table is {number}, expected one of {', '.join(map(str, TABLES))}")
    name = recognised(dataset)
    if TABLES[number].dataset not in (None, name):
        wanted = DATASETS[str(TABLES[number].dataset)].title
        raise Refusal(
            f"table {number} is of {wanted}, but {dataset} is {DATASETS[name].title}; "
            "name the other folder or another table"
        )
    return name


def table(
    number: int, dataset: Path, rows: Mapping[str, Row], *, truth_2d: bool = False
) -> dict[str, Any]:
    """A table of the paper made again, as a map: our rows by name with the figures of `cvsf
    evaluate`, and the paper's. The figures at its top are those of the last row. All sessions are
    read and lifted, one at a time. Refusal without a row, if the dataset is another or incomplete,
    or if no person was detected.
    """
    if not rows:
        raise Refusal("no row to fill; expected at least one engine or checkpoint")
    name = dataset_of(number, dataset)
    sums = {row: Sums() for row in rows}
    split = _SEEN_TOGETHER.get(name, "test") if number == 2 else "test"
    frames, sessions = 0, 0
    for instants in published(dataset, name, split, truth_2d=truth_2d):
        frames, sessions = frames + len(instants), sessions + 1
        if (instants.confidence > 0).any():
            for row, (lift, again) in rows.items():
                _add(sums[row], score(lift, instants, again), instants)
    ours = {row: _with_summaries(found.means()) for row, found in sums.items()}
    return {
        **ours[list(rows)[-1]],
        "table": number,
        "dataset": name,
        "split": split,
        "truth_2d": truth_2d,
        "frames": frames,
        "sessions": sessions,
        "sessions_there_are": DATASETS[name].sessions[split],
        "rows": ours,
        "paper": {reported.method: dict(reported.figures) for reported in paper_rows(number, name)},
    }


def paper_rows(number: int, dataset: str) -> tuple[Reported, ...]:
    """The paper's rows of table `number` (1 to 5); `dataset`, a name such as `skipose`, only
    chooses those of table 2, which has three.
    """
    return JDR[dataset] if number == 2 else TABLES[number].rows


def _add(sums: Sums, facts: dict[str, Any], instants: Recordings) -> None:
    for key, value, weight in _weighed(facts, instants):
        sums.add(key, value, weight)
    views = _views(instants)
    action = action_of(instants.session[0])
    sums.add(("actions", action), facts["one_view"]["p_mpjpe_mm"], views)


def _weighed(facts: dict[str, Any], instants: Recordings) -> Iterator[tuple[Key, Any, float]]:
    """Every figure of one session with what it is a mean of."""
    views = _views(instants)
    for way in _WAYS:
        for metric, value in facts[way].items():
            yield (way, metric), value, views
    bad, good, detected = _joint_counts(instants)
    for figure, value in facts["refined_2d"].items():
        yield ("refined_2d", figure), value, bad if figure.startswith("bad") else good
    for joint, rates in facts["jdr"].items():
        for when, value in rates.items():
            yield ("jdr", joint, when), value, float(detected[H36M_16.index(joint)])
    for figure, value in facts["without_truth"].items():
        yield ("without_truth", figure), value, len(instants)


def _views(instants: Recordings) -> float:
    return float(np.any(instants.confidence > 0, axis=-1).sum())


def _joint_counts(instants: Recordings) -> tuple[float, float, Any]:
    """How many joints are badly detected and how many are not, and (J,) all that were detected."""
    pixels = instants.truth.keypoints_px
    assert pixels is not None
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(pixels).all(-1))
    off = over_pose_norm(instants.keypoints_px, pixels)
    seen = (instants.confidence > 0) & known
    return (
        float((seen & (off > BAD_SHARE)).sum()),
        float((seen & (off <= BAD_SHARE)).sum()),
        seen.sum((0, 1)),
    )


def _with_summaries(row: dict[str, Any]) -> dict[str, Any]:
    """Plus Table 1's mean over the actions and Table 2's six joints, left and right together."""
    if not row:
        raise Refusal("no person was detected in any picture; check the files under detections/")
    six = {
        joint: {
            when: float(np.mean([row["jdr"][side + joint][when] for side in "lr"]))
            for when in ("before", "after")
        }
        for joint in SIX_JOINTS
        if f"l{joint}" in row["jdr"] and f"r{joint}" in row["jdr"]
    }
    actions = row["actions"]
    return row | {"actions": actions | {"mean": float(np.mean(list(actions.values())))}, "six": six}


def show_table(facts: dict[str, Any], console: Console | None = None) -> None:
    """Print a table that `table` made, the paper's rows, then ours, to standard output or
    `console`.
    """
    number = facts["table"]
    drawn = {1: _actions_drawn, 2: _six_drawn}.get(number, _errors_drawn)(facts)
    drawn.title = TABLES[number].title
    if TABLES[number].dataset is None:
        drawn.title += f", {DATASETS[facts['dataset']].title}"
    there_are = facts["sessions_there_are"]
    drawn_on = console or Console()
    drawn_on.print(drawn)
    drawn_on.print(
        f"ours: {facts['frames']} instants of {facts['sessions']}"
        f"{f' of {there_are}' if there_are else ''} recordings to {facts['split']} on, "
        f"{'the true 2D' if facts['truth_2d'] else 'detected 2D'}"
    )


def _errors_drawn(facts: dict[str, Any]) -> Table:
    """Tables 3 to 5: a line a method, each of ours in the three ways it can be used."""
    metrics = [m for m in _METRICS if m != "n_pck" or facts["table"] > 3]
    drawn = Table("", *(_METRICS[metric] for metric in metrics))
    for method, figures in facts["paper"].items():
        drawn.add_row(method, *(_cell(figures.get(metric)) for metric in metrics))
    drawn.add_section()
    for name, row in facts["rows"].items():
        for way, label in _WAYS.items():
            figures = row[way] | {"n_pck": 100 * row[way]["n_pck"]}
            drawn.add_row(f"{name}, {label}", *(_cell(figures[metric]) for metric in metrics))
    return drawn


def _actions_drawn(facts: dict[str, Any]) -> Table:
    """Table 1, a line an action."""
    columns = {f"paper {method}": cells for method, cells in facts["paper"].items()}
    columns |= {name: row["actions"] for name, row in facts["rows"].items()}
    drawn = Table("", *columns)
    for action in TABLES[1].rows[-1].figures:
        drawn.add_row(action, *(_cell(cells.get(action)) for cells in columns.values()))
    return drawn


def _six_drawn(facts: dict[str, Any]) -> Table:
    """Table 2, a line a joint: the detector's 2D and the refined."""
    columns = {f"paper {method}": cells for method, cells in facts["paper"].items()}
    for name, row in facts["rows"].items():
        for when, label in (("before", "detected"), ("after", f"{name}, refined")):
            columns[label] = {joint: 100 * rate[when] for joint, rate in row["six"].items()}
    drawn = Table("", *columns)
    for joint in SIX_JOINTS:
        drawn.add_row(joint, *(_cell(cells.get(joint)) for cells in columns.values()))
    return drawn


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
