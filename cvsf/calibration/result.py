"""What an adjustment has found, said as a calibration: the rig, the body, and how sure each is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.calibration.degeneracy import CAUTION
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import Cameras, Pixels, noise_of, seen_at
from cvsf.multiview.rig import Body, Calibration, Rig, Sureness

Real = npt.NDArray[np.float64]

LEAST_NOISE = 0.004
"""Of the person's extent: no detector is better than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One standard deviation of each camera, as the noise of the pixels has it."""

    rotation: Real  # (V,) rad
    centre: Real  # (V,) in mean bones
    log_focal: Real  # (V,)


def concluded(
    observations: LiftedObservations,
    seen: tuple[Pixels, Cameras, Real],
    bones: Real,
    spread: Spread,
    *,
    instants: int,
    mirrored: bool = False,
) -> Calibration:
    """`seen` are pixels and the cameras and joints that explain them, `bones` lengths (B,)."""
    pixels, cameras, joints = seen
    noise = noise_of(pixels, cameras, joints)
    apart = np.linalg.norm(cameras.project(joints) - seen_at(pixels, cameras), axis=-1)
    apart = np.where(pixels.trust > 0, apart, np.nan)
    away = np.linalg.norm(cameras.in_views(joints).mean((0, 2)), axis=-1)
    worse = CAUTION * noise / pixels.noise
    rotation = cameras.view_from_world
    shift = -np.einsum("mvij,vj->mvi", rotation, cameras.centres)
    focal, first = np.exp(cameras.log_focal), rotation[0, 0]
    if not cameras.pan:
        rotation, shift, focal = rotation[0], shift[0], focal[0]
    rig = Rig(
        cameras=observations.cameras,
        image_px=observations.size_px.astype(float),
        view_from_world=rotation,
        translation=shift,
        focal_px=focal,
        centre_px=cameras.centre_px,
        radial=cameras.radial,
        delay_s=cameras.delay_s,
    )
    return Calibration(
        rig=rig.moved(first, -first @ cameras.centres[0], 1.0),
        body=Body(joint_set=observations.joint_set, bones=bones),
        sureness=Sureness(
            rotation_deg=worse * np.degrees(spread.rotation),
            position_share=worse * spread.centre / away,
            focal_share=worse * spread.log_focal,
            reprojection_px=np.nanmedian(apart, axis=(0, 2)),
            reprojection_share=np.nanmedian(apart / pixels.extent_px[..., None], axis=(0, 2)),
        ),
        instants=instants,
        mirrored=mirrored,
        noise_share=max(noise, LEAST_NOISE),
    )
