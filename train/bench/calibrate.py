"""`cvsf bench calibrate`: where cameras and skeletons are, told nothing, told focal lengths and
told wrong ones, beside triangulation with true cameras and beside HumanCalib.

The truth of the file is used for the scores, for the focal lengths that are given, and for nothing
else.
"""

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cvsf.engine.engine import load_engine
from cvsf.multiview.rig import Rig
from cvsf.system.errors import Refusal
from train.bench.calibration_methods import (
    TOLD_WRONG,
    Case,
    Method,
    Scores,
    methods,
)
from train.bench.run_humancalib import require_humancalib
from train.data.calibration_input import calibration_inputs
from train.data.instants import Recordings
from train.data.npz import read_file
from train.data.read import choice

_MOST_MOVED = 1e-3  # rad, and share of focal lengths and distances: cameras that stand still
_WITHOUT_PEER = "HumanCalib is not compared: name the Python of its environment with --humancalib"

Results = Mapping[tuple[int, str], Sequence[Scores | None]]
"""The scores of all sessions, by number of views and method."""


def bench_calibrate(
    files: Annotated[
        list[Path], typer.Argument(help="multi-view .npz files with ground truth, still cameras")
    ],
    sessions: Annotated[int, typer.Option(min=1, help="how many random sessions")] = 20,
    least_seconds: Annotated[float, typer.Option(help="only sessions at least so long")] = 8.0,
    views: Annotated[str, typer.Option(help="numbers of cameras, the first ones")] = "4,3,2",
    subjects: Annotated[str, typer.Option(help="only these, separated by commas")] = "",
    not_subjects: Annotated[str, typer.Option(help="all but these")] = "",
    humancalib: Annotated[
        Path | None, typer.Option(help="Python of an environment with HumanCalib; default: not run")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of the choice; default: a random one")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Compare calibration with and without known focal lengths, on random sessions of all people
    in turn. Medians over sessions; of cameras over cameras, of rotations over pairs of cameras.
    """
    counts = _counts(views)
    if humancalib is not None:
        require_humancalib(humancalib)
    seed = secrets.randbelow(2**32) if seed is None else seed
    chosen = choice(subjects, not_subjects)
    recordings = [chosen.learned(read_file(file)) for file in files]
    for file, one in zip(files, recordings, strict=True):
        _require_still_truth(file, one, max(counts))
    random = np.random.default_rng(seed)
    picked = _picked(recordings, sessions, least_seconds, random)
    typer.echo(f"seed {seed}: {len(picked)} sessions", err=True)
    results = _compared(picked, counts, methods(humancalib), random)
    facts = {"rows": _rows(results), "sessions": len(picked), "seed": seed}
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        _show(facts)
    if humancalib is None:
        typer.echo(_WITHOUT_PEER, err=True)


def _compared(
    picked: Sequence[Recordings],
    counts: Sequence[int],
    compared: Sequence[Method],
    random: np.random.Generator,
) -> Results:
    """The scores of every method, with a progress bar on standard error."""
    longs = random.random(len(picked)) < 0.5
    cases = [(n, one, long) for n in counts for one, long in zip(picked, longs, strict=True)]
    results: dict[tuple[int, str], list[Scores | None]] = defaultdict(list)
    console = Console(stderr=True)
    for count, one, is_long in track(cases, "Calibrating", console=console, transient=True):
        case = _case(one, count, is_long=bool(is_long))
        for method in compared:
            for name, scores in method(case).items():
                results[count, name].append(scores)
    return results


def _counts(views: str) -> list[int]:
    """The numbers of views; Refusal if one is no number of 2 or more."""
    try:
        counts = [int(word) for word in views.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 2:
        raise Refusal(f"--views is {views!r}, expected numbers from 2 on, as 4,3,2")
    return list(dict.fromkeys(counts))


def _require_still_truth(file: Path, found: Recordings, views: int) -> None:
    """Refusal if there is no truth, a camera moves, pictures differ in size or views are few."""
    if not len(found):
        raise Refusal(f"no instant of {file} is of the chosen subjects; name fewer or others")
    if len(found.cameras) < views:
        raise Refusal(f"{file} has {len(found.cameras)} views, expected {views}; lower --views")
    rig = found.truth.rig
    if rig is None or found.truth.joints_mm is None:
        raise Refusal(
            f"{file} has no ground truth, expected joints_mm, camera_R, camera_t_mm and focal_px"
        )
    if np.ptp(found.size_px[:, 0]) or np.ptp(found.size_px[:, 1]):
        raise Refusal(f"{file} has pictures of several sizes, expected one; leave views out")
    names = np.array(found.session)
    for name in found.sessions:
        if _moves(rig.rows(names == name)):
            raise Refusal(f"{name} has cameras that move, expected still ones; leave {file} out")


def _moves(rig: Rig) -> bool:
    """Whether a camera turns, goes or zooms over time."""
    turned = np.abs(rig.view_from_world - rig.view_from_world[:1]).max()
    far = np.linalg.norm(rig.translation[0], axis=-1).max()
    gone = np.abs(rig.centres - rig.centres[:1]).max() / far
    zoomed = np.abs(rig.focal_px / rig.focal_px[:1] - 1).max()
    return bool(max(turned, gone, zoomed) > _MOST_MOVED)


def _picked(
    recordings: Sequence[Recordings], count: int, least_s: float, random: np.random.Generator
) -> list[Recordings]:
    """So many random sessions, of all people in turn; all that are long enough if there are fewer.
    Refusal if there is none.
    """
    by_person: dict[str, list[Recordings]] = defaultdict(list)
    for one in recordings:
        names = np.array(one.session)
        for name in one.sessions:
            rows = np.flatnonzero(names == name)
            if np.ptp(one.t_s[rows]) >= least_s:
                by_person[one.subject[rows[0]]].append(one.take(rows))
    if not by_person:
        raise Refusal(f"no session is {least_s:g} s long; lower --least-seconds")
    people = [by_person[str(name)] for name in random.permutation(sorted(by_person))]
    queues = [[person[i] for i in random.permutation(len(person))] for person in people]
    turns = [queue[i] for i in range(max(map(len, queues))) for queue in queues if i < len(queue)]
    return turns[:count]


def _case(one: Recordings, views: int, *, is_long: bool) -> Case:
    (session,) = calibration_inputs(one, load_engine(None), views)
    assert session.truth is not None
    assert session.truth.rig is not None
    return Case(session=session, truth=session.truth, rig=session.truth.rig, is_long=is_long)


def _rows(results: Results) -> list[dict[str, Any]]:
    return [
        {"method": name, "views": views}
        | _medians([one for one in scores if one is not None])
        | {
            "refused_share": round(sum(one is None for one in scores) / len(scores), 4),
            "noticed_share": _noticed(scores) if name == TOLD_WRONG else None,
        }
        for (views, name), scores in results.items()
    ]


def _medians(scores: Sequence[Scores]) -> dict[str, float | None]:
    """Medians of the sessions that were not refused; None where the method has none."""
    means = [one.errors.means for one in scores if one.errors is not None]
    return {
        "rotation_deg": _median([angle for one in scores for angle in one.rotation_deg], 4),
        "centre_error_share": _median([share for one in scores for share in one.centre_share], 6),
        "n_mpjpe_mm": _median([mean["n_mpjpe_mm"] for mean in means], 2),
        "p_mpjpe_mm": _median([mean["p_mpjpe_mm"] for mean in means], 2),
        "rooted_mm": _median([one.take.rooted_mm for one in scores if one.take is not None], 2),
        "seconds": _median([one.seconds for one in scores], 3),
    }


def _median(values: Sequence[float | None], digits: int) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.median(known)), digits) if known else None


def _noticed(scores: Sequence[Scores | None]) -> float | None:
    said = [one.is_noticed for one in scores if one is not None]
    return round(sum(map(bool, said)) / len(said), 4) if said else None


def _show(facts: Mapping[str, Any]) -> None:
    title = f"{facts['sessions']} sessions, seed {facts['seed']}; medians"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for head in ("rot. °", "centres %", "N mm", "P mm", "rooted", "s"):
        table.add_column(head, justify="right", no_wrap=True)
    notes, views = [], None
    for row in facts["rows"]:
        if row["views"] != views:
            views = row["views"]
            table.add_row(f"[bold]{views} views[/bold]")
        table.add_row(
            *(row["method"], _text(row["rotation_deg"], 2)),
            _text(row["centre_error_share"], 2, 100),
            *(_text(row[name], 1) for name in ("n_mpjpe_mm", "p_mpjpe_mm", "rooted_mm")),
            _text(row["seconds"], 1),
        )
        who = f"{row['method']}, {views} views"
        if row["noticed_share"] is not None:
            notes.append(f"{who}: in {row['noticed_share']:.0%} the result says so")
        if row["refused_share"]:
            notes.append(f"{who}: {row['refused_share']:.0%} refused")
    Console().print(table)
    typer.echo("\n".join(notes))


def _text(value: float | None, digits: int, factor: float = 1.0) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"
