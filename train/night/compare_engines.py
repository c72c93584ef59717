"""The comparison of the new lifter with the live engine, on the same instants.

Its result holds the scores of both and every check of the gate. The compiled engine is later
compared with the lifter that was scored here.
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

_MOST_EXAMPLES = 6  # in the report
_POSES = ("canonical", "view_from_canonical", "fused")
EVERYDAY = "everyday movement"


def compare(
    fresh: Checkpoint, live: Path, plan: Plan, sessions: Path, files: Sequence[Path]
) -> dict[str, Any]:
    """Scores of both engines on the kept-back sessions, the checks of the gate and some skeletons,
    with the keys of `proof.json`; nothing is written. Sessions whose cameras are not found are in
    `left_out`. Refusal if the new engine gives poses that are not finite, or a checkpoint or file
    cannot be read.
    """
    parent = read_checkpoint(live)
    before = load_engine(live).lift_many
    after = _finite(lift_with(fresh.lifter(), fresh.morphing()))
    labeller = PseudoLabeller(lift_with(parent.lifter()), parent.morphing())
    names = (*plan.kept_back, *plan.earlier)
    recordings, left_out = with_pseudo_labels([sessions / name for name in names], labeller)
    evaluated = [(evaluate(before, session), evaluate(after, session)) for session in recordings]
    pairs = [
        _pair(session, *results, is_new=session.session[0] in plan.kept_back)
        for session, results in zip(recordings, evaluated, strict=True)
    ]
    everyday = reference(before), reference(after)
    labelled = {name: _labelled(before, after, path) for name, path in _by_name(files).items()}
    errors = {name: _n_mm(*results) for name, results in {EVERYDAY: everyday, **labelled}.items()}
    shipped_mm = reference(load_engine(SHIPPED).lift_many)["n_mpjpe_mm"]
    verdict = decide(pairs, errors, (shipped_mm, errors[EVERYDAY][1]))
    return {
        "passed": verdict.passed,
        "gain": verdict.gain,
        "gain_interval": verdict.interval,
        "gate": [plain(check) for check in verdict.checks],
        "evaluation": [_row(*row) for row in zip(recordings, pairs, evaluated, strict=True)],
        "reference": {
            "instants": everyday[0]["instants"],
            "before": everyday[0],
            "after": everyday[1],
            **({"files": labelled} if labelled else {}),
        },
        "left_out": left_out,
        "bones": [list(bone) for bone in H36M_16.bones],
        "skeletons": _examples(recordings, evaluated),
    }


def _finite(lift: Lift) -> Lift:
    """The new lifter; Refusal if its poses are not finite."""

    def lifted(*observations: Array) -> dict[str, Array]:
        outputs = lift(*observations)
        if not all(np.isfinite(outputs[name]).all() for name in _POSES):
            raise Refusal(
                "the poses of the new lifter are not finite; lower the rate, or check the "
                "recordings"
            )
        return outputs

    return lifted


def _by_name(files: Sequence[Path]) -> dict[str, Path]:
    """Files by name, or by path where two have the same name."""
    names = [path.name for path in files]
    return {path.name if names.count(path.name) == 1 else str(path): path for path in files}


def _pair(session: Recordings, before: Evaluated, after: Evaluated, *, is_new: bool) -> Pair:
    means = before.means(), after.means()
    return Pair(
        session=session.session[0],
        before=before.one_view,
        after=after.one_view,
        block=blocks(session),
        views_apart=(means[0]["views_apart"], means[1]["views_apart"]),
        fused=(means[0]["fused_share"], means[1]["fused_share"]),
        is_new=is_new,
    )


def scores_of(proof: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The scores of the new engine in a comparison, for its manifest: means over the newly
    kept-back sessions, of which there must be one, and everyday movement.
    """
    rows = [row["after"] for row in proof["evaluation"] if row["is_new"]]
    kept_back = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    everyday = {k: float(v) for k, v in proof["reference"]["after"].items() if k != "instants"}
    return {"kept_back": kept_back, "everyday_movement": everyday}


def _labelled(before: Lift, after: Lift, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores of both engines on a file with ground truth."""
    instants = read_instants([path])
    scores_before, scores_after = (score(lift, instants)["one_view"] for lift in (before, after))
    return scores_before, scores_after


def _n_mm(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[float, float]:
    return float(before["n_mpjpe_mm"]), float(after["n_mpjpe_mm"])


def _row(session: Recordings, pair: Pair, results: tuple[Evaluated, Evaluated]) -> dict[str, Any]:
    return {
        "session": pair.session,
        "instants": len(session),
        "seconds": round(float(np.ptp(session.t_s)), 1),
        "is_new": pair.is_new,
        "with_truth": False,
        "gain": pair.gain,
        "before": results[0].means(),
        "after": results[1].means(),
    }


def _examples(
    recordings: Sequence[Recordings], evaluated: Sequence[tuple[Evaluated, Evaluated]]
) -> list[Any]:
    """Some instants, evenly spread: the poses of one view before and after, z up."""
    every = [(k, row) for k, session in enumerate(recordings) for row in range(len(session))]
    if not every:
        return []
    chosen = np.unique(np.linspace(0, len(every) - 1, _MOST_EXAMPLES).astype(int))
    return [_bodies(recordings[k], row, evaluated[k]) for k, row in (every[i] for i in chosen)]


def _bodies(session: Recordings, row: int, results: tuple[Evaluated, Evaluated]) -> dict[str, Any]:
    assert session.pseudo_labels is not None
    view = int(session.confidence[row].sum(-1).argmax())
    target = session.pseudo_labels.joints[row, view].astype(np.float64)
    R = _level_from_view(session.pseudo_labels.up[row, view].astype(np.float64))
    rooted = target - target[:1]
    poses = {"target": rooted @ R.T}
    for name, evaluated in zip(("before", "after"), results, strict=True):
        body = evaluated.poses[row, view].astype(np.float64)
        size = float((body * rooted).sum() / max(float(np.square(body).sum()), 1e-9))
        poses[name] = size * body @ R.T
    rounded = {name: np.round(joints, 4).tolist() for name, joints in poses.items()}
    return {
        "session": session.session[row],
        "t_s": round(float(session.t_s[row] - session.t_s[0]), 2),
        **rounded,
    }


def _level_from_view(up: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rotation (3, 3) from a view frame to axes with z up, x as near as possible to the view's."""
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    across = np.array([1.0, 0.0, 0.0]) - up[0] * up
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    return np.stack([across, np.cross(up, across), up])
