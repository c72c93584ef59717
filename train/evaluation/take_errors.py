"""Errors of the skeletons of a whole take, after ONE similarity for all its instants.

A take that is right instant by instant and drifts, turns or grows is right by N- and P-MPJPE, and
wrong here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import align
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.shapes import Bool, Real
from train.evaluation.calibration_errors import triangulated


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeErrors:
    """Mean distances of the joints of one take, in mm of the truth."""

    rooted_mm: float
    """Hips put together in every instant."""
    place_mm: float
    """As they stand, so errors of the way that was travelled count too."""

    @property
    def facts(self) -> dict[str, float]:
        """Both in mm to a hundredth, as commands print them."""
        return {"rooted_mm": round(self.rooted_mm, 2), "place_mm": round(self.place_mm, 2)}


def errors_of_take(
    observations: LiftedObservations,
    rig: Rig,
    reconstruction: Reconstruction,
    truth: GroundTruth,
) -> TakeErrors | None:
    """Errors of the skeletons found with a rig, in their world, or, where the true cameras are not
    known, in the axes of each view (mean over views). None if too few joints are known. The truth
    must have joints, and the same views.
    """
    known = _known(observations, truth)
    if truth.rig is not None:
        return take_errors(reconstruction.joints, truth.world_mm, known)
    assert truth.joints_mm is not None
    in_views = rig.in_views(reconstruction.joints)
    views = range(len(observations.cameras))
    local_mm = truth.joints_mm.astype(float)
    found = [take_errors(in_views[:, v], local_mm[:, v], known) for v in views]
    scored = [errors for errors in found if errors is not None]
    if not scored:
        return None
    return TakeErrors(
        rooted_mm=float(np.mean([errors.rooted_mm for errors in scored])),
        place_mm=float(np.mean([errors.place_mm for errors in scored])),
    )


def limit_of_take(observations: LiftedObservations, truth: GroundTruth) -> TakeErrors | None:
    """The limit: errors of robust triangulation with the true cameras, also after one similarity;
    None if they are not known, or too few joints are.
    """
    if truth.rig is None:
        return None
    joints_mm = triangulated(observations, truth)
    return take_errors(joints_mm, truth.world_mm, _known(observations, truth))


def take_errors(
    joints: Float[Real, "N J 3"],
    truth_mm: Float[Real, "N J 3"],
    known: Bool[npt.NDArray[np.bool_], "N J"],
) -> TakeErrors | None:
    """Errors of joints of any unit and axes, the hip first, against the true ones (mm), after the
    similarity of least squares from all `known` joints (Umeyama 1991). A joint that is not given
    (NaN) counts as at the true hip. None if fewer than four joints can be aligned.
    """
    known = known & np.isfinite(truth_mm).all(-1)
    given = known & np.isfinite(joints).all(-1)
    if given.sum() < 4:
        return None
    into = align(joints[given], truth_mm[given], np.ones(int(given.sum())), scale=True)
    aligned = into.apply(joints)
    place = np.linalg.norm(aligned - truth_mm, axis=-1)
    hips = aligned[:, :1] - truth_mm[:, :1]
    rooted = np.linalg.norm(aligned - hips - truth_mm, axis=-1)
    at_hip = np.linalg.norm(truth_mm - truth_mm[:, :1], axis=-1)
    return TakeErrors(rooted_mm=_mean(rooted, at_hip, known), place_mm=_mean(place, at_hip, known))


def _mean(
    error: Float[Real, "N J"],
    otherwise: Float[Real, "N J"],
    known: Bool[npt.NDArray[np.bool_], "N J"],
) -> float:
    """The mean error of the known joints, `otherwise` for one without a finite error."""
    return float(np.nanmean(np.where(np.isfinite(error), error, otherwise)[known]))


def _known(
    observations: LiftedObservations, truth: GroundTruth
) -> Bool[npt.NDArray[np.bool_], "N J"]:
    """The joints that count: scored ones of instants that two or more views saw, where the true
    cameras are known only those that two views observed, in instants that have more than half of
    them, as for N- and P-MPJPE.
    """
    seen = observations.confidence > 0
    several = np.asarray(seen.any(-1).sum(1) > 1)
    assert truth.joints_mm is not None
    known = np.asarray(np.isfinite(truth.joints_mm).all(-1)).any(1)
    if truth.rig is not None:  # a joint that fewer than two views saw cannot be triangulated
        known &= seen.sum(1) > 1
    known &= several[:, None] & np.isin(np.arange(known.shape[1]), truth.scored)
    complete = known.sum(1) > len(truth.scored) // 2
    return np.asarray(known & complete[:, None])
