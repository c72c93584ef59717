"""`cvsf bench night`: the gain of whole nights on unseen slopes; poisoned ones bring
nothing.

Every slope is recorded by `cvsf-capture` and learned from by `cvsf nightly`, as a user would; only
the score afterwards knows the truth.
"""

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.engine.manifest import read_manifest
from cvsf.registry.registry import Registry
from cvsf.system.errors import Refusal
from train.bench.simulated_sessions import Slope, labelled, poisoned, record
from train.data.instants import joined
from train.evaluation.score_lifter import score

FIRST_UNSEEN = 1_000_000
"""Every seed below belongs to training."""
_POISONS = ("shuffled views", "NaN", "diverged run")
_DIVERGED = {"rate": 1e4, "steps": 200}
_SWAP = ("instants_lost", "reordered", "latest_instant_periods", "rss_growth_mb", "swaps")


def bench_night(
    slopes: Annotated[int, typer.Option(min=1, help="How many random slopes.")] = 5,
    seed: Annotated[list[int] | None, typer.Option(help="These slopes instead.")] = None,
    cams: Annotated[int, typer.Option(min=2, help="Cameras around each.")] = 4,
    takes: Annotated[int, typer.Option(min=2, help="Sessions recorded on each.")] = 5,
    seconds: Annotated[float, typer.Option(min=5, help="Length of each.")] = 15.0,
    swap: Annotated[bool, typer.Option(help="Run `cvsf bench swap` too.")] = True,
    keep: Annotated[Path | None, typer.Option(help="Keep sessions and reports here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Record, learn, compare and promote on unseen slopes; poisoned nights on the first of them."""
    chosen = seed or [FIRST_UNSEEN + secrets.randbelow(2**30) for _ in range(slopes)]
    if below := [one for one in chosen if one < FIRST_UNSEEN]:
        raise Refusal(f"seed {below[0]} may have been trained on; choose from {FIRST_UNSEEN} on")
    if keep and keep.exists():
        raise Refusal(f"{keep} is there already, expected a new folder; give another --keep")
    nights: list[dict[str, Any]] = []
    poisons: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for one in chosen:
            _print(f"slope {one}: recording {takes} sessions of {seconds:g} s")
            place = (keep or Path(scratch)) / str(one)
            slope = record(one, place, cams=cams, takes=takes, seconds=seconds)
            if not poisons:
                poisons = {how: _poisoned_night(slope, place / how, how) for how in _POISONS}
            nights.append(_night(slope))
            if not keep:
                shutil.rmtree(place)
    gains = [night["improvement"] for night in nights]
    result: dict[str, Any] = {
        "improvement": round(float(np.mean(gains)), 4),
        "improvement_per_slope": gains,
        "promoted": sum(night["promoted"] for night in nights),
        "starter_sha256": read_manifest(SHIPPED).sha256,
        "seeds": chosen,
        "poisoned_promoted": sum(night["promoted"] for night in poisons.values()),
        "poisoned": {how: night["verdict"] for how, night in poisons.items()},
        "nights": nights,
    }
    if swap:
        _print("swapping under load")
        found = _command("bench", "swap", "--json")
        result |= {name: found[name] for name in _SWAP if name in found}
    _show(result, as_json=as_json)


def _night(slope: Slope) -> dict[str, Any]:
    """A night on the slope, and its gain against the ground truth."""
    facts = _command("nightly", "--data", str(slope.data), "--json")
    _print(facts["verdict"])
    if "sessions" not in facts:  # the night had nothing to learn from
        raise Refusal(f"slope {slope.seed} gave no night: {facts['verdict']}")
    live = Registry(slope.data / "models").live()
    names = [one["name"] for one in facts["sessions"]["kept_back"]]
    kept_back = joined([labelled(slope, slope.sessions / name) for name in names])
    before, after = (score(load_engine(folder).lift_many, kept_back) for folder in (SHIPPED, live))
    errors = before["one_view"]["n_mpjpe_mm"], after["one_view"]["n_mpjpe_mm"]
    return {
        "seed": slope.seed,
        "promoted": facts["promoted"],
        "improvement": round(1 - errors[1] / errors[0], 4),
        "one_view": {"before": before["one_view"], "after": after["one_view"]},
        "fused": {"before": before["fused"], "after": after["fused"]},
        "gain_without_truth": facts.get("gain"),
        "everyday_movement": facts.get("reference"),
        "verdict": facts["verdict"],
        "seconds": {step["step"]: step["seconds"] for step in facts["steps"]},
    }


def _poisoned_night(slope: Slope, folder: Path, how: str) -> dict[str, Any]:
    """What a night makes of sessions that are spoilt, or of a course that leads nowhere."""
    words = []
    if how == "diverged run":
        folder.mkdir()
        slope = Slope(seed=slope.seed, data=folder / "data", truth=slope.truth)
        shutil.copytree(folder.parent / "data" / "sessions", slope.sessions)
        (folder / "night.json").write_text(json.dumps(_DIVERGED))
        words = ["--config", str(folder / "night.json")]
    else:
        slope = poisoned(slope, folder, how)
    facts = _command("nightly", "--data", str(slope.data), "--json", *words)
    changed = Registry(slope.data / "models").live() != SHIPPED
    _print(f"{how}: {facts['verdict']}")
    return {"promoted": bool(facts["promoted"]) or changed, "verdict": facts["verdict"]}


def _command(*words: str) -> dict[str, Any]:
    """The JSON output of a `cvsf` command; a Refusal if it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "cvsf", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise Refusal(f"cvsf {' '.join(words)} ended with {done.returncode}: {reason}")
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def _print(text: str) -> None:
    typer.echo(text, err=True)


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result))
        return
    table = Table("slope", "before mm", "after mm", "less", "live", title="One view, N-MPJPE")
    for night in result["nights"]:
        before, after = (night["one_view"][when]["n_mpjpe_mm"] for when in ("before", "after"))
        table.add_row(
            *(str(night["seed"]), f"{before:.1f}", f"{after:.1f}"),
            *(f"{night['improvement']:.1%}", "new" if night["promoted"] else "starter"),
        )
    console = Console()
    console.print(table)
    for how, verdict in result["poisoned"].items():
        console.print(f"{how}: {verdict}", highlight=False)
    if "swaps" in result:
        console.print({name: result[name] for name in _SWAP if name in result})
