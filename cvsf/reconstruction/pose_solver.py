"""Joints settled where pixels, bones and the lifter's pose together have them, cameras known.

It begins from the lifter's pose, first believes all pixels, then doubts more and more.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import Cameras, Pixels, compare, rows_of
from cvsf.multiview.residuals import (
    BONE_SIGMA,
    LIFTER_SIGMA,
    Bones,
    add_bones,
    add_lifted,
    add_pixels,
    bones_of,
    empty_normal,
    lifted_target,
)
from cvsf.multiview.rotation import nearest_rotation
from cvsf.multiview.weak_perspective import mean_body, roots_in_views
from cvsf.reconstruction.outliers import relabelled, rows_of_cameras, without_strangers
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]

ROUNDS = 9
_TRUSTING, _TRUSTING_NOISE = 2, 0.02
"""Rounds at first that doubt no pixel: the lifter's pose may be far off where all views agree."""
_FIRST_NOISE = 0.05  # of the person's extent, falling to the calibration's own
_DAMPING = 1e-3
_DEPTH_TRUST = 0.01
"""A distance told from the person's size against a direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """What is known of a body before its pixels are looked at; lengths in the world's unit."""

    joint_set: JointSet
    bones: Bones
    lengths: Real  # (M,)
    body: Real  # (N, J, 3) the lifter's pose, turned as it stands in the world
    bone_sigma: float
    lifter_sigma: float


def stance_in(observations: LiftedObservations, view_from_world: Real, lengths: Real) -> Stance:
    """The body's measures, and the lifter's pose turned by what each view's rotation says."""
    bones = bones_of(observations.joint_set)
    unit = float(lengths[bones.measure].mean())
    return Stance(
        joint_set=observations.joint_set,
        bones=bones,
        lengths=lengths,
        body=unit * turned_body(observations, view_from_world),
        bone_sigma=BONE_SIGMA * unit,
        lifter_sigma=LIFTER_SIGMA * unit,
    )


def turned_body(observations: LiftedObservations, view_from_world: Real) -> Real:
    """The lifter's mean pose (N, J, 3), turned as the views together say; the mean bone is 1."""
    weight = observations.confidence.mean(-1)[..., None, None]
    says = np.swapaxes(view_from_world, -1, -2) @ observations.view_from_canonical
    stands = nearest_rotation((weight * says).sum(1) + 1e-9 * np.eye(3))
    return np.asarray(mean_body(observations) @ np.swapaxes(stands, -1, -2))


def roots(pixels: Pixels, cameras: Cameras, body: Real) -> Real:
    """Where the body's origin is, (N, 3): where the views' rays cross, and by its size in each."""
    focal = np.exp(cameras.log_focal)
    inside, sized = roots_in_views(pixels, cameras.centre_px, body, cameras.view_from_world, focal)
    away = (inside[..., None, :] @ cameras.view_from_world)[..., 0, :]
    ray = away / np.linalg.norm(away, axis=-1, keepdims=True)
    outer = ray[..., :, None] * ray[..., None, :]
    trust = pixels.trust.sum(-1)[..., None, None]
    information = trust * (np.eye(3) - (1 - _DEPTH_TRUST * sized[..., None, None]) * outer)
    right = np.einsum("nvij,nvj->ni", information, away + cameras.centres)
    whole = information.sum(1) + 1e-9 * np.eye(3)
    return np.asarray(np.linalg.solve(whole, right[..., None])[..., 0])


def settle_doubting(
    pixels: Pixels, cameras: Cameras, stance: Stance, rounds: int = ROUNDS
) -> tuple[Pixels, Real, Real]:
    """Joints and deviations, after sides were set right and strangers left out; and what is left
    of the pixels.
    """
    start = stance.body + roots(pixels, cameras, stance.body)[:, None]
    settled = settle(pixels, cameras, stance, start, rounds)

    def again(some: Pixels, rows: npt.NDArray[np.intp], first: Real) -> tuple[Real, Real]:
        theirs = replace(stance, body=stance.body[rows])
        return settle(some, rows_of_cameras(cameras, rows), theirs, first, rounds)

    pixels, (joints, deviation) = without_strangers(pixels, cameras, settled, again)
    pixels, changed = relabelled(pixels, cameras, joints, stance.joint_set)
    rows = np.flatnonzero(changed)
    if len(rows):
        joints[rows], deviation[rows] = again(rows_of(pixels, rows), rows, joints[rows])
    return pixels, joints, deviation


def settle(
    pixels: Pixels, cameras: Cameras, stance: Stance, joints: Real, rounds: int = ROUNDS
) -> tuple[Real, Real]:
    """Gauss-Newton from a first guess (N, J, 3), doubting more and more; joints and deviations."""
    instants, count = joints.shape[:2]
    each = np.arange(3 * count)
    noises = np.geomspace(max(_FIRST_NOISE, pixels.noise), pixels.noise, rounds - _TRUSTING - 1)
    for turn, noise in enumerate((*[_TRUSTING_NOISE] * _TRUSTING, *noises, pixels.noise)):
        now = replace(pixels, noise=float(noise))
        normal = empty_normal(instants, count)
        add_pixels(normal, compare(now, cameras, joints, with_doubt=turn >= _TRUSTING))
        add_bones(normal, stance.bones, stance.lengths, joints, stance.bone_sigma)
        target = lifted_target(stance.body, joints)
        add_lifted(normal, target, joints, stance.lifter_sigma)
        normal.matrix[:, each, each] += _DAMPING * stance.bone_sigma**-2
        step = np.linalg.solve(normal.matrix, normal.right[..., None])
        joints = joints + step.reshape(instants, count, 3)
    spread = np.linalg.inv(normal.matrix)[:, each, each].reshape(instants, count, 3)
    return joints, np.sqrt(np.maximum(spread.mean(-1), 0.0))
