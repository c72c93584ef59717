"""The result of an adjustment as a calibration: the rig, the body, and the standard deviations."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.calibration.degeneracy import CORRELATION_FACTOR
from cvsf.multiview.body import Body
from cvsf.multiview.calibration import Calibration, Uncertainty
from cvsf.multiview.reprojection import WeightedKeypoints, delay_corrected, estimate_noise
from cvsf.multiview.rig import Rig
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

LEAST_NOISE = 0.004
"""Least standard deviation of a keypoint, over the person's extent; a guess, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDeviations:
    """Standard deviations of each camera, at the noise assumed for the keypoints."""

    rotation: Float[Real, "V"]
    """rad."""
    centre: Float[Real, "V"]
    """In mean bones."""
    log_focal: Float[Real, "V"]


def calibration_result(
    keypoints: WeightedKeypoints,
    rig: Rig,
    joints: Float[Real, "N J 3"],
    body: Body,
    deviations: CameraDeviations,
    *,
    instants: int,
    mirrored: bool = False,
) -> Calibration:
    """The calibration in the axes of the first camera at the first instant, in the unit of the
    joints. Nothing is refused here.

    The standard deviations are multiplied by estimated over assumed noise and by
    `CORRELATION_FACTOR`. `instants` and `mirrored` are only noted.
    """
    noise = estimate_noise(keypoints, rig, joints)
    error_px = np.linalg.norm(rig.project(joints) - delay_corrected(keypoints, rig), axis=-1)
    error_px = np.where(keypoints.weight > 0, error_px, np.nan)
    distance = np.linalg.norm(rig.in_views(joints).mean((0, 2)), axis=-1)
    factor = CORRELATION_FACTOR * noise / keypoints.noise_share
    first = rig.rows(0)
    return Calibration(
        rig=rig.transformed(first.view_from_world[0], first.translation[0], 1.0),
        body=body,
        uncertainty=Uncertainty(
            rotation_deg=factor * np.degrees(deviations.rotation),
            position_share=factor * deviations.centre / distance,
            focal_share=factor * deviations.log_focal,
            reprojection_px=np.nanmedian(error_px, axis=(0, 2)),
            reprojection_share=np.nanmedian(error_px / keypoints.extent_px[..., None], axis=(0, 2)),
        ),
        instants=instants,
        mirrored=mirrored,
        noise_share=max(noise, LEAST_NOISE),
    )
