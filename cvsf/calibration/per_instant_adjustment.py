"""Adjustment of the joints and cameras of each instant alone, for all instants at once.

For panning cameras: one instant determines their rotations and focal lengths; their centres are
known, and smooth motion is a prior.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import WINDOW, windows
from cvsf.multiview.reprojection import (
    WeightedKeypoints,
    reprojection_cost,
    reprojection_residuals,
)
from cvsf.multiview.residuals import (
    add_bones,
    add_lifted,
    add_reprojection,
    bone_residuals,
    empty_normal,
    lifted_cost,
    lifted_target,
    of_cameras,
)
from cvsf.multiview.rig import CENTRE, COLUMNS, FOCAL, ROTATION, Rig, Rows
from cvsf.multiview.rotation import rotation_vector_between
from cvsf.reconstruction.pose_solver import BodyPrior
from cvsf.shapes import Bool, Float
from cvsf.system.progress import reported

Real = npt.NDArray[np.float64]

FREE = (*range(COLUMNS)[ROTATION], *range(COLUMNS)[CENTRE], FOCAL)
"""Columns of a camera whose centre is unknown."""
PANNING = (*range(COLUMNS)[ROTATION], FOCAL)
"""Columns of a camera whose centre is known."""
CONVERGED = 5e-4
"""A step that lowers the cost of an instant by a smaller share is its last, if centres are known.
With 5e-3 the N-MPJPE of 15 recordings of six panning cameras was 4 % larger, with 1e-3 the same,
but deviations of focal lengths 0.3 % larger than with 3e-4; where centres are unknown, 1e-3 spoils
the focal lengths of some."""
_LEAST_DAMPING, _MOST_DAMPING = 1e-7, 1e6  # guesses, not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPrior:
    """Expected rotations and focal lengths, with standard deviations."""

    view_from_world: Float[Real, "N V 3 3"]
    log_focal: Float[Real, "N V"]
    rotation_sigma: Float[Real, "#N V"] | Float[Real, "V"] | float
    """rad."""
    focal_sigma: Float[Real, "#N V"] | Float[Real, "V"] | float
    """Of the log focal length."""

    def rows(self, rows: Rows) -> Self:
        """The prior of some instants: a slice, indices or a mask."""
        instants = len(self.log_focal)

        def some(sigma: Any) -> Any:
            return sigma[rows] if np.ndim(sigma) > 1 and len(sigma) == instants > 1 else sigma

        return replace(
            self,
            view_from_world=self.view_from_world[rows],
            log_focal=self.log_focal[rows],
            rotation_sigma=some(self.rotation_sigma),
            focal_sigma=some(self.focal_sigma),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Solutions:
    """Cameras, joints and cost of N instants."""

    rig: Rig  # panning, of N instants
    joints: Float[Real, "N J 3"]
    cost: Float[Real, "N"]

    def rows(self, rows: Rows) -> Self:
        """The solutions of some instants: a slice, indices or a mask; with one index, without the
        axis of instants. With a slice or one index the arrays share memory with these.
        """
        return replace(
            self, rig=self.rig.rows(rows), joints=self.joints[rows], cost=self.cost[rows]
        )

    def with_rows(self, rows: Rows, other: Self) -> Self:
        """A copy with the instants `rows` replaced by those of `other`, in order; `other` has as
        many instants. Neither of the two is changed.
        """
        joints, cost = self.joints.copy(), self.cost.copy()
        joints[rows], cost[rows] = other.joints, other.cost
        return replace(self, rig=self.rig.with_rows(rows, other.rig), joints=joints, cost=cost)

    @staticmethod
    def joined(parts: Sequence["Solutions"]) -> "Solutions":
        """The instants of several solutions of the same cameras, one after another."""
        return Solutions(
            rig=parts[0].rig.extended([part.rig for part in parts[1:]]),
            joints=np.concatenate([part.joints for part in parts]),
            cost=np.concatenate([part.cost for part in parts]),
        )

    def with_better(self, better: Bool[npt.NDArray[np.bool_], "N"], other: Self) -> Self:
        """A copy with the instants where `better` is True taken from another solution of the same
        instants.
        """
        return self.with_rows(better, other.rows(better))


def adjust_per_instant(
    keypoints: WeightedKeypoints,
    body: BodyPrior,
    start: Solutions,
    prior: CameraPrior,
    *,
    columns: tuple[int, ...],
    rounds: int,
    converged: float = 0.0,
) -> Solutions:
    """Cameras and joints of each instant alone, by Levenberg-Marquardt; the unknown `columns` of a
    camera are `FREE` or `PANNING`. A step is taken where it lowers the cost, so no instant gets
    worse; one that lowers it by a share below `converged` is the last of its instant. The cost in
    `start` is not read. Rig of `start`: one pose per instant.
    """
    parts = [
        _adjusted(
            keypoints.take(at),
            replace(body, body=body.body[at]),
            start.rows(at),
            prior.rows(at),
            columns=columns,
            rounds=rounds,
            converged=converged,
        )
        for at in reported("adjusting cameras", windows(len(start.joints)))
    ]
    return Solutions.joined(parts)


def _adjusted(
    keypoints: WeightedKeypoints,
    body: BodyPrior,
    start: Solutions,
    prior: CameraPrior,
    *,
    columns: tuple[int, ...],
    rounds: int,
    converged: float,
) -> Solutions:
    """`adjust_per_instant` for the instants of one window."""
    found = replace(start, cost=_cost(keypoints, body, start.rig, start.joints, prior))
    damping = np.full(len(found.joints), 1e-2)
    rows, state = np.arange(len(found.joints)), found
    for _ in range(rounds):
        step = _step(keypoints, body, state, prior, columns, damping)
        trial = _stepped(state, step, columns)
        cost = _cost(keypoints, body, trial.rig, trial.joints, prior)
        better = np.isfinite(cost) & (cost < state.cost)
        damping = np.where(better, damping / 5, damping * 6).clip(_LEAST_DAMPING, _MOST_DAMPING)
        going = ~better | (state.cost - cost >= converged * state.cost)
        state = state.with_better(better, replace(trial, cost=cost))
        if going.all():
            continue
        found = found.with_rows(rows[~going], state.rows(~going))
        rows, state, damping = rows[going], state.rows(going), damping[going]
        keypoints, prior = keypoints.take(going), prior.rows(going)
        body = replace(body, body=body.body[going])
        if not len(rows):
            return found
    return found.with_rows(rows, state)


def _step(
    keypoints: WeightedKeypoints,
    body: BodyPrior,
    state: Solutions,
    prior: CameraPrior,
    columns: tuple[int, ...],
    damping: Float[Real, "N"],
) -> Float[Real, "N L"]:
    matrix, right = _normal(keypoints, body, state, prior, columns)
    each = np.arange(matrix.shape[-1])
    matrix[:, each, each] *= 1 + damping[:, None]
    matrix[:, each, each] += 1e-9
    return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0], float)


def deviations_per_instant(
    keypoints: WeightedKeypoints, body: BodyPrior, solutions: Solutions, prior: CameraPrior
) -> Float[Real, "V 4"]:
    """Standard deviations of each camera's rotation vector (rad) and log focal length, centres
    fixed: of one instant, the median over at most 512, evenly spread. At the noise of the
    keypoints, with the prior.
    """
    rows = np.unique(np.linspace(0, len(solutions.joints) - 1, WINDOW).round().astype(int))
    keypoints, body = keypoints.take(rows), replace(body, body=body.body[rows])
    solutions, prior = solutions.rows(rows), prior.rows(rows)
    matrix, _ = _normal(keypoints, body, solutions, prior, PANNING)
    each = np.arange(matrix.shape[-1])
    matrix[:, each, each] += 1e-9
    variance = np.linalg.inv(matrix)[:, each, each][:, 3 * solutions.joints.shape[1] :]
    by_view = variance.reshape(len(variance), -1, len(PANNING))
    return np.asarray(np.sqrt(np.maximum(np.median(by_view, 0), 0.0)))


def _normal(
    keypoints: WeightedKeypoints,
    body: BodyPrior,
    state: Solutions,
    prior: CameraPrior,
    columns: tuple[int, ...],
) -> tuple[Float[Real, "N L L"], Float[Real, "N L"]]:
    joints, rig = state.joints, state.rig
    instants, count = joints.shape[:2]
    views, width = len(rig.cameras), len(columns)
    normal = empty_normal(instants, count)
    residuals = reprojection_residuals(keypoints, rig, joints, with_cameras=True)
    add_reprojection(normal, residuals)
    add_bones(normal, body.bones, body.lengths, joints, body.bone_sigma)
    add_lifted(normal, lifted_target(body.body, joints), joints, body.lifter_sigma)
    assert residuals.by_camera is not None
    by_camera = residuals.by_camera[..., list(columns)]
    weighted = residuals.weight[..., None, None] * by_camera
    own, right = of_cameras(weighted, by_camera, residuals.residual)
    cross = (np.swapaxes(weighted, -1, -2) @ residuals.by_joint).transpose(0, 1, 3, 2, 4)
    cross = cross.reshape(instants, views * width, 3 * count)
    information, pull = _prior_terms(rig, prior, columns)
    each = np.arange(width)
    own[..., each, each] += information
    right = right + information * pull
    joint, camera = slice(3 * count), slice(3 * count, None)
    matrix = np.zeros((instants, 3 * count + views * width, 3 * count + views * width))
    matrix[:, joint, joint], matrix[:, camera, joint] = normal.matrix, cross
    matrix[:, joint, camera] = np.swapaxes(cross, 1, 2)
    for view in range(views):
        at = slice(3 * count + view * width, 3 * count + (view + 1) * width)
        matrix[:, at, at] = own[:, view]
    return matrix, np.concatenate([normal.right, right.reshape(instants, -1)], 1)


def _prior_terms(
    rig: Rig, prior: CameraPrior, columns: tuple[int, ...]
) -> tuple[Float[Real, "N V C"], Float[Real, "N V C"]]:
    """Information of the camera priors, and the error of each column; the centre has no prior."""
    shape = (*rig.focal_px.shape, COLUMNS)
    information, pull = np.zeros(shape), np.zeros(shape)
    pull[..., ROTATION] = rotation_vector_between(prior.view_from_world, rig.view_from_world)
    pull[..., FOCAL] = prior.log_focal - rig.log_focal
    information[..., ROTATION] = np.asarray(prior.rotation_sigma)[..., None] ** -2.0
    information[..., FOCAL] = np.asarray(prior.focal_sigma) ** -2.0
    index = list(columns)
    return information[..., index], pull[..., index]


def _stepped(state: Solutions, step: Float[Real, "N L"], columns: tuple[int, ...]) -> Solutions:
    instants, count = state.joints.shape[:2]
    shape = state.rig.focal_px.shape
    by_camera = np.zeros((*shape, COLUMNS))
    by_camera[..., list(columns)] = step[:, 3 * count :].reshape(*shape, -1)
    return replace(
        state,
        rig=state.rig.stepped(by_camera),
        joints=state.joints + step[:, : 3 * count].reshape(instants, count, 3),
    )


def _cost(
    keypoints: WeightedKeypoints,
    body: BodyPrior,
    rig: Rig,
    joints: Float[Real, "N J 3"],
    prior: CameraPrior,
) -> Float[Real, "N"]:
    extra, _ = bone_residuals(body.bones, body.lengths, joints)
    target = lifted_target(body.body, joints)
    information, pull = _prior_terms(rig, prior, PANNING)
    return np.asarray(
        reprojection_cost(keypoints, rig, joints)
        + np.square(extra / body.bone_sigma).sum(1)
        + lifted_cost(target, joints, body.lifter_sigma)
        + (information * np.square(pull)).sum((1, 2))
    )
