"""The normal equations of cameras, joints and the body's measures, split for the Schur complement.

What an instant has for itself (its joints; where cameras pan, their rotations and focal lengths)
is local, the rest is shared by all instants.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.reprojection import (
    CENTRE,
    COLUMNS,
    DELAY,
    FOCAL,
    RADIAL,
    ROTATION,
    Cameras,
    Pixels,
    compare,
    pixel_cost,
)
from cvsf.multiview.residuals import (
    BONE_SIGMA,
    LIFTER_SIGMA,
    Bones,
    Normal,
    add_bones,
    add_lifted,
    add_pixels,
    empty_normal,
    lifted_cost,
    lifted_target,
    stretched,
)
from cvsf.multiview.rotation import turn

Real = npt.NDArray[np.float64]

_UNIT_SIGMA = 1e-3  # the mean bone is 1: what makes the scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """How far each kind of evidence is believed; lengths in mean bones (some 0.3 m)."""

    bone_sigma: float = BONE_SIGMA
    lifter_sigma: float = LIFTER_SIGMA
    focal_sigma: float = 0.4  # of the log focal length, about the guess
    radial_sigma: float = 0.15
    delay_sigma_s: float = 0.05
    seek_radial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything sought."""

    cameras: Cameras
    joints: Real  # (N, J, 3)
    lengths: Real  # (M,) the body's measures


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is known."""

    pixels: Pixels
    bones: Bones
    body: Real  # (N, J, 3) the lifter's pose in world axes, mean bone 1
    guess_log_focal: Real  # (V,)
    reference: int  # the camera that stays where it is
    beliefs: Beliefs


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Normal equations: local (N, L, L), coupling (N, L, S), shared (S, S)."""

    local: Real
    local_right: Real
    coupling: Real
    shared: Real
    shared_right: Real


def local_columns(cameras: Cameras) -> list[int]:
    """Camera columns that every instant has for itself."""
    return [*range(COLUMNS)[ROTATION], FOCAL] if cameras.pan else []


def shared_columns(problem: Problem, cameras: Cameras) -> npt.NDArray[np.intp]:
    """Which of the V * COLUMNS columns are solved for, once for all instants."""
    views = len(cameras.centres)
    sought = np.ones((views, COLUMNS), bool)
    sought[:, RADIAL] = problem.beliefs.seek_radial
    sought[:, DELAY] = problem.pixels.velocity_px_s is not None
    sought[problem.reference, CENTRE] = sought[problem.reference, DELAY] = False
    sought[:, local_columns(cameras)] = False
    if not cameras.pan:
        sought[problem.reference, ROTATION] = False
    return np.flatnonzero(sought.ravel())


def linearise(problem: Problem, state: State) -> System:
    joints, cameras, beliefs = state.joints, state.cameras, problem.beliefs
    instants, count = joints.shape[:2]
    normal = empty_normal(instants, count)
    seen = compare(problem.pixels, cameras, joints, with_cameras=True)
    add_pixels(normal, seen)
    extra, direction = add_bones(normal, problem.bones, state.lengths, joints, beliefs.bone_sigma)
    target = lifted_target(problem.body, joints)
    add_lifted(normal, target, joints, beliefs.lifter_sigma)
    assert seen.by_camera is not None
    weighted = seen.weight[..., None, None] * seen.by_camera
    own = np.swapaxes(weighted, -1, -2) @ seen.by_camera  # (N, V, J, C, C)
    own = own.sum(2)
    right = -np.einsum("nvjrc,nvjr->nvc", weighted, seen.residual)
    cross = np.swapaxes(weighted, -1, -2) @ seen.by_joint  # (N, V, J, C, 3)
    cross = cross.transpose(0, 1, 3, 2, 4).reshape(instants, -1, 3 * count)
    return _assembled(problem, state, normal, (own, right, cross), (extra, direction))


