"""Errors of a self-calibrated session: of its skeletons, of its cameras, and the limit with the
true cameras.

Skeletons are compared in the axes of each view that saw the person, root-aligned at the one best
scale (N-MPJPE) and after the best similarity (P-MPJPE); an instant that fewer than two views saw
does not count.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from cvsf.calibration.metric_scale import SEGMENTS
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.evaluation.metrics import n_mpjpe, p_mpjpe
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import Similarity, align
from cvsf.multiview.triangulation import triangulate
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.shapes import Real
from cvsf.skeleton import H36M_16

_LIMBS = ("thigh", "shin", "upper_arm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Sums of errors over the scored views and instants; sessions are pooled by addition."""

    n_mm: float
    p_mm: float
    count: int

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            n_mm=self.n_mm + other.n_mm,
            p_mm=self.p_mm + other.p_mm,
            count=self.count + other.count,
        )

    @property
    def means(self) -> dict[str, float | None]:
        """N-MPJPE and P-MPJPE in mm to a hundredth, as commands print them, means over scored views
        of instants; both None if there is none.
        """
        if not self.count:
            return {"n_mpjpe_mm": None, "p_mpjpe_mm": None}
        return {
            "n_mpjpe_mm": round(self.n_mm / self.count, 2),
            "p_mpjpe_mm": round(self.p_mm / self.count, 2),
        }


def limit(observations: LiftedObservations, truth: GroundTruth) -> Errors | None:
    """The limit: errors (sums in mm) of robust triangulation with the true cameras, from the
    detector's keypoints without the true distortion where it is known; None if the true cameras are
    not known.
    """
    if truth.rig is None:
        return None
    return errors(truth.rig.in_views(triangulated(observations, truth)), observations, truth)


def errors_of_canonical(
    observations: LiftedObservations, fused: Float[Real, "N J 3"], truth: GroundTruth
) -> Errors:
    """Errors of one body per instant (body frame, any unit), turned into each view by the rotation
    that the lifter found for it.
    """
    in_views = fused[:, None] @ np.swapaxes(observations.view_from_canonical, -1, -2)
    return errors(in_views.astype(float), observations, truth)


def mean_of_canonical(observations: LiftedObservations) -> Float[Real, "N J 3"]:
    """The mean of the views' canonical poses, weighted per joint by confidence; body frame, unit
    scale. A joint that no view detected has the plain mean.
    """
    weight = observations.confidence[..., None].astype(float) + 1e-9
    return np.asarray((weight * observations.canonical).sum(1) / weight.sum(1))


def errors_of_rig(
    observations: LiftedObservations,
    rig: Rig,
    reconstruction: Reconstruction,
    truth: GroundTruth,
) -> Errors:
    """Sums of errors (mm) of the skeletons found with a rig, in the view frames of that rig, so
    errors of its cameras count too. The truth must have joints, and the same views.
    """
    return errors(rig.in_views(reconstruction.joints), observations, truth)


def errors(
    predicted: Float[Real, "N V J 3"], observations: LiftedObservations, truth: GroundTruth
) -> Errors:
    """Sums of errors in mm of joints in the view frames, of any unit, over views of instants that
    two or more views saw, where more than half of the scored joints are known. A joint that is not
    given counts as at the root. All zero if nothing can be scored; the truth must have joints.
    """
    seen = np.any(observations.confidence > 0, axis=-1)
    counted = seen & (seen.sum(1, keepdims=True) > 1)
    root = observations.joint_set.index("hip")
    assert truth.joints_mm is not None
    known = np.asarray(np.isfinite(truth.joints_mm).all(-1))
    if truth.rig is not None:  # a joint that fewer than two views saw cannot be triangulated
        known &= (observations.confidence > 0).sum(1)[:, None] > 1
    chosen, which = list(truth.scored), known[counted]
    rooted = [a[counted] - a[counted][:, root : root + 1] for a in (predicted, truth.joints_mm)]
    which = which[:, chosen] & np.isfinite(rooted[1][:, chosen]).all(-1)
    complete = which.sum(1) > len(chosen) // 2
    a, b = (array[:, chosen][complete] for array in rooted)
    lost = ~np.isfinite(a).all(-1) & which[complete]
    a = np.where(lost[..., None], 0.0, np.nan_to_num(a))  # a joint not given counts as the root
    b = np.where(which[complete][..., None], b, np.nan)
    if not len(a):
        return Errors(n_mm=0.0, p_mm=0.0, count=0)
    return Errors(
        n_mm=float(n_mpjpe(a, b, root=None).sum()), p_mm=float(p_mpjpe(a, b).sum()), count=len(a)
    )


