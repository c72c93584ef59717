"""The step that compares the new lifter with the live engine, on the same instants.

Its result holds both engines' scores and every check of the gate, passed or not; compiling then
compares the engine with the lifter that was scored here.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.shapes import Array
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.batches.pseudo_labels import PseudoLabeller
from train.checkpoint import Checkpoint, read_checkpoint
from train.data.instants import Recordings
from train.data.read import read_instants
from train.evaluation.score_lifter import Lift, score
from train.loop.run import lift_with
from train.night.gate import Pair, decide, plain
from train.night.label_free_evaluation import (
    Evaluated,
    blocks,
    evaluate,
    reference,
    with_pseudo_labels,
)
from train.night.session_selection import Plan

log = logging.getLogger(__name__)

_MOST_EXAMPLES = 6
_POSES = ("canonical", "view_from_canonical", "fused")
EVERYDAY = "everyday movement"


def compare(
    fresh: Checkpoint, live: Path, plan: Plan, sessions: Path, files: Sequence[Path]
) -> dict[str, Any]:
    """Scores of both, the gate's checks and some skeletons, as the report has them."""
    taught = read_checkpoint(live)
    before = load_engine(live).lift_many
    after = _finite(lift_with(fresh.lifter(), fresh.morphing()))
    labeller = PseudoLabeller(lift_with(taught.lifter()), taught.morphing())
    names = (*plan.kept_back, *plan.earlier)
    found, without = with_pseudo_labels([sessions / name for name in names], labeller)
    evaluated = [(evaluate(before, one), evaluate(after, one)) for one in found]
    pairs = [
        _pair(one, *both, is_new=one.session[0] in plan.kept_back)
        for one, both in zip(found, evaluated, strict=True)
    ]
    everyday = reference(before), reference(after)
    labelled = {name: _labelled(before, after, path) for name, path in _named(files).items()}
    errors = {name: _n_mm(*both) for name, both in {EVERYDAY: everyday, **labelled}.items()}
    starter = reference(load_engine(SHIPPED).lift_many)["n_mpjpe_mm"]
    verdict = decide(pairs, errors, (starter, errors[EVERYDAY][1]))
    return {
        "passed": verdict.passed,
        "gain": verdict.gain,
        "gain_interval": verdict.interval,
        "gate": [plain(check) for check in verdict.checks],
        "evaluation": [_row(*row) for row in zip(found, pairs, evaluated, strict=True)],
        "reference": {
            "instants": everyday[0]["instants"],
            "before": everyday[0],
            "after": everyday[1],
            **({"files": labelled} if labelled else {}),
        },
        "left_out": without,
        "bones": [list(bone) for bone in H36M_16.bones],
        "skeletons": _examples(found, evaluated),
    }


def _finite(lift: Lift) -> Lift:
    """The new lifter, refused where its poses are not finite: they cannot be measured."""

    def lifted(*seen: Array) -> dict[str, Array]:
        found = lift(*seen)
        if not all(np.isfinite(found[name]).all() for name in _POSES):
            raise Refusal(
                "the new lifter gives poses that are no numbers; lower the rate, or look for what "
                "the recordings hold"
            )
        return found

    return lifted


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """Files by name, with their folders where two have the same."""
    names = [path.name for path in files]
    return {path.name if names.count(path.name) == 1 else str(path): path for path in files}


def _pair(one: Recordings, before: Evaluated, after: Evaluated, *, is_new: bool) -> Pair:
    means = before.means(), after.means()
    return Pair(
        session=one.session[0],
        before=before.one_view,
        after=after.one_view,
        block=blocks(one),
        views_apart=(means[0]["views_apart"], means[1]["views_apart"]),
        fused=(means[0]["fused_share"], means[1]["fused_share"]),
        is_new=is_new,
    )


def scores_of(proof: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The new lifter's scores, for its manifest."""
    rows = [row["after"] for row in proof["evaluation"] if row["is_new"]]
    kept_back = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    everyday = {k: float(v) for k, v in proof["reference"]["after"].items() if k != "instants"}
    return {"kept_back": kept_back, "everyday_movement": everyday}


def _labelled(before: Lift, after: Lift, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both engines' scores on a file that holds the truth."""
    instants = read_instants([path])
    one, other = (score(lift, instants)["one_view"] for lift in (before, after))
    return one, other


def _n_mm(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[float, float]:
    return float(before["n_mpjpe_mm"]), float(after["n_mpjpe_mm"])


def _row(one: Recordings, pair: Pair, both: tuple[Evaluated, Evaluated]) -> dict[str, Any]:
    return {
        "session": pair.session,
        "instants": len(one),
        "seconds": round(float(np.ptp(one.t_s)), 1),
        "is_new": pair.is_new,
        "with_truth": False,
        "gain": pair.gain,
        "before": both[0].means(),
        "after": both[1].means(),
    }


def _examples(
    found: Sequence[Recordings], evaluated: Sequence[tuple[Evaluated, Evaluated]]
) -> list[Any]:
    """Some instants evenly over the sessions: the poses of one view before and after, z up."""
    every = [(k, row) for k, one in enumerate(found) for row in range(len(one))]
    if not every:
        return []
    chosen = np.unique(np.linspace(0, len(every) - 1, _MOST_EXAMPLES).astype(int))
    return [_bodies(found[k], row, evaluated[k]) for k, row in (every[i] for i in chosen)]


def _bodies(one: Recordings, row: int, both: tuple[Evaluated, Evaluated]) -> dict[str, Any]:
    assert one.pseudo_labels is not None
    view = int(one.confidence[row].sum(-1).argmax())
    target = one.pseudo_labels.joints[row, view].astype(np.float64)
    upright = _upright(one.pseudo_labels.up[row, view].astype(np.float64))
    rooted = target - target[:1]
    bodies = {"target": rooted @ upright.T}
    for name, evaluated in zip(("before", "after"), both, strict=True):
        body = evaluated.poses[row, view].astype(np.float64)
        size = float((body * rooted).sum() / max(float(np.square(body).sum()), 1e-9))
        bodies[name] = size * body @ upright.T
    rounded = {name: np.round(joints, 4).tolist() for name, joints in bodies.items()}
    return {
        "session": one.session[row],
        "t_s": round(float(one.t_s[row] - one.t_s[0]), 2),
        **rounded,
    }


def _upright(up: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rotation (3, 3) from a view's axes to ones with z up and x as the view has it."""
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    across = np.array([1.0, 0.0, 0.0]) - up[0] * up
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    return np.stack([across, np.cross(up, across), up])