def _assembled(
    problem: Problem,
    state: State,
    normal: Normal,
    camera: tuple[Real, Real, Real],
    bone: tuple[Real, Real],
) -> System:
    """Joints, cameras and measures in one system, split into what is local and what is shared."""
    own, right, cross = camera
    cameras, beliefs = state.cameras, problem.beliefs
    instants, views = own.shape[:2]
    local_of = local_columns(cameras)
    shared_of = shared_columns(problem, cameras)
    measures = problem.bones.measures
    blocks = np.zeros((instants, views, COLUMNS, views, COLUMNS))
    each = np.arange(views)
    blocks[:, each, :, each, :] = np.swapaxes(own, 0, 1)
    whole = blocks.reshape(instants, views * COLUMNS, -1)
    right = right.reshape(instants, -1)
    mine = (each[:, None] * COLUMNS + np.array(local_of, int)).ravel()
    # the body's measures: d(residual) / d(length) is -1 / sigma
    of_measure = np.eye(measures)[problem.bones.measure]  # (B, M)
    pull = bone[1][..., :, None, None] * of_measure[:, None, None, :]  # (N, B, 3, 1, M)
    by_length = np.einsum(
        "bj,nbam->njam", problem.bones.incidence, pull[..., 0, :], optimize=True
    ).reshape(instants, -1, measures)
    by_length = -by_length / beliefs.bone_sigma
    local = np.block(
        [
            [normal.matrix, np.swapaxes(cross[:, mine], 1, 2)],
            [cross[:, mine], whole[:, mine][:, :, mine]],
        ]
    )
    coupling = np.block(
        [
            [np.swapaxes(cross[:, shared_of], 1, 2), by_length],
            [
                whole[:, mine][:, :, shared_of],
                np.zeros((instants, len(mine), measures)),
            ],
        ]
    )
    shared = np.zeros((len(shared_of) + measures,) * 2)
    shared[: len(shared_of), : len(shared_of)] = whole.sum(0)[np.ix_(shared_of, shared_of)]
    shared_right = np.concatenate([right.sum(0)[shared_of], np.zeros(measures)])
    places = np.arange(measures) + len(shared_of)
    shared[places, places] += of_measure.sum(0) * instants / beliefs.bone_sigma**2
    shared_right[places] += (bone[0].sum(0) @ of_measure) / beliefs.bone_sigma
    _add_guesses(problem, state, shared_of, shared, shared_right, of_measure)
    return System(
        local=local,
        local_right=np.concatenate([normal.right, right[:, mine]], 1),
        coupling=coupling,
        shared=shared,
        shared_right=shared_right,
    )


def _add_guesses(
    problem: Problem,
    state: State,
    shared_of: npt.NDArray[np.intp],
    shared: Real,
    shared_right: Real,
    of_measure: Real,
) -> None:
    """What is believed of lenses before anything is seen, and the unit of length."""
    beliefs, cameras = problem.beliefs, state.cameras
    place_of = {int(column): place for place, column in enumerate(shared_of)}
    for view in range(len(cameras.centres)):
        for column, wanted, sigma in (
            (
                FOCAL,
                problem.guess_log_focal[view] - cameras.log_focal[0, view],
                beliefs.focal_sigma,
            ),
            (RADIAL, -cameras.radial[view], beliefs.radial_sigma),
            (DELAY, -cameras.delay_s[view], beliefs.delay_sigma_s),
        ):
            place = place_of.get(view * COLUMNS + column)
            if place is not None:
                shared[place, place] += sigma**-2
                shared_right[place] += wanted / sigma**2
    share = of_measure.mean(0)
    at = slice(len(shared_of), None)
    shared[at, at] += np.outer(share, share) / _UNIT_SIGMA**2
    shared_right[at] += share * (1 - share @ state.lengths) / _UNIT_SIGMA**2


def moved(problem: Problem, state: State, local: Real, shared: Real) -> State:
    cameras = state.cameras
    instants, count = state.joints.shape[:2]
    views = len(cameras.centres)
    shared_of = shared_columns(problem, cameras)
    change = np.zeros((len(cameras.log_focal), views * COLUMNS))
    change[:, shared_of] = shared[: len(shared_of)]
    by_view = change.reshape(-1, views, COLUMNS)
    if cameras.pan:
        by_view[..., local_columns(cameras)] = local[:, 3 * count :].reshape(instants, views, -1)
    return State(
        cameras=replace(
            cameras,
            view_from_world=turn(by_view[..., ROTATION]) @ cameras.view_from_world,
            centres=cameras.centres + by_view[0, :, CENTRE],
            log_focal=cameras.log_focal + by_view[..., FOCAL],
            radial=cameras.radial + by_view[0, :, RADIAL],
            delay_s=cameras.delay_s + by_view[0, :, DELAY],
        ),
        joints=state.joints + local[:, : 3 * count].reshape(instants, count, 3),
        lengths=state.lengths + shared[len(shared_of) :],
    )


def cost(problem: Problem, state: State) -> float:
    beliefs, cameras = problem.beliefs, state.cameras
    target = lifted_target(problem.body, state.joints)
    extra, _ = stretched(problem.bones, state.lengths, state.joints)
    share = np.bincount(problem.bones.measure) / len(problem.bones.measure)
    guess = (cameras.log_focal - problem.guess_log_focal) / beliefs.focal_sigma
    if cameras.pan:  # lenses that zoom are not guessed at
        guess = np.zeros(1)
    return float(
        pixel_cost(problem.pixels, cameras, state.joints).sum()
        + np.square(extra / beliefs.bone_sigma).sum()
        + lifted_cost(target, state.joints, beliefs.lifter_sigma).sum()
        + np.square(guess).sum()
        + np.square(cameras.radial / beliefs.radial_sigma).sum()
        + np.square(cameras.delay_s / beliefs.delay_sigma_s).sum()
        + ((share @ state.lengths - 1) / _UNIT_SIGMA) ** 2
    )
