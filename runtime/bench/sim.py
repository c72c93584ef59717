"""`cvsf bench sim`: 3D error of the whole product on simulated skiers not used in training.

Each seed is a run of `cvsf-capture --source sim --truth`; the truth is joined to the session
afterwards by the exposure stamps, and scores what was recorded.
"""

import json
import secrets
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from cvsf.engine.engine import Engine, load_engine
from cvsf.evaluation.ground_truth import read_ground_truth
from cvsf.evaluation.truth_rows import truth_rows
from cvsf.session.reader import SessionReader
from cvsf.system.errors import Refusal
from runtime.bench.harness import run_capture
from runtime.bench.score_views import SCORED, score

FIRST_UNSEEN = 1_000_000
"""Seeds below are for training."""
_SETTLED_S = 3.0
"""Seconds of the start that `instants_per_s` leaves out; a guess, not measured."""


def bench_sim(
    seeds: Annotated[int, typer.Option(help="How many random slopes.")] = 5,
    seed: Annotated[list[int] | None, typer.Option(help="These slopes instead.")] = None,
    cams: Annotated[int, typer.Option(help="Cameras around each slope.")] = 4,
    seconds: Annotated[float, typer.Option(help="Length of each run.")] = 12.0,
    moving: Annotated[bool, typer.Option("--moving", help="Cameras pan and zoom.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Score the product on slopes that were not used in training."""
    chosen = unseen_seeds(seed, seeds)
    engine, runs = load_engine(), []
    for one in chosen:
        typer.echo(f"slope {one}", err=True)
        with tempfile.TemporaryDirectory() as folder:
            runs.append(
                _run(engine, one, cams, seconds, "sim:moving" if moving else "sim", Path(folder))
            )
    result = {**_mean(runs), "seeds": chosen, "runs": runs}
    if as_json:
        typer.echo(json.dumps(result))
        return
    for name in SCORED:
        errors = result[name]
        typer.echo(
            f"{name:<18}N-MPJPE {errors['n_mpjpe_mm']:6.1f}  P-MPJPE {errors['p_mpjpe_mm']:6.1f} mm"
        )
    typer.echo(
        f"{result['instants_per_s']:.1f} instants/s, {result['fused_share']:.1%} fused, {chosen}"
    )


def unseen_seeds(given: list[int] | None, count: int) -> list[int]:
    """The given seeds, else `count` random ones, all from 1 000 000 on.

    Refusal if a given seed is smaller, because training may have used it. The random ones differ in
    every call.
    """
    seeds = given or [FIRST_UNSEEN + secrets.randbelow(2**30) for _ in range(count)]
    if below := [seed for seed in seeds if seed < FIRST_UNSEEN]:
        raise Refusal(
            f"seed {below[0]} may have been trained on; choose seeds from {FIRST_UNSEEN} on"
        )
    return seeds


def _run(
    engine: Engine, seed: int, cams: int, seconds: float, source: str, folder: Path
) -> dict[str, Any]:
    truth_file = folder / "truth.npz"
    words = ["--cams", str(cams), "--source", source, "--seed", str(seed)]
    words += ["--duration", str(seconds), "--truth", str(truth_file)]
    done = run_capture(words, folder)
    reader = SessionReader(done.session)
    rows_of = truth_rows(reader, truth_file)
    poses = [pose for pose in reader.poses() if pose.instant in rows_of]
    measured = {s.instant for s in reader.skeletons() if s.measured}
    with np.load(truth_file) as file:
        rows = np.array([rows_of[pose.instant] for pose in poses])
        in_view = (file["confidence"][rows] > 0).mean(-1) > 0.5
        errors = score(engine, reader, poses, read_ground_truth(file, rows))
    due = [pose.instant for pose, views in zip(poses, in_view, strict=True) if views.sum() > 1]
    steady = [line["instants_per_s"] for line in done.lines[:-1] if line["t_s"] > _SETTLED_S]
    return {
        "seed": seed,
        **errors,
        "instants": len(poses),
        "instants_per_s": round(float(np.mean(steady)), 2),
        "fused_share": round(float(np.mean([i in measured for i in due])), 4),
    }


def _mean(runs: list[dict[str, Any]]) -> dict[str, Any]:
    first = runs[0]
    mean: dict[str, Any] = {
        name: {
            key: round(float(np.mean([run[name][key] for run in runs])), 2) for key in first[name]
        }
        for name in SCORED
    }
    for name in ("instants_per_s", "fused_share"):
        mean[name] = round(float(np.mean([run[name] for run in runs])), 4)
    return mean
