"""The result of an adjustment as a calibration: the rig, the body, and the standard deviations."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.calibration.degeneracy import CAUTION
from cvsf.multiview.reprojection import WeightedKeypoints, delay_corrected, estimate_noise
from cvsf.multiview.rig import Body, Calibration, Rig, Uncertainty
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

LEAST_NOISE = 0.004
"""Standard deviation of 2D that is always assumed, over the person's extent; a guess, not
measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDeviations:
    """One standard deviation of each camera, at the noise assumed for the keypoints."""

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
    """The calibration in the axes of the first camera at the first instant.

    The deviations grow by the noise found over the noise assumed, and by `CAUTION`.
    """
    noise = estimate_noise(keypoints, rig, joints)
    apart = np.linalg.norm(rig.project(joints) - delay_corrected(keypoints, rig), axis=-1)
    apart = np.where(keypoints.weight > 0, apart, np.nan)
    away = np.linalg.norm(rig.in_views(joints).mean((0, 2)), axis=-1)
    worse = CAUTION * noise / keypoints.noise_share
    first = rig.rows(0)
    return Calibration(
        rig=rig.moved(first.view_from_world[0], first.translation[0], 1.0),
        body=body,
        uncertainty=Uncertainty(
            rotation_deg=worse * np.degrees(deviations.rotation),
            position_share=worse * deviations.centre / away,
            focal_share=worse * deviations.log_focal,
            reprojection_px=np.nanmedian(apart, axis=(0, 2)),
            reprojection_share=np.nanmedian(apart / keypoints.extent_px[..., None], axis=(0, 2)),
        ),
        instants=instants,
        mirrored=mirrored,
        noise_share=max(noise, LEAST_NOISE),
    )
