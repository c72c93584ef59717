"""Joints of every instant in the world of known cameras, from keypoints, bones and the lifter's
pose.

Where no view observed a joint, bone lengths and the lifter's pose determine it: one view is enough
for a complete skeleton. The standard deviation of a joint is a measure of its precision.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations, time_aligned, windows
from cvsf.multiview.reprojection import (
    WeightedKeypoints,
    median_reprojection_px,
    weighted_keypoints,
)
from cvsf.multiview.residuals import bones_of
from cvsf.reconstruction.pose_solver import ROUNDS, BodyPrior, body_prior, solve_with_rejection
from cvsf.shapes import Float, Int
from cvsf.system.progress import reported

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """Skeletons in the calibration's world and unit."""

    joints: Float[Real, "N J 3"]
    """NaN where no view observed the person; in a calibrated take also where only one did."""
    deviation: Float[Real, "N J"]
    """One standard deviation."""
    views_seen: Int[npt.NDArray[np.intp], "N J"]
    """Number of views that observed the joint at that instant."""
    residual_share: Float[Real, "N V"]
    """Median reprojection error over the person's extent; NaN where not observed."""


def reconstruct(
    observations: LiftedObservations, calibration: Calibration, *, rounds: int = ROUNDS
) -> Reconstruction:
    """The skeleton of every instant that one view or more saw, in the frame and unit of the
    calibration; NaN at others. Time offsets and mirrored poses are taken into account, and whose
    body it is at which time. 5 rounds come within 1 mm.

    Cameras of the observations that are not in the rig are left out; ValueError if one of the rig
    is missing in them. A panning rig must have the same instants.
    """
    rig = calibration.rig
    if observations.cameras != rig.cameras:
        observations = observations.of_views([observations.cameras.index(c) for c in rig.cameras])
    observations = observations.mirrored() if calibration.mirrored else observations
    observations = time_aligned(observations, rig.delay_s)
    if calibration.people is None:
        return _reconstruct_body(observations, calibration, rounds)
    person = calibration.people.person_id(observations.t_s)
    parts = []
    for number in np.unique(person):
        rows = np.flatnonzero(person == number)
        own = replace(calibration.rows(rows), body=calibration.people.bodies[number], people=None)
        parts.append((rows, _reconstruct_body(observations.take(rows), own, rounds)))
    return _joined(parts)


def _reconstruct_body(
    observations: LiftedObservations, calibration: Calibration, rounds: int
) -> Reconstruction:
    """The skeletons of one body; delays and mirrored poses are already corrected."""
    keypoints = weighted_keypoints(observations, calibration.noise_share)
    everything = np.arange(len(observations))
    parts = [
        (
            everything[at],
            _reconstruct_window(
                observations.take(at), keypoints.take(at), calibration.rows(at), rounds
            ),
        )
        for at in reported("reconstructing skeletons", windows(len(observations)))
    ]
    return _joined(parts)


def _reconstruct_window(
    observations: LiftedObservations,
    keypoints: WeightedKeypoints,
    calibration: Calibration,
    rounds: int,
) -> Reconstruction:
    rig = calibration.rig
    prior = calibrated_body_prior(observations, calibration)
    keypoints, (joints, deviation) = solve_with_rejection(keypoints, rig, prior, rounds)
    seen = keypoints.weight > 0
    empty = ~seen.any((1, 2))
    residual = median_reprojection_px(keypoints, rig, joints) / keypoints.extent_px
    joints[empty], deviation[empty] = np.nan, np.nan
    return Reconstruction(
        joints=joints,
        deviation=deviation,
        views_seen=seen.sum(1),
        residual_share=residual,
    )


def _joined(
    parts: list[tuple[npt.NDArray[np.intp], Reconstruction]],
) -> Reconstruction:
    """One reconstruction of the parts, each at its rows."""
    order = np.argsort(np.concatenate([rows for rows, _ in parts]))
    arrays = {
        name: np.concatenate([getattr(part, name) for _, part in parts])[order]
        for name in ("joints", "deviation", "views_seen", "residual_share")
    }
    return Reconstruction(**arrays)


def calibrated_body_prior(observations: LiftedObservations, calibration: Calibration) -> BodyPrior:
    """The prior with the calibration's bone lengths, left and right averaged, in the unit of its
    world. Mirrored poses must be mirrored already.
    """
    bones = bones_of(observations.joint_set)
    lengths = np.bincount(bones.measure, calibration.body.bones) / np.bincount(bones.measure)
    return body_prior(observations, calibration.rig.view_from_world, lengths)
