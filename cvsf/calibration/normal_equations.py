"""The normal equations of cameras, joints and bone lengths, divided for the Schur complement.

The unknowns of one instant (its joints; where cameras pan, their rotations and focal lengths) are
local; the others are shared by all instants.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.multiview.reprojection import (
    WeightedKeypoints,
    reprojection_cost,
    reprojection_residuals,
)
from cvsf.multiview.residuals import (
    BONE_SIGMA,
    LIFTER_SIGMA,
    Bones,
    NormalEquations,
    add_bones,
    add_lifted,
    add_reprojection,
    bone_residuals,
    empty_normal,
    lifted_cost,
    lifted_target,
    of_cameras,
)
from cvsf.multiview.rig import CENTRE, COLUMNS, DELAY, FOCAL, PRINCIPAL, RADIAL, ROTATION, Rig
from cvsf.shapes import Bool, Float, Int

Real = npt.NDArray[np.float64]

_UNIT_SIGMA = 1e-3  # of the mean bone, whose length 1 fixes the scale; a guess, not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """Standard deviations of each kind of residual; lengths in mean bones (some 0.3 m).

    All are guesses, not measured.
    """

    bone_sigma: float = BONE_SIGMA
    lifter_sigma: float = LIFTER_SIGMA
    focal_sigma: float = 0.4  # of the log focal length, about the first guess
    radial_sigma: float = 0.15
    principal_sigma: float = 0.03  # over the picture's longer side, about its middle
    delay_sigma_s: float = 0.2
    known_focal_sigma: float = 1e-3  # of the log focal length of a given lens
    estimate_radial: bool = False
    estimate_principal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The unknowns."""

    rig: Rig
    joints: Float[Real, "N J 3"]
    lengths: Float[Real, "*P M"]
    """Of the one person, or of each of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The keypoints and priors of an adjustment."""

    keypoints: WeightedKeypoints
    bones: Bones
    body: Float[Real, "N J 3"]
    """The lifter's pose in world axes, mean bone 1."""
    guess_log_focal: Float[Real, "V"]
    is_given: Bool[npt.NDArray[np.bool_], "V"]
    """Cameras whose intrinsics are known; they keep their distortion and principal point."""
    reference: int  # the camera whose pose is fixed
    priors: Priors
    person: Int[npt.NDArray[np.intp], "N"] | None = None
    """Who is there at each instant, where several people follow one another; the mean bone of
    person 0 is the unit of length."""

    @property
    def focal_sigma(self) -> Float[Real, "V"]:
        """Standard deviation of each log focal length about `guess_log_focal`."""
        priors = self.priors
        return np.where(self.is_given, priors.known_focal_sigma, priors.focal_sigma)

    def lengths_at(self, state: State) -> Float[Real, "*#N M"]:
        """The bone lengths that hold at each instant, or at all of them."""
        return state.lengths if self.person is None else state.lengths[self.person]

    def belongs(self, state: State) -> Float[Real, "N P"]:
        """1 where an instant is of a person."""
        if self.person is None:
            return np.ones((len(state.joints), 1))
        return np.eye(len(state.lengths))[self.person]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Normal equations of L local unknowns per instant and S shared ones."""

    local: Float[Real, "N L L"]
    local_right: Float[Real, "N L"]
    coupling: Float[Real, "N L S"]
    shared: Float[Real, "S S"]
    shared_right: Float[Real, "S"]


def first_lengths(state: State) -> Float[Real, "M"]:
    """The bone lengths of the first person, or of the only one."""
    return np.asarray(state.lengths.reshape(-1, state.lengths.shape[-1])[0])


def local_columns(rig: Rig) -> list[int]:
    """Columns of a camera that are unknown at each instant: rotation and log focal length if the
    rig pans, none if it stands still.
    """
    return [*range(COLUMNS)[ROTATION], FOCAL] if rig.is_panning else []


def shared_columns(problem: Problem, rig: Rig) -> Int[npt.NDArray[np.intp], "C"]:
    """Indices of the camera columns that are unknown and shared by all instants, of V * COLUMNS.
    The reference camera's centre and time offset are fixed, and its rotation if the rig stands
    still.
    """
    views = len(rig.cameras)
    is_shared = np.ones((views, COLUMNS), bool)
    is_shared[:, RADIAL] = problem.priors.estimate_radial & ~problem.is_given
    is_shared[:, PRINCIPAL] = (problem.priors.estimate_principal & ~problem.is_given)[:, None]
    is_shared[:, DELAY] = problem.keypoints.velocity_px_s is not None
    is_shared[problem.reference, CENTRE] = is_shared[problem.reference, DELAY] = False
    is_shared[:, local_columns(rig)] = False
    if not rig.is_panning:
        is_shared[problem.reference, ROTATION] = False
    return np.flatnonzero(is_shared.ravel())


def linearise(problem: Problem, state: State) -> System:
    """The normal equations of one Gauss-Newton step at a state (Triggs et al. 2000), with robust
    weights, without damping. Their solution is the step to add; the state stays.
    """
    joints, priors = state.joints, problem.priors
    instants, count = joints.shape[:2]
    normal = empty_normal(instants, count)
    residuals = reprojection_residuals(problem.keypoints, state.rig, joints, with_cameras=True)
    add_reprojection(normal, residuals)
    lengths = problem.lengths_at(state)
    extra, direction = add_bones(normal, problem.bones, lengths, joints, priors.bone_sigma)
    target = lifted_target(problem.body, joints)
    add_lifted(normal, target, joints, priors.lifter_sigma)
    assert residuals.by_camera is not None
    weighted = residuals.weight[..., None, None] * residuals.by_camera
    own, right = of_cameras(weighted, residuals.by_camera, residuals.residual)
    cross = np.swapaxes(weighted, -1, -2) @ residuals.by_joint  # (N, V, J, C, 3)
    cross = cross.transpose(0, 1, 3, 2, 4).reshape(instants, -1, 3 * count)
    return _assembled(problem, state, normal, (own, right, cross), (extra, direction))


def _assembled(
    problem: Problem,
    state: State,
    normal: NormalEquations,
    camera: tuple[Float[Real, "N V 11 11"], Float[Real, "N V 11"], Float[Real, "N K D"]],
    bone: tuple[Float[Real, "N B"], Float[Real, "N B 3"]],
) -> System:
    """One system of joints, cameras and bone lengths, divided into local and shared unknowns."""
    own, right, cross = camera
    priors = problem.priors
    instants, views = own.shape[:2]
    local_of = local_columns(state.rig)
    shared_of = shared_columns(problem, state.rig)
    measures, unknown = problem.bones.measures, state.lengths.size
    blocks = np.zeros((instants, views, COLUMNS, views, COLUMNS))
    each = np.arange(views)
    blocks[:, each, :, each, :] = np.swapaxes(own, 0, 1)
    cameras = blocks.reshape(instants, views * COLUMNS, -1)
    right = right.reshape(instants, -1)
    local_rows = (each[:, None] * COLUMNS + np.array(local_of, int)).ravel()
    # bone lengths: d(residual) / d(length) is -1 / sigma
    of_measure = np.eye(measures)[problem.bones.measure]  # (B, M)
    pull = bone[1][..., :, None, None] * of_measure[:, None, None, :]  # (N, B, 3, 1, M)
    by_length = np.einsum(
        "bj,nbam->njam", problem.bones.incidence, pull[..., 0, :], optimize=True
    ).reshape(instants, -1, measures)
    belongs = problem.belongs(state)  # (N, P)
    by_length = (-by_length[:, :, None] / priors.bone_sigma) * belongs[:, None, :, None]
    by_length = by_length.reshape(*by_length.shape[:2], -1)
    local = np.block(
        [
            [normal.matrix, np.swapaxes(cross[:, local_rows], 1, 2)],
            [cross[:, local_rows], cameras[:, local_rows][:, :, local_rows]],
        ]
    )
    coupling = np.block(
        [
            [np.swapaxes(cross[:, shared_of], 1, 2), by_length],
            [
                cameras[:, local_rows][:, :, shared_of],
                np.zeros((instants, len(local_rows), unknown)),
            ],
        ]
    )
    shared = np.zeros((len(shared_of) + unknown,) * 2)
    shared[: len(shared_of), : len(shared_of)] = cameras.sum(0)[np.ix_(shared_of, shared_of)]
    shared_right = np.concatenate([right.sum(0)[shared_of], np.zeros(unknown)])
    rows = np.arange(unknown) + len(shared_of)
    observed = belongs.sum(0)[:, None] * of_measure.sum(0)  # (P, M)
    shared[rows, rows] += observed.ravel() / priors.bone_sigma**2
    shared_right[rows] += (belongs.T @ bone[0] @ of_measure).ravel() / priors.bone_sigma
    _add_guesses(problem, state, shared_of, shared, shared_right, of_measure)
    return System(
        local=local,
        local_right=np.concatenate([normal.right, right[:, local_rows]], 1),
        coupling=coupling,
        shared=shared,
        shared_right=shared_right,
    )


def _add_guesses(
    problem: Problem,
    state: State,
    shared_of: Int[npt.NDArray[np.intp], "C"],
    shared: Float[Real, "S S"],
    shared_right: Float[Real, "S"],
    of_measure: Float[Real, "B M"],
) -> None:
    """Add the priors of focal lengths, k1 and delays, and the unit of length."""
    priors, rig = problem.priors, state.rig
    zoom = problem.guess_log_focal - rig.log_focal
    aside = rig.principal_shift
    row_of = {int(column): row for row, column in enumerate(shared_of)}
    for view in range(len(rig.cameras)):
        for column, wanted, sigma in (
            (FOCAL, zoom[..., view], problem.focal_sigma[view]),
            (RADIAL, -rig.distortion[view, 0], priors.radial_sigma),
            (PRINCIPAL.start, -aside[view, 0], priors.principal_sigma),
            (PRINCIPAL.start + 1, -aside[view, 1], priors.principal_sigma),
            (DELAY, -rig.delay_s[view], priors.delay_sigma_s),
        ):
            row = row_of.get(view * COLUMNS + column)
            if row is not None:
                shared[row, row] += sigma**-2
                shared_right[row] += wanted / sigma**2
    share = of_measure.mean(0)
    at = slice(len(shared_of), len(shared_of) + len(share))  # of the first person
    shared[at, at] += np.outer(share, share) / _UNIT_SIGMA**2
    shared_right[at] += share * (1 - share @ first_lengths(state)) / _UNIT_SIGMA**2


def stepped(
    problem: Problem, state: State, local: Float[Real, "N L"], shared: Float[Real, "S"]
) -> State:
    """A new state after a step: `local` (N instants) is of joints and panning cameras, `shared` of
    the other camera columns and the bone lengths, in the order of `linearise`. Joints, camera
    centres and lengths (world unit, mean bone 1), k1 and time offsets (s) are added to; rotation
    vectors (rad, camera axes) are composed, and focal lengths multiplied by exp of their step.
    """
    rig = state.rig
    instants, count = state.joints.shape[:2]
    views = len(rig.cameras)
    shared_of = shared_columns(problem, rig)
    step = np.zeros((*rig.focal_px.shape[:-1], views * COLUMNS))
    step[..., shared_of] = shared[: len(shared_of)]
    by_view = step.reshape(*rig.focal_px.shape, COLUMNS)
    if rig.is_panning:
        by_view[..., local_columns(rig)] = local[:, 3 * count :].reshape(instants, views, -1)
    return State(
        rig=rig.stepped(by_view),
        joints=state.joints + local[:, : 3 * count].reshape(instants, count, 3),
        lengths=state.lengths + shared[len(shared_of) :].reshape(state.lengths.shape),
    )


def cost(problem: Problem, state: State) -> float:
    """The cost that bundle adjustment lowers, without unit: Cauchy costs of reprojection and of the
    lifter's poses, squared residuals of bones and priors. Panning cameras' focal lengths have none.
    """
    priors, rig = problem.priors, state.rig
    target = lifted_target(problem.body, state.joints)
    extra, _ = bone_residuals(problem.bones, problem.lengths_at(state), state.joints)
    share = np.bincount(problem.bones.measure) / len(problem.bones.measure)
    zoom = 0.0  # lenses that zoom have no prior
    if not rig.is_panning:
        zoom = np.square((rig.log_focal - problem.guess_log_focal) / problem.focal_sigma).sum()
    unknown = ~problem.is_given
    return float(
        reprojection_cost(problem.keypoints, rig, state.joints).sum()
        + np.square(extra / priors.bone_sigma).sum()
        + lifted_cost(target, state.joints, priors.lifter_sigma).sum()
        + zoom
        + np.square(rig.distortion[unknown, 0] / priors.radial_sigma).sum()
        + np.square(rig.principal_shift[unknown] / priors.principal_sigma).sum()
        + np.square(rig.delay_s / priors.delay_sigma_s).sum()
        + ((share @ first_lengths(state) - 1) / _UNIT_SIGMA) ** 2
    )
