"""`cvsf bench replay`: whether a session, played through the hub, gives the recorded skeletons.

They are paired by their time of exposure, which a replay keeps.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from cvsf.messages import Skeleton
from cvsf.session.reader import SessionReader
from cvsf.system.errors import Refusal
from runtime.bench.harness import run_capture


def bench_replay(
    session: Annotated[Path, typer.Argument(help="A recorded session.")],
    detector: Annotated[
        str | None, typer.Option(help="2D bundle it was recorded with, where that is a folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Replay a session and compare every skeleton with the recorded one."""
    recorded = _skeletons(session)
    cameras = SessionReader(session).cameras
    with tempfile.TemporaryDirectory() as folder:
        words = ["--cams", str(len(cameras)), "--source", str(session.absolute())]
        words += ["--detector", str(Path(detector).absolute())] if detector else []
        played = _skeletons(run_capture(words, Path(folder)).session)
    if not recorded:
        raise Refusal(
            f"{session} holds no skeleton to compare with; record one with a person in view"
        )
    both = sorted(set(recorded) & set(played))
    differences = [float(np.abs(recorded[t].joints - played[t].joints).max()) for t in both]
    result = {
        "max_difference": max(differences, default=float("inf")),
        "instants_compared": len(both),
        "instants_missing": len(set(recorded) ^ set(played)),
    }
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(
            f"{len(both)} skeletons compared, {result['instants_missing']} in only one of them; "
            f"largest difference {result['max_difference']:.2e} of unit scale"
        )


def _skeletons(session: Path) -> dict[int, Skeleton]:
    """By time of exposure."""
    return {skeleton.t_ns: skeleton for skeleton in SessionReader(session).skeletons()}
