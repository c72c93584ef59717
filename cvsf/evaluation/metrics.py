"""How far a pose is from the truth, and how good it looks where there is no truth.

Names and protocols are the field's: poses (..., J, 3), errors in the unit of the truth, NaN joints
of the truth left out.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import JointSet

Real = npt.NDArray[np.floating[Any]]

PCK_MM = 150.0
_TINY = 1e-12


def mpjpe(predicted: Real, truth: Real, root: int = 0) -> Real:
    """Mean joint distance after the roots are put together, per pose (protocol 1)."""
    return _mean_distance(_rooted(predicted, root), _rooted(truth, root))


def n_mpjpe(predicted: Real, truth: Real, root: int | None = 0) -> Real:
    """Mean joint distance at the best scale per pose; root None if it is aligned already."""
    return _mean_distance(_scaled(predicted, truth, root), _rooted(truth, root))


def p_mpjpe(predicted: Real, truth: Real) -> Real:
    """Mean joint distance after the best similarity transform per pose (Procrustes, protocol 2)."""
    return _mean_distance(procrustes(predicted, truth), truth)


def pck(predicted: Real, truth: Real, root: int = 0, within: float = PCK_MM) -> Real:
    """Share of root-aligned joints within a distance, per pose."""
    return _share_within(_rooted(predicted, root), _rooted(truth, root), within)


def n_pck(predicted: Real, truth: Real, root: int = 0, within: float = PCK_MM) -> Real:
    """Share of joints within a distance at the best scale, per pose."""
    return _share_within(_scaled(predicted, truth, root), _rooted(truth, root), within)


def auc(predicted: Real, truth: Real, root: int = 0, within: float = PCK_MM) -> Real:
    """Mean of N-PCK over 31 thresholds from 0 to `within`, per pose."""
    steps = np.linspace(0, within, 31)
    return np.asarray(np.mean([n_pck(predicted, truth, root, step) for step in steps], axis=0))


def jdr(predicted_px: Real, truth_px: Real, head_px: Real, seen: npt.NDArray[np.bool_]) -> Real:
    """Joint detection rate (J,): the share of seen (N, V, J) within half a head of the truth."""
    distance = np.linalg.norm(predicted_px - truth_px, axis=-1)
    hit = (distance <= head_px[..., None] / 2) & seen
    shown = seen.sum(axis=tuple(range(seen.ndim - 1)))
    return np.asarray(hit.sum(axis=tuple(range(seen.ndim - 1))) / np.maximum(shown, 1))


def mean_velocity_error(predicted: Real, truth: Real, root: int = 0) -> float:
    """Mean error of joint movements from frame to frame of one take (T, J, 3).

    Root-aligned, at the one best scale for the whole take.
    """
    predicted, truth = _rooted(predicted, root), _rooted(truth, root)
    known = np.isfinite(truth).all(-1, keepdims=True)
    there, at = np.where(known, predicted, 0), np.where(known, truth, 0)
    scale = (there * at).sum() / max((there * there).sum(), _TINY)
    return float(np.nanmean(np.linalg.norm(np.diff(scale * predicted - truth, axis=0), axis=-1)))


def multiview_agreement(canonical: Real, confidence: Real) -> Real:
    """Without labels: how far the canonical poses (..., V, J, 3) lie from their mean.

    As a share of the mean's RMS radius, every joint by its confidence.
    """
    weight = confidence[..., None]
    total = np.maximum(weight.sum(-3, keepdims=True), _TINY)
    mean = (weight * canonical).sum(-3, keepdims=True) / total
    distance = np.linalg.norm(canonical - mean, axis=-1)
    apart = (confidence * distance).sum((-2, -1)) / np.maximum(confidence.sum((-2, -1)), _TINY)
    radius = np.sqrt(np.square(mean).sum(-1).mean((-2, -1)))
    return np.asarray(apart / np.maximum(radius, _TINY))


def bone_stability(joints: Real, joint_set: JointSet) -> Real:
    """Without labels: relative standard deviation of every bone's length over a take (T, J, 3)."""
    parent, child = (list(ends) for ends in zip(*joint_set.bones, strict=True))
    length = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
    return np.asarray(length.std(0) / np.maximum(length.mean(0), _TINY))


def procrustes(predicted: Real, truth: Real) -> Real:
    """The prediction after the rotation (no mirror), scale and shift nearest to the truth."""
    weight = np.isfinite(truth).all(-1, keepdims=True).astype(float)
    count = np.maximum(weight.sum(-2, keepdims=True), 1)
    at = np.where(weight > 0, truth, 0.0)
    middle = (weight * predicted).sum(-2, keepdims=True) / count
    centre = at.sum(-2, keepdims=True) / count
    from_, to = weight * (predicted - middle), weight * (at - centre)
    u, s, vt = np.linalg.svd(np.swapaxes(from_, -1, -2) @ to)
    s[..., -1] *= (sign := np.sign(np.linalg.det(u @ vt)))
    vt[..., -1, :] *= sign[..., None]
    scale = s.sum(-1) / np.maximum(np.square(from_).sum((-2, -1)), _TINY)
    return np.asarray(scale[..., None, None] * (predicted - middle) @ (u @ vt) + centre)


def _rooted(pose: Real, root: int | None) -> Real:
    return pose if root is None else np.asarray(pose - pose[..., root : root + 1, :])


def _scaled(predicted: Real, truth: Real, root: int | None) -> Real:
    predicted, truth = _rooted(predicted, root), _rooted(truth, root)
    known = np.isfinite(truth).all(-1, keepdims=True)
    there, at = np.where(known, predicted, 0), np.where(known, truth, 0)
    over = np.maximum(np.square(there).sum((-2, -1), keepdims=True), _TINY)
    return np.asarray((there * at).sum((-2, -1), keepdims=True) / over * predicted)


def _mean_distance(a: Real, b: Real) -> Real:
    return np.asarray(np.nanmean(np.linalg.norm(a - b, axis=-1), axis=-1))


def _share_within(a: Real, b: Real, within: float) -> Real:
    distance = np.linalg.norm(a - b, axis=-1)
    known = np.isfinite(distance)
    hit = np.where(known, distance, np.inf) <= within
    return np.asarray(hit.sum(-1) / np.maximum(known.sum(-1), 1))
