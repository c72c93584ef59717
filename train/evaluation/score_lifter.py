"""A lifter scored on instants: one view alone, its refined 2D, and all views together; with truth
and without.

Anything that turns pixels into the engine's outputs can be scored; truth is only ever compared
with.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.evaluation.metrics import (
    bone_stability,
    jdr,
    multiview_agreement,
    n_mpjpe,
    n_pck,
    p_mpjpe,
)
from cvsf.model.fusion import refined_confidence
from cvsf.shapes import Array, Mask
from cvsf.skeleton import H36M_16
from train.data.instants import Recordings
from train.data.temporal_windows import one_clock, windows

Lift = Callable[[Array, Array, Array], dict[str, Array]]
"""keypoints_px, confidence, image_px of (N, V) to the engine's outputs by name."""

_BATCH = 256
BAD_SHARE = 0.05
"""A joint is badly detected when it is off by more than this share of the pose's norm."""


def score(
    lift: Lift, instants: Recordings, again: Lift | None = None, frames: int = 1
) -> dict[str, Any]:
    """The keys of `cvsf evaluate`, of at least one instant; those that need a truth the file lacks
    are left out.

    `again` lifts refined 2D where `lift` morphs: they are in the lifter's convention already. A
    lifter of windows of so many `frames` gets as many, of the part that is scored.
    """

    def inputs(keypoints: Array, confidence: Array) -> tuple[Array, Array]:
        if frames == 1:
            return keypoints, confidence
        return windows(keypoints, confidence, clock, frames)

    clock = one_clock(instants.session, instants.t_s)
    seen_2d = inputs(instants.keypoints_px, instants.confidence)
    together = lift_all(lift, *seen_2d, instants.image_px)
    alone = _one_by_one(lift, instants, *seen_2d)
    facts: dict[str, Any] = {"frames": len(instants)}
    truth = instants.truth
    seen: Mask = np.any(instants.confidence > 0, axis=-1)
    if truth.joints_mm is not None:
        found = (instants.confidence, together["fused_confidence"])
        sure = refined_confidence(*(torch.tensor(array) for array in found)).numpy()
        refined = _one_by_one(again or lift, instants, *inputs(together["refined_px"], sure))
        facts["one_view"] = errors(_in_view(alone), truth.joints_mm, seen)
        facts["one_view_refined"] = errors(_in_view(refined), truth.joints_mm, seen)
        facts["fused"] = errors(
            together["fused"][:, None] @ np.swapaxes(together["view_from_canonical"], -1, -2),
            truth.joints_mm,
            seen,
        )
    if truth.keypoints_px is not None:
        facts |= _score_2d(instants, truth, together["refined_px"])
    facts["without_truth"] = _without_truth(together, alone, instants)
    return facts


def errors(
    predicted: Float[Array, "N V J 3"], truth_mm: Float[Array, "N V J 3"], seen: Bool[Mask, "N V"]
) -> dict[str, float]:
    """Means over the views that saw the person: N-MPJPE and P-MPJPE in mm, N-PCK as a share of 1;
    NaN if there is no such view. Joints are in the view frames, `predicted` in any unit; unknown
    true joints are NaN.
    """
    predicted, truth = predicted[seen].astype(np.float64), truth_mm[seen].astype(np.float64)
    return {
        "n_mpjpe_mm": float(np.nanmean(n_mpjpe(predicted, truth))),
        "p_mpjpe_mm": float(np.nanmean(p_mpjpe(predicted, truth))),
        "n_pck": float(np.mean(n_pck(predicted, truth))),
    }


def lift_all(
    lift: Lift,
    keypoints: Float[Array, "N V ... J 2"],
    confidence: Float[Array, "N V ... J"],
    image: Float[Array, "N V 2"],
) -> dict[str, Array]:
    """The engine's outputs by name for all N instants (at least one), computed 256 at a time.
    Keypoints and picture sizes are in px.
    """
    parts = [
        lift(keypoints[at : at + _BATCH], confidence[at : at + _BATCH], image[at : at + _BATCH])
        for at in range(0, len(confidence), _BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _one_by_one(
    lift: Lift, instants: Recordings, keypoints: Array, confidence: Array
) -> dict[str, Array]:
    """Every view lifted as if it were the only one; outputs (N, V, ...)."""
    shape = confidence.shape[:2]

    def rows(array: Array) -> Array:
        return array.reshape(-1, 1, *array.shape[2:])

    found = lift_all(lift, rows(keypoints), rows(confidence), rows(instants.image_px))
    alone = {name: found[name][:, 0] for name in ("canonical", "view_from_canonical")}
    return {name: array.reshape(*shape, *array.shape[1:]) for name, array in alone.items()}


def _in_view(alone: dict[str, Array]) -> Array:
    return np.asarray(alone["canonical"] @ np.swapaxes(alone["view_from_canonical"], -1, -2))


def over_pose_norm(
    pixels: Float[Array, "... J 2"], truth_px: Float[Array, "... J 2"]
) -> Float[Array, "... J"]:
    """Distance of each keypoint from the truth over the norm of the true pose about its root (both
    px, so no unit); NaN where the true joint is not known.
    """
    known: Mask = np.asarray(np.isfinite(truth_px).all(-1))
    rooted = np.where(known[..., None], truth_px - truth_px[..., :1, :], 0)
    norm = np.maximum(np.sqrt(np.square(rooted).sum((-2, -1))), 1e-9)[..., None]
    return np.asarray(np.linalg.norm(pixels - truth_px, axis=-1) / norm)


def _score_2d(instants: Recordings, truth: GroundTruth, refined_px: Array) -> dict[str, Any]:
    assert truth.keypoints_px is not None
    known: Mask = np.asarray(np.isfinite(truth.keypoints_px).all(-1))
    seen = (instants.confidence > 0) & known
    before, after = (
        over_pose_norm(pixels, truth.keypoints_px) for pixels in (instants.keypoints_px, refined_px)
    )
    bad, good = seen & (before > BAD_SHARE), seen & (before <= BAD_SHARE)
    facts: dict[str, Any] = {
        "refined_2d": {
            f"{name}_{when}": float(error[which].mean()) if which.any() else None
            for name, which in (("bad", bad), ("good", good))
            for when, error in (("before", before), ("after", after))
        }
    }
    if truth.head_px is not None:
        rates = [
            jdr(pixels, truth.keypoints_px, truth.head_px, seen)
            for pixels in (instants.keypoints_px, refined_px)
        ]
        facts["jdr"] = {
            joint: {"before": float(rates[0][j]), "after": float(rates[1][j])}
            for j, joint in enumerate(H36M_16.joints)
        }
    return facts


def _without_truth(
    together: dict[str, Array], alone: dict[str, Array], instants: Recordings
) -> dict[str, float | None]:
    """Agreement between the views' own poses, and how much bones change length in a take."""
    several = np.any(instants.confidence > 0, axis=-1).sum(-1) > 1
    apart = multiview_agreement(alone["canonical"], instants.confidence)
    names = np.array(instants.session)
    takes = [together["fused"][several & (names == name)] for name in instants.sessions]
    spread = [bone_stability(take, H36M_16).mean() for take in takes if len(take) > 1]
    return {
        "views_apart": float(apart[several].mean()) if several.any() else None,
        "bone_spread": float(np.mean(spread)) if spread else None,
    }