def camera_errors(rig: Rig, reconstruction: Reconstruction, truth: GroundTruth) -> dict[str, Any]:
    """Errors of the cameras, none below 0: `focal`, shares of the true focal length, one a camera,
    means over time; `centres`, the distances from the true ones over the largest distance of two
    true cameras, one a camera, means over time; `centre`, their mean; `rotation_deg`, the angle by
    which the rotation from one camera to another is off, one a pair, means over time; `up_deg`, the
    angle of the two verticals. Also `size_mm`, the length of our unit, and `true_centres` [V, 3] in
    our world and unit, medians over time. The true cameras must be known.

    The two worlds are aligned by one similarity, from the skeletons of all instants; angles of
    pairs need none.
    """
    assert truth.rig is not None
    cameras, world_mm = truth.rig, truth.world_mm
    known = np.isfinite(world_mm).all(-1) & np.isfinite(reconstruction.joints).all(-1)
    known &= (reconstruction.views_seen > 1) & np.isin(np.arange(world_mm.shape[1]), truth.scored)
    scale, R, t = similarity(reconstruction.joints[known], world_mm[known])
    centres = scale * rig.centres @ R.T + t
    error = np.linalg.norm(centres - cameras.centres, axis=-1)
    distance = np.linalg.norm(cameras.centres[:, :, None] - cameras.centres[:, None], axis=-1)
    focal = np.abs(rig.focal_px / cameras.focal_px - 1)
    return {
        "focal": np.broadcast_to(focal, error.shape).mean(0),
        "centre": float(error.mean() / distance.max()),
        "centres": error.mean(0) / distance.max(),
        "rotation_deg": _pair_rotations_deg(rig.view_from_world, cameras.view_from_world),
        "size_mm": float(scale),
        "up_deg": float(np.degrees(np.arccos(np.clip(R[2, 2], -1, 1)))),  # z is up in the truth
        "true_centres": (np.median(cameras.centres, axis=0) - t) @ R / scale,
    }


def _pair_rotations_deg(found: Float[Real, "*N V 3 3"], true: Float[Real, "N V 3 3"]) -> Real:
    """By how much the rotation from one camera to another is off (deg), of every pair, means over
    time.
    """
    pairs = tuple(np.triu_indices(true.shape[-3], 1))
    found_pair, true_pair = (
        R[..., pairs[0], :, :] @ np.swapaxes(R[..., pairs[1], :, :], -1, -2) for R in (found, true)
    )
    # of an angle a the Frobenius norm of the difference is 2 sqrt(2) sin(a / 2)
    chord = np.linalg.norm(found_pair - true_pair, axis=(-1, -2)) / np.sqrt(8)
    return np.asarray(np.degrees(2 * np.arcsin(np.minimum(chord, 1))).mean(0))


def reprojection_px(
    observations: LiftedObservations,
    calibration: Calibration,
    reconstruction: Reconstruction,
    truth: GroundTruth,
) -> dict[str, float]:
    """Median reprojection error (px) of our skeletons in our rig (`self_calibrated`), and of
    skeletons triangulated with the true cameras, which must be known (`true_cameras`). Only
    detected keypoints of scored joints count.
    """
    assert truth.rig is not None
    aligned, scored = time_aligned(observations, calibration.rig.delay_s), list(truth.scored)
    ours = calibration.rig.project(reconstruction.joints) - aligned.keypoints_px
    projected = truth.rig.project(triangulated(observations, truth))
    theirs = projected - _undistorted(observations, truth)
    return {
        name: float(np.nanmedian(np.linalg.norm(error, axis=-1)[..., scored][seen[..., scored]]))
        for name, error, seen in (
            ("self_calibrated", ours, aligned.confidence > 0),
            ("true_cameras", theirs, observations.confidence > 0),
        )
    }


def bone_spread_mm(
    reconstruction: Reconstruction, truth: GroundTruth, size_mm: float
) -> dict[str, dict[str, float]]:
    """Standard deviation (mm) of limb lengths over time, by bone, of our skeletons
    (`self_calibrated`) and of the truth in its first view (`truth`); left and right are averaged.

    `size_mm` is the length of our metre in mm of the truth.
    """
    joints_mm = truth.joints_mm
    assert joints_mm is not None
    spreads: dict[str, dict[str, float]] = {}
    for bone in _LIMBS:
        chains = [tuple(H36M_16.index(joint) for joint in chain) for chain in SEGMENTS[bone][1]]
        spread = [
            [float(np.nanstd(np.linalg.norm(pose[:, a] - pose[:, b], axis=-1))) for a, b in chains]
            for pose in (size_mm * reconstruction.joints, joints_mm[:, 0])
        ]
        ours, true = (float(np.mean(values)) for values in spread)
        spreads[bone] = {"self_calibrated": ours, "truth": true}
    return spreads


def triangulated(observations: LiftedObservations, truth: GroundTruth) -> Float[Real, "N J 3"]:
    """The joints (mm) in the world of the true cameras, which must be known, by robust
    triangulation of the observed keypoints; a joint that fewer than two views saw is NaN.
    """
    assert truth.rig is not None
    confidence = observations.confidence.astype(float)
    keypoints = _undistorted(observations, truth)
    return np.asarray(triangulate(keypoints, confidence, truth.rig.projection), float)


def similarity(source: Float[Real, "M 3"], target: Float[Real, "M 3"]) -> Similarity:
    """The similarity that takes source points nearest to target points (Umeyama 1991): target is
    about `scale * R @ source + t`, in the target's unit. Robust weights in ten rounds of IRLS; all
    points must be finite.
    """
    weight = np.ones(len(source))
    for _ in range(10):
        alignment = align(source, target, weight, scale=True)
        error = np.linalg.norm(alignment.apply(source) - target, axis=-1)
        weight = 1 / (1 + np.square(error / max(3 * float(np.median(error)), 1e-9)))
    return alignment


def _undistorted(observations: LiftedObservations, truth: GroundTruth) -> Real:
    """The observed keypoints (N, V, J, 2) as the true cameras without distortion show them."""
    px = observations.keypoints_px if truth.undistorted_px is None else truth.undistorted_px
    return px.astype(float)
