"""Delays that remain after a calibration: the residuals of a late view point along the movement."""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.rig import Rig
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

_LEAST_CONFIDENCE = 0.3
_OUTLIER = 0.015  # of the extent: residual of weight 1/2; guesses, not measured


def residual_delays(
    observations: LiftedObservations, rig: Rig, joints: Float[Real, "N J 3"]
) -> Float[Real, "V"]:
    """For each view the delay (s) that explains its reprojection residuals best: least squares of
    the residuals on the velocities of the projected joints, with robust weights. A first order
    estimate, too small where a camera or the joints were fitted to the late keypoints. The
    observations are time aligned; joints are in the rig's world. 0 with fewer than 3 instants.
    """
    known = np.asarray(np.isfinite(joints).all((1, 2)))
    if known.sum() < 3:
        return np.zeros(len(rig.cameras))
    observations, joints = observations.take(known), joints[known]
    projected = rig.rows(known).project(joints)
    velocity = np.gradient(projected, _strictly_ascending(observations.t_s), axis=0)
    residual = observations.keypoints_px - projected
    extent = weighted_keypoints(observations, 1.0).extent_px[..., None]
    square = np.square(residual).sum(-1) / np.square(extent * _OUTLIER)
    confident = observations.confidence > _LEAST_CONFIDENCE
    weight = (confident / (1 + square) / np.square(extent))[..., None]
    along = (weight * residual * velocity).sum((0, 2, 3))
    return np.asarray(along / np.maximum((weight * np.square(velocity)).sum((0, 2, 3)), 1e-12))


def _strictly_ascending(t_s: Float[Real, "N"]) -> Float[Real, "N"]:
    return np.asarray(t_s + 1e-6 * np.arange(len(t_s)))
