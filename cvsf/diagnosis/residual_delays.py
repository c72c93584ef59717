"""Delays that remain after a calibration: the residuals of a late view point along the movement."""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import WINDOW, LiftedObservations, windows
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.rig import Rig
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

# guesses, not measured
_LEAST_CONFIDENCE = 0.3
_OUTLIER = 0.015  # of the extent: residual of weight 1/2
_LEAST_S = 6.0  # of a take whose halves are looked at alone


def worst_residual_delays(
    observations: LiftedObservations, rig: Rig, joints: Float[Real, "N J 3"]
) -> Float[Real, "V"]:
    """The residual delay (s) of each view in the half of the take in which it is larger, so that
    one that grows is seen too; of the whole take if that is shorter than 6 s.
    """
    count = len(observations)
    if count < 2 or observations.t_s[-1] - observations.t_s[0] < _LEAST_S:
        return residual_delays(observations, rig, joints)
    halves = np.stack(
        [
            residual_delays(observations.take(rows), rig.rows(rows), joints[rows])
            for rows in (slice(0, count // 2), slice(count // 2, count))
        ]
    )
    return np.asarray(halves[np.abs(halves).argmax(0), np.arange(halves.shape[1])])


def residual_delays(
    observations: LiftedObservations, rig: Rig, joints: Float[Real, "N J 3"]
) -> Float[Real, "V"]:
    """For each view the delay (s) that explains its reprojection residuals best: least squares of
    the residuals on the velocities of the projected joints, with robust weights. A first order
    estimate, too small where a camera or the joints were fitted to the late keypoints. The
    observations are time aligned; joints are in the rig's world. 0 with fewer than 3 instants.
    """
    known = np.asarray(np.isfinite(joints).all((1, 2)))
    known &= np.append(True, np.diff(observations.t_s) > 0)  # equal stamps have no velocity
    if known.sum() < 3:
        return np.zeros(len(rig.cameras))
    observations, joints, rig = observations.take(known), joints[known], rig.rows(known)
    along, square = np.zeros((2, len(rig.cameras)))
    for at in windows(len(joints)):
        wider = slice(max(at.start - 1, 0), at.stop + 1)  # a velocity takes both neighbours
        sums = _along_movement(observations.take(wider), rig.rows(wider), joints[wider])
        own = slice(at.start - wider.start, at.start - wider.start + WINDOW)
        along += sums[0][own].sum(0)
        square += sums[1][own].sum(0)
    return np.asarray(along / np.maximum(square, 1e-12))


def _along_movement(
    observations: LiftedObservations, rig: Rig, joints: Float[Real, "N J 3"]
) -> tuple[Float[Real, "N V"], Float[Real, "N V"]]:
    """The weighted residuals along the velocities, and the squares of these, of each instant."""
    projected = rig.project(joints)
    velocity = np.gradient(projected, observations.t_s, axis=0)
    keypoints = weighted_keypoints(observations, 1.0)
    residual = keypoints.keypoints_px - projected
    extent = keypoints.extent_px[..., None]
    square = np.square(residual).sum(-1) / np.square(extent * _OUTLIER)
    confident = observations.confidence > _LEAST_CONFIDENCE
    weight = (confident / (1 + square) / np.square(extent))[..., None]
    along = (weight * residual * velocity).sum((2, 3))
    return along, (weight * np.square(velocity)).sum((2, 3))
