"""`cvsf bench live`: online calibration of the cameras, on simulated skiers that were not used in
training.

Each seed is one run of `cvsf-capture`: the skier moves, one camera is knocked, then camera after
camera is unplugged until one is left. The ground truth is joined afterwards by the exposure stamps.
"""

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from runtime.bench.harness import CaptureRun, Running, running_capture
from runtime.bench.score_world import (
    first_world_s,
    one_view_share,
    read_scored_session,
    score_bump,
    score_world,
)
from runtime.bench.sim import unseen_seeds
from runtime.streaming.json_codec import jsonable

STATURE_M = 1.75
"""Of every simulated skier (docs/simulator.md)."""
_KNOCK_DEG, _KNOCK_S = 5.0, (10.0, 14.0)
_AFTER_KNOCK_S = 12.0
_BETWEEN_S, _ALONE_S = 1.0, 4.0
"""The script of a run, from the knock to the last camera alone; guesses, not measured."""
_WORST = ("first_world_s", "bump_noticed_s", "bump_recovered_s")


def bench_live(
    seeds: Annotated[int, typer.Option(help="How many random slopes.")] = 3,
    seed: Annotated[list[int] | None, typer.Option(help="These slopes instead.")] = None,
    cams: Annotated[int, typer.Option(min=3, help="Cameras around each slope.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Errors and the share of the worst-off instants are means over slopes, times the longest."""
    chosen = unseen_seeds(seed, seeds)
    runs = []
    for one in chosen:
        typer.echo(f"slope {one}", err=True)
        with tempfile.TemporaryDirectory() as folder:
            runs.append(_run(one, cams, Path(folder)))
    result = {**_pooled(runs), "seeds": chosen, "runs": runs}
    if as_json:
        typer.echo(json.dumps(jsonable(result)))  # an event that did not happen is null
        return
    for name, unit in (
        ("mpjpe_mm", "mm"), ("limit_mm", "mm with the true cameras"), ("first_world_s", "s"),
        ("root_error_share", "of the way"), ("up_error_deg", "degrees"), ("bump_noticed_s", "s"),
        ("bump_recovered_s", "s"), ("one_view_share", "of the instants"),
    ):  # fmt: skip
        typer.echo(f"{name:<18}{result[name]:8.3f} {unit}")


def _run(seed: int, cams: int, folder: Path) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    knocked, knock_s = int(rng.integers(cams)), float(rng.uniform(*_KNOCK_S))
    turn_deg = _KNOCK_DEG * float(rng.choice([-1, 1]))
    truth_file = folder / "truth.npz"
    unplugged_s = knock_s + _AFTER_KNOCK_S
    words = ["--cams", str(cams), "--seed", str(seed), "--truth", str(truth_file)]
    words += ["--source", f"sim?turn={knocked}:{turn_deg}@{knock_s:.2f}", "--record", "frames"]
    words += ["--height", str(STATURE_M)]
    words += ["--duration", str(unplugged_s + _BETWEEN_S * cams + _ALONE_S + 1)]
    with running_capture(words, folder) as running:
        left = int(rng.integers(cams))
        _unplug(running, [f"cam{v}" for v in range(cams) if v != left], unplugged_s)
        done = running.until_the_end()
    return {"seed": seed, "knocked": knocked, **_scored(done, truth_file, f"cam{knocked}")}


def _unplug(running: Running, cameras: list[str], after_s: float) -> None:
    """Stop one camera's process after the other until one is left; then continue all."""
    running.wait_for(lambda lines: bool(lines) and lines[-1]["instants"] > 0)
    time.sleep(after_s)
    stopped = []
    try:
        for camera in cameras:
            stopped.append(running.camera_process(camera))
            os.kill(stopped[-1], signal.SIGSTOP)
            time.sleep(_BETWEEN_S)
        time.sleep(_ALONE_S)
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


def _scored(done: CaptureRun, truth_file: Path, knocked: str) -> dict[str, Any]:
    take = read_scored_session(done.session, truth_file)
    share, alone = one_view_share(take)
    world = done.final["world"]
    found = {
        **score_world(take),
        "first_world_s": first_world_s(take),
        **score_bump(take, knocked),
        "one_view_share": share,
    }
    return {
        **{name: round(value, 4) for name, value in found.items()},
        "one_view_instants": alone,
        "instants": len(take.poses),
        "instants_per_s": round(len(take.poses) / float(np.ptp(take.t_s)), 2),
        "calibrations": world["calibration"],
        "moves_noticed": world["moves"],
        "place_ms": {k: round(v, 2) for k, v in done.final["latency_ms"]["place"].items()},
    }


def _pooled(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Times of the worst run, and means of all other figures."""
    kept = ("seed", "knocked", "place_ms")
    names = [name for name in runs[0] if name not in kept]
    return {
        name: round(float((np.max if name in _WORST else np.mean)([r[name] for r in runs])), 4)
        for name in names
    }
