"""A self-calibrated session against the truth: its skeletons, its cameras, and what true cameras
would have given.

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
from cvsf.multiview.observations import LiftedObservations, in_step
from cvsf.multiview.rig import Calibration
from cvsf.multiview.rotation import Similarity, align
from cvsf.multiview.triangulation import triangulate
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.shapes import Real
from cvsf.skeleton import H36M_16

_LASTING = ("thigh", "shin", "upper_arm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Sums over the views and instants that count, so that sessions can be pooled."""

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
        """As commands print them."""
        if not self.count:
            return {"n_mpjpe_mm": None, "p_mpjpe_mm": None}
        return {
            "n_mpjpe_mm": round(self.n_mm / self.count, 2),
            "p_mpjpe_mm": round(self.p_mm / self.count, 2),
        }


def limit(observations: LiftedObservations, real: GroundTruth) -> Errors | None:
    """Of robust triangulation with the true cameras."""
    if real.rig is None:
        return None
    return errors(real.rig.in_views(_triangulated(observations, real)), observations, real)


def of_canonical(
    observations: LiftedObservations, fused: Float[Real, "N J 3"], real: GroundTruth
) -> Errors:
    """Of one body for all views, turned by each view's lifted rotation."""
    turned = fused[:, None] @ np.swapaxes(observations.view_from_canonical, -1, -2)
    return errors(turned.astype(float), observations, real)


def mean_of_canonical(observations: LiftedObservations) -> Float[Real, "N J 3"]:
    """The lifted poses averaged over the views by confidence."""
    weight = observations.confidence[..., None].astype(float) + 1e-9
    return np.asarray((weight * observations.canonical).sum(1) / weight.sum(1))


def of_rig(
    observations: LiftedObservations, found: Calibration, placed: Reconstruction, real: GroundTruth
) -> Errors:
    """Of the self-calibrated skeletons."""
    return errors(found.rig.in_views(placed.joints), observations, real)


def errors(
    predicted: Float[Real, "N V J 3"], observations: LiftedObservations, real: GroundTruth
) -> Errors:
    """Of joints in the views' axes, against the truth at the joints that count."""
    seen = np.any(observations.confidence > 0, axis=-1)
    counted = seen & (seen.sum(1, keepdims=True) > 1)
    root = observations.joint_set.index("hip")
    assert real.joints_mm is not None
    known = np.asarray(np.isfinite(real.joints_mm).all(-1))
    if real.rig is not None:  # what fewer than two views saw cannot be found
        known &= (observations.confidence > 0).sum(1)[:, None] > 1
    chosen, which = list(real.scored), known[counted]
    rooted = [a[counted] - a[counted][:, root : root + 1] for a in (predicted, real.joints_mm)]
    which = which[:, chosen] & np.isfinite(rooted[1][:, chosen]).all(-1)
    whole = which.sum(1) > len(chosen) // 2
    a, b = (array[:, chosen][whole] for array in rooted)
    lost = ~np.isfinite(a).all(-1) & which[whole]
    a = np.where(lost[..., None], 0.0, np.nan_to_num(a))  # a joint not given counts as the root
    b = np.where(which[whole][..., None], b, np.nan)
    if not len(a):
        return Errors(n_mm=0.0, p_mm=0.0, count=0)
    return Errors(
        n_mm=float(n_mpjpe(a, b, root=None).sum()), p_mm=float(p_mpjpe(a, b).sum()), count=len(a)
    )


def of_cameras(found: Calibration, placed: Reconstruction, real: GroundTruth) -> dict[str, Any]:
    """Focal errors (shares), and centre errors over the largest distance between two cameras.

    The worlds are put together by the one similarity that fits the skeletons of all instants.
    """
    assert real.rig is not None
    cameras, truth = real.rig, real.world_mm
    known = np.isfinite(truth).all(-1) & np.isfinite(placed.joints).all(-1)
    known &= (placed.views_seen > 1) & np.isin(np.arange(truth.shape[1]), real.scored)
    size, turn, shift = similarity(placed.joints[known], truth[known])
    centres = size * found.rig.centres @ turn.T + shift
    off = np.linalg.norm(centres - cameras.centres, axis=-1)
    apart = np.linalg.norm(cameras.centres[:, :, None] - cameras.centres[:, None], axis=-1)
    focal = np.abs(found.rig.focal_px / cameras.focal_px - 1)
    return {
        "focal": np.broadcast_to(focal, off.shape).mean(0),
        "centre": float(off.mean() / apart.max()),
        "size_mm": float(size),
        "up_deg": float(np.degrees(np.arccos(np.clip(turn[2, 2], -1, 1)))),  # the truth's z is up
        "true_centres": (np.median(cameras.centres, axis=0) - shift) @ turn / size,
    }


def reprojection_px(
    observations: LiftedObservations, found: Calibration, placed: Reconstruction, real: GroundTruth
) -> dict[str, float]:
    """Median distance in pixels of what was seen from the skeletons, the true cameras' likewise."""
    assert real.rig is not None
    seen = (observations.confidence > 0)[..., list(real.scored)]
    ours = found.rig.project(placed.joints) - in_step(observations, found.rig.delay_s).keypoints_px
    projected = real.rig.project(_triangulated(observations, real))
    theirs = projected - _undistorted(observations, real)
    return {
        name: float(np.nanmedian(np.linalg.norm(off, axis=-1)[..., list(real.scored)][seen]))
        for name, off in (("self_calibrated", ours), ("true_cameras", theirs))
    }


def bone_spread_mm(
    placed: Reconstruction, real: GroundTruth, size_mm: float
) -> dict[str, dict[str, float]]:
    """Standard deviation of limb lengths over time, ours in the truth's size and the truth's."""
    joints_mm = real.joints_mm
    assert joints_mm is not None
    found: dict[str, dict[str, float]] = {}
    for bone in _LASTING:
        chains = [tuple(H36M_16.index(joint) for joint in chain) for chain in SEGMENTS[bone][1]]
        spread = [
            [float(np.nanstd(np.linalg.norm(pose[:, a] - pose[:, b], axis=-1))) for a, b in chains]
            for pose in (size_mm * placed.joints, joints_mm[:, 0])
        ]
        ours, truth = (float(np.mean(values)) for values in spread)
        found[bone] = {"self_calibrated": ours, "truth": truth}
    return found


def similarity(source: Float[Real, "M 3"], target: Float[Real, "M 3"]) -> Similarity:
    """The alignment of points with others, with robust weights (Cauchy's kernel)."""
    weight = np.ones(len(source))
    for _ in range(10):
        found = align(source, target, weight, scale=True)
        off = np.linalg.norm(found.apply(source) - target, axis=-1)
        weight = 1 / (1 + np.square(off / max(3 * float(np.median(off)), 1e-9)))
    return found


def _undistorted(observations: LiftedObservations, truth: GroundTruth) -> Real:
    """The observed keypoints (N, V, J, 2) as the true cameras without distortion show them."""
    px = observations.keypoints_px if truth.undistorted_px is None else truth.undistorted_px
    return px.astype(float)


def _triangulated(observations: LiftedObservations, truth: GroundTruth) -> Real:
    assert truth.rig is not None
    sure = observations.confidence.astype(float)
    keypoints = _undistorted(observations, truth)
    return np.asarray(triangulate(keypoints, sure, truth.rig.projection), float)
