"""Joints from keypoints, bone lengths and the lifter's pose, with known cameras.

IRLS Gauss-Newton from the lifter's pose. The first rounds have no robust weights, later ones those
of a Cauchy kernel whose sigma falls (graduated non-convexity, Yang et al. 2020).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations, windows
from cvsf.multiview.reprojection import (
    WeightedKeypoints,
    reprojection_cost,
    reprojection_residuals,
)
from cvsf.multiview.residuals import (
    BONE_SIGMA,
    LIFTER_SIGMA,
    Bones,
    add_bones,
    add_lifted,
    add_reprojection,
    bone_residuals,
    bones_of,
    empty_normal,
    lifted_cost,
    lifted_target,
)
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import nearest_rotation
from cvsf.multiview.weak_perspective import mean_body, roots_in_views
from cvsf.reconstruction.outliers import (
    Solution,
    correct_side_swaps,
    exchange_limbs,
    reject_views,
)
from cvsf.shapes import Float, Int
from cvsf.skeleton import JointSet
from cvsf.system.progress import reported

Real = npt.NDArray[np.float64]

ROUNDS = 9
_PLAIN_ROUNDS, _PLAIN_NOISE = 2, 0.02
"""Rounds without robust weights, and their noise: the first guess may have a large error though all
views agree. Guesses, not measured."""
_FIRST_NOISE = 0.05
"""Of the person's extent, falling to that of the calibration; a guess, not measured."""
_DAMPING = 1e-3  # over the information of a bone; a guess, not measured
_DEPTH_WEIGHT = 0.01
"""Weight of a depth from the person's size relative to a direction; a guess, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPrior:
    """Bone lengths and lifted poses in the world; lengths in the world's unit."""

    joint_set: JointSet
    bones: Bones
    lengths: Float[Real, "M"]
    body: Float[Real, "N J 3"]
    """The lifter's pose in world axes; its position has no meaning."""
    bone_sigma: float
    lifter_sigma: float


def body_prior(
    observations: LiftedObservations,
    view_from_world: Float[Real, "*#N V 3 3"],
    lengths: Float[Real, "M"],
) -> BodyPrior:
    """The prior of the solver: constant bone lengths `lengths` (the world's unit) and the lifter's
    pose, turned into the world's axes, root at the origin, and scaled to their mean.
    """
    bones = bones_of(observations.joint_set)
    unit = float(lengths[bones.measure].mean())
    return BodyPrior(
        joint_set=observations.joint_set,
        bones=bones,
        lengths=lengths,
        body=unit * body_in_world(observations, view_from_world),
        bone_sigma=BONE_SIGMA * unit,
        lifter_sigma=LIFTER_SIGMA * unit,
    )


def body_in_world(
    observations: LiftedObservations, view_from_world: Float[Real, "*#N V 3 3"]
) -> Float[Real, "N J 3"]:
    """The lifter's mean pose of each instant in the world's axes, mean bone 1, root at the origin.
    Its rotation is the chordal mean over the views, weighted by confidence (Hartley et al. 2013).
    """
    weight = observations.confidence.mean(-1)[..., None, None]
    by_view = np.swapaxes(view_from_world, -1, -2) @ observations.view_from_canonical
    world_from_canonical = nearest_rotation((weight * by_view).sum(1) + 1e-9 * np.eye(3))
    return np.asarray(mean_body(observations) @ np.swapaxes(world_from_canonical, -1, -2))


def estimate_roots(
    keypoints: WeightedKeypoints, rig: Rig, body: Float[Real, "N J 3"]
) -> Float[Real, "N 3"]:
    """The body's root in the world, in its unit, nearest to the rays of the views, with a small
    weight on the depth from the person's size. `body` is in the world's axes and unit, its root at
    the origin. Without any observation it is at the origin.
    """
    in_views, has_size = roots_in_views(
        keypoints, rig.centre_px, body, rig.view_from_world, rig.focal_px
    )
    away = (in_views[..., None, :] @ rig.view_from_world)[..., 0, :]
    ray = away / np.linalg.norm(away, axis=-1, keepdims=True)
    outer = ray[..., :, None] * ray[..., None, :]
    weight = keypoints.weight.sum(-1)[..., None, None]
    information = weight * (np.eye(3) - (1 - _DEPTH_WEIGHT * has_size[..., None, None]) * outer)
    right = np.einsum("nvij,nvj->ni", information, away + rig.centres)
    total = information.sum(1) + 1e-9 * np.eye(3)
    return np.asarray(np.linalg.solve(total, right[..., None])[..., 0])


