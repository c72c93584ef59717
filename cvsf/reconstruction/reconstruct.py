"""Where every joint is in the world of known cameras, by all pixels, bones and the lifter's pose.

A joint that no view saw is where bones and the lifter's pose put it, so one view still gives a
whole skeleton; how sure a joint is says its deviation.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations, in_step
from cvsf.multiview.reprojection import Cameras, median_off, pixels_of
from cvsf.multiview.residuals import bones_of
from cvsf.multiview.rig import Calibration, Rig, pans
from cvsf.reconstruction.pose_solver import ROUNDS, Stance, settle_doubting, stance_in

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Skeletons in the calibration's world and unit."""

    joints: Real  # (N, J, 3) NaN where no view saw anybody
    deviation: Real  # (N, J) one standard deviation
    views_seen: npt.NDArray[np.intp]  # (N, J) how many views saw the joint in that very instant
    residual_share: Real  # (N, V) median reprojection over the person's extent; NaN where not seen


def place(
    observations: LiftedObservations, calibration: Calibration, *, rounds: int = ROUNDS
) -> Placed:
    """Every instant's skeleton, from however many views saw it; 5 rounds come within 1 mm.

    Views are the rig's: cameras it does not know are left out, by name.
    """
    rig = calibration.rig
    if observations.cameras != rig.cameras:
        observations = observations.of_views([observations.cameras.index(c) for c in rig.cameras])
    observations = observations.mirrored() if calibration.mirrored else observations
    cameras = cameras_of(rig)
    pixels = pixels_of(in_step(observations, rig.delay_s), calibration.noise_share)
    stance = stance_of(observations, calibration)
    pixels, joints, deviation = settle_doubting(pixels, cameras, stance, rounds)
    seen = pixels.trust > 0
    nobody = ~seen.any((1, 2))
    residual = median_off(pixels, cameras, joints) / pixels.extent_px
    joints[nobody], deviation[nobody] = np.nan, np.nan
    return Placed(
        joints=joints,
        deviation=deviation,
        views_seen=seen.sum(1),
        residual_share=residual,
    )


def cameras_of(rig: Rig) -> Cameras:
    """A rig as the adjustment writes it."""
    still = not pans(rig)
    centres = rig.centres if still else np.median(rig.centres, axis=0)
    return Cameras(
        view_from_world=rig.view_from_world[None] if still else rig.view_from_world,
        centres=centres,
        log_focal=np.log(rig.focal_px[None] if still else rig.focal_px),
        centre_px=rig.centre_px,
        radial=rig.radial,
        delay_s=rig.delay_s,
    )


def stance_of(observations: LiftedObservations, calibration: Calibration) -> Stance:
    """In the unit of the calibration's world."""
    bones = bones_of(observations.joint_set)
    lengths = np.bincount(bones.measure, calibration.body.bones) / np.bincount(bones.measure)
    return stance_in(observations, calibration.rig.view_from_world, lengths)
