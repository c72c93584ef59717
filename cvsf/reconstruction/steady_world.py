"""The world of panning cameras, steadied: cameras and skeletons of an instant are shifted together,
so that standing feet stand still, and what drift may be left is stated.

Pixels and the body at each instant stay exactly as they are.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rotation import align
from cvsf.reconstruction.foot_contact import correct_track
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

_INSTANTS = 64  # that give the drift
_NINE_OF_TEN = 1.5
"""Drift that nine of ten takes do not exceed, over the RMS of the drawn ones: 1.37 in 42 generated
sessions of six panning cameras (seed 12), where the drift is the root of the squared error of the
take, hips put together, less the squared P-MPJPE."""
_FIRST = 10  # instants whose mean place is kept


def steady_world(
    calibration: Calibration, reconstruction: Reconstruction, t_s: Float[Real, "N"]
) -> tuple[Calibration, Reconstruction]:
    """Cameras and skeletons of a panning rig in its world frame (m, z up) after the shift of each
    instant, with the drift that is left, `world_drift_mm`: the mean joint error that it adds where
    one similarity aligns the take and the hips are put together. Both as they were where the
    cameras stand still or too few instants are close in time.
    """
    joints = reconstruction.joints
    found = None
    if calibration.rig.is_panning:
        found = correct_track(t_s, joints, calibration.body.joint_set)
    if found is None:
        return calibration, reconstruction
    known = np.flatnonzero(np.isfinite(joints).all((1, 2)))
    shift = found.shift - found.shift[known[:_FIRST]].mean(0)
    view_from_world = calibration.rig.view_from_world
    turned = (view_from_world @ shift[:, None, :, None])[..., 0]
    rig = replace(calibration.rig, translation=calibration.rig.translation - turned)
    moved = joints + shift[:, None]
    rows = known[np.linspace(0, len(known) - 1, min(_INSTANTS, len(known))).round().astype(int)]
    drift_mm = _NINE_OF_TEN * 1e3 * _drift(moved[rows], found.drawn[:, rows])
    calibration = replace(calibration, rig=rig, world_drift_mm=drift_mm)
    return calibration, replace(reconstruction, joints=moved)


def _drift(joints: Float[Real, "N J 3"], errors: Float[Real, "K N 3"]) -> float:
    """RMS over the errors of a take of the mean distance of joints, after one similarity and with
    the hips (joint 0) put together.
    """
    wrong = joints + errors[:, :, None]
    flat = wrong.reshape(len(wrong), -1, 3)
    to = align(flat, joints.reshape(1, -1, 3), scale=True)
    body = joints - joints[:, :1]
    turned = to.scale[:, None, None] * (body.reshape(-1, 3) @ np.swapaxes(to.R, -1, -2))
    apart = np.linalg.norm(turned - body.reshape(-1, 3), axis=-1).mean(1)
    return float(np.sqrt(np.square(apart).mean()))
