"""Errors of poses against ground truth, and label-free metrics.

Names and protocols are those of the field. Errors are in the unit of the truth; NaN joints of the
truth are left out.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rotation import align
from cvsf.shapes import Bool, Float
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.floating[Any]]
Pose = Float[Real, "*#batch J 3"]
PerPose = Float[Real, "*batch"]

PCK_MM = 150.0
_TINY = 1e-12


def mpjpe(predicted: Pose, truth: Pose, root: int = 0) -> PerPose:
    """Mean distance of joint and true joint after the joint `root` of both is moved to the origin,
    per pose (protocol 1), in the unit of the poses. NaN joints of the truth are left out; NaN if
    its root is.
    """
    return _mean_distance(_rooted(predicted, root), _rooted(truth, root))


def n_mpjpe(predicted: Pose, truth: Pose, root: int | None = 0) -> PerPose:
    """MPJPE with the predicted pose multiplied by its best scale, per pose, in the unit of the
    truth. `root` None if the roots are aligned already. NaN joints of the truth are left out.
    """
    return _mean_distance(_scaled(predicted, truth, root), _rooted(truth, root))


def p_mpjpe(predicted: Pose, truth: Pose) -> PerPose:
    """Mean joint distance after the best similarity transform (no reflection) of each predicted
    pose (Procrustes, protocol 2; Umeyama 1991), in the unit of the truth. NaN joints of it are left
    out.
    """
    known = np.isfinite(truth).all(-1).astype(float)
    return _mean_distance(align(predicted, truth, known, scale=True).apply(predicted), truth)


def pck(predicted: Pose, truth: Pose, root: int = 0, within: float = PCK_MM) -> PerPose:
    """Share (0 to 1) of the known joints that are within a distance of the truth, roots aligned,
    per pose; the root counts. `within` has the unit of the poses, so mm by default; 0 if none is
    known.
    """
    return _share_within(_rooted(predicted, root), _rooted(truth, root), within)


def n_pck(predicted: Pose, truth: Pose, root: int = 0, within: float = PCK_MM) -> PerPose:
    """PCK (0 to 1) with the predicted pose at its best scale, roots aligned, per pose: the share of
    the known joints, the root among them, within a distance of the truth. `within` has the unit of
    the truth, so mm by default; 0 if no joint is known.
    """
    return _share_within(_scaled(predicted, truth, root), _rooted(truth, root), within)


def auc(predicted: Pose, truth: Pose, root: int = 0, within: float = PCK_MM) -> PerPose:
    """Mean (0 to 1) of N-PCK over 31 equally spaced thresholds from 0 to `within`, both included,
    per pose. `within` has the unit of the truth, so mm by default; 0 if no joint is known.
    """
    steps = np.linspace(0, within, 31)
    return np.asarray(np.mean([n_pck(predicted, truth, root, step) for step in steps], axis=0))


def jdr(
    predicted_px: Float[Real, "*batch J 2"],
    truth_px: Float[Real, "*batch J 2"],
    head_px: Float[Real, "*batch"],
    seen: Bool[npt.NDArray[np.bool_], "*batch J"],
) -> Float[Real, "J"]:
    """Joint detection rate of each joint: the share (0 to 1) of its seen keypoints that are at most
    half of `head_px` from the truth; 0 if it was never seen.
    """
    distance = np.linalg.norm(predicted_px - truth_px, axis=-1)
    hit = (distance <= head_px[..., None] / 2) & seen
    count = seen.sum(axis=tuple(range(seen.ndim - 1)))
    return np.asarray(hit.sum(axis=tuple(range(seen.ndim - 1))) / np.maximum(count, 1))


def mean_velocity_error(
    predicted: Float[Real, "T J 3"], truth: Float[Real, "T J 3"], root: int = 0
) -> float:
    """Mean error of the joints' movement from one frame to the next, in the unit of the truth per
    frame.

    Root-aligned, at the one best scale for all T frames. NaN joints of the truth are left out.
    """
    predicted, truth = _rooted(predicted, root), _rooted(truth, root)
    known = np.isfinite(truth).all(-1, keepdims=True)
    estimate, target = np.where(known, predicted, 0), np.where(known, truth, 0)
    scale = (estimate * target).sum() / max((estimate * estimate).sum(), _TINY)
    return float(np.nanmean(np.linalg.norm(np.diff(scale * predicted - truth, axis=0), axis=-1)))


def multiview_agreement(
    canonical: Float[Real, "*batch V J 3"], confidence: Float[Real, "*batch V J"]
) -> Float[Real, "*batch"]:
    """Label-free: mean distance of the canonical poses from their mean over the views, over its RMS
    radius; no unit, 0 is perfect agreement.

    Joints are weighted by confidence; 0 also if nothing was observed.
    """
    weight = confidence[..., None]
    total = np.maximum(weight.sum(-3, keepdims=True), _TINY)
    mean = (weight * canonical).sum(-3, keepdims=True) / total
    distance = np.linalg.norm(canonical - mean, axis=-1)
    mean_distance = (confidence * distance).sum((-2, -1)) / np.maximum(
        confidence.sum((-2, -1)), _TINY
    )
    radius = np.sqrt(np.square(mean).sum(-1).mean((-2, -1)))
    return np.asarray(mean_distance / np.maximum(radius, _TINY))


def bone_stability(joints: Float[Real, "T J 3"], joint_set: JointSet) -> Float[Real, "B"]:
    """Label-free: standard deviation of every bone's length over a take, over its mean; no unit, 0
    is constant. NaN for a bone with a NaN joint.
    """
    parent, child = (list(ends) for ends in zip(*joint_set.bones, strict=True))
    length = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
    return np.asarray(length.std(0) / np.maximum(length.mean(0), _TINY))


def _rooted(pose: Real, root: int | None) -> Real:
    return pose if root is None else np.asarray(pose - pose[..., root : root + 1, :])


def _scaled(predicted: Real, truth: Real, root: int | None) -> Real:
    predicted, truth = _rooted(predicted, root), _rooted(truth, root)
    known = np.isfinite(truth).all(-1, keepdims=True)
    estimate, target = np.where(known, predicted, 0), np.where(known, truth, 0)
    over = np.maximum(np.square(estimate).sum((-2, -1), keepdims=True), _TINY)
    return np.asarray((estimate * target).sum((-2, -1), keepdims=True) / over * predicted)


def _mean_distance(a: Real, b: Real) -> Real:
    return np.asarray(np.nanmean(np.linalg.norm(a - b, axis=-1), axis=-1))


def _share_within(a: Real, b: Real, within: float) -> Real:
    distance = np.linalg.norm(a - b, axis=-1)
    known = np.isfinite(distance)
    hit = np.where(known, distance, np.inf) <= within
    return np.asarray(hit.sum(-1) / np.maximum(known.sum(-1), 1))