def solve_with_rejection(
    keypoints: WeightedKeypoints, rig: Rig, prior: BodyPrior, rounds: int = ROUNDS
) -> tuple[WeightedKeypoints, Solution]:
    """Solve from the lifter's pose, exchange limbs of two views, reject views, correct left-right
    swaps, and solve the corrected instants again.

    Returns new keypoints, of weight 0 where rejected, and joints and standard deviations in the
    world's unit. An instant without observations gets joints too, from the prior alone.
    """
    start = prior.body + estimate_roots(keypoints, rig, prior.body)[:, None]
    solution = solve(keypoints, rig, prior, start, rounds)

    def again(
        some: WeightedKeypoints,
        rows: Int[npt.NDArray[np.intp], "N"],
        first: Float[Real, "N J 3"],
    ) -> Solution:
        return solve(some, rig.rows(rows), replace(prior, body=prior.body[rows]), first, rounds)

    def cost(
        some: WeightedKeypoints,
        rows: Int[npt.NDArray[np.intp], "N"],
        joints: Float[Real, "N J 3"],
    ) -> Float[Real, "N"]:
        return _cost(some, rig.rows(rows), replace(prior, body=prior.body[rows]), joints)

    keypoints, solution = exchange_limbs(
        keypoints, start, solution, prior.joint_set, solve=again, cost=cost
    )
    keypoints, (joints, deviation) = reject_views(keypoints, rig, solution, again)
    keypoints, swapped = correct_side_swaps(keypoints, rig, joints, prior.joint_set)
    rows = np.flatnonzero(swapped)
    if len(rows):
        joints[rows], deviation[rows] = again(keypoints.take(rows), rows, joints[rows])
    return keypoints, (joints, deviation)


def _cost(
    keypoints: WeightedKeypoints, rig: Rig, prior: BodyPrior, joints: Float[Real, "N J 3"]
) -> Float[Real, "N"]:
    """The cost of all residuals that `solve` makes least, at the calibration's noise."""
    extra, _ = bone_residuals(prior.bones, prior.lengths, joints)
    return np.asarray(
        reprojection_cost(keypoints, rig, joints)
        + np.square(extra / prior.bone_sigma).sum(-1)
        + lifted_cost(lifted_target(prior.body, joints), joints, prior.lifter_sigma)
    )


def solve(
    keypoints: WeightedKeypoints,
    rig: Rig,
    prior: BodyPrior,
    joints: Float[Real, "N J 3"],
    rounds: int = ROUNDS,
) -> Solution:
    """Joints in the world and one standard deviation of each, in the world's unit, by IRLS
    Gauss-Newton from the first guess `joints`. Unobserved joints come from bones and lifter.
    `rounds` is at least 3; more are more precise. Instants do not depend on each other.
    """
    parts = [
        _solved(
            keypoints.take(at),
            rig.rows(at),
            replace(prior, body=prior.body[at]),
            joints[at],
            rounds,
        )
        for at in reported("solving poses", windows(len(joints)))
    ]
    found, deviation = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return found, deviation


def _solved(
    keypoints: WeightedKeypoints,
    rig: Rig,
    prior: BodyPrior,
    joints: Float[Real, "N J 3"],
    rounds: int,
) -> Solution:
    """`solve` for the instants of one window."""
    instants, count = joints.shape[:2]
    each = np.arange(3 * count)
    last = keypoints.noise_share
    noises = np.geomspace(max(_FIRST_NOISE, last), last, rounds - _PLAIN_ROUNDS - 1)
    for number, noise in enumerate((*[_PLAIN_NOISE] * _PLAIN_ROUNDS, *noises, last)):
        at_noise = replace(keypoints, noise_share=float(noise))
        normal = empty_normal(instants, count)
        robust = number >= _PLAIN_ROUNDS
        add_reprojection(normal, reprojection_residuals(at_noise, rig, joints, robust=robust))
        add_bones(normal, prior.bones, prior.lengths, joints, prior.bone_sigma)
        add_lifted(normal, lifted_target(prior.body, joints), joints, prior.lifter_sigma)
        normal.matrix[:, each, each] += _DAMPING * prior.bone_sigma**-2
        step = np.linalg.solve(normal.matrix, normal.right[..., None])
        joints = joints + step.reshape(instants, count, 3)
    variance = np.linalg.inv(normal.matrix)[:, each, each].reshape(instants, count, 3)
    return joints, np.sqrt(np.maximum(variance.mean(-1), 0.0))
