"""Every instant adjusted by itself: its joints and its cameras, all instants at once.

What a panning camera looks like at one instant is known from that instant; where it stands, and
how smoothly it turns, others may say.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.reprojection import (
    CENTRE,
    COLUMNS,
    FOCAL,
    ROTATION,
    Cameras,
    Pixels,
    compare,
    pixel_cost,
)
from cvsf.multiview.residuals import (
    add_bones,
    add_lifted,
    add_pixels,
    empty_normal,
    lifted_cost,
    lifted_target,
    stretched,
)
from cvsf.multiview.rotation import turn, turned_by
from cvsf.reconstruction.pose_solver import Stance

Real = npt.NDArray[np.float64]

FREE = (*range(COLUMNS)[ROTATION], *range(COLUMNS)[CENTRE], FOCAL)
"""Columns of a camera of which nothing is known."""
PANS = (*range(COLUMNS)[ROTATION], FOCAL)
"""Columns of a camera whose centre is known."""
_LEAST_DAMPING, _MOST_DAMPING = 1e-7, 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Where a camera's rotation and focal length are expected, and how surely."""

    view_from_world: Real  # (N, V, 3, 3)
    log_focal: Real  # (N, V)
    turn_sigma: Real | float  # rad, (N, V)
    focal_sigma: Real | float  # of the log focal length, (N, V)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """Instants, each with cameras and joints of its own."""

    cameras: Cameras  # one row an instant
    joints: Real  # (N, J, 3)
    cost: Real  # (N,)


def adjust_alone(
    pixels: Pixels,
    stance: Stance,
    start: Alone,
    wish: Wish,
    *,
    columns: tuple[int, ...],
    rounds: int,
) -> Alone:
    """Levenberg-Marquardt for N separate problems; a step is taken where it lowers the cost."""
    state = replace(start, cost=_cost(pixels, stance, start.cameras, start.joints, wish))
    damping = np.full(len(state.joints), 1e-2)
    for _ in range(rounds):
        matrix, right = _normal(pixels, stance, state, wish, columns)
        each = np.arange(matrix.shape[-1])
        matrix[:, each, each] *= 1 + damping[:, None]
        matrix[:, each, each] += 1e-9
        step = np.linalg.solve(matrix, right[..., None])[..., 0]
        trial = _moved(state, np.asarray(step, float), columns)
        cost = _cost(pixels, stance, trial.cameras, trial.joints, wish)
        better = np.isfinite(cost) & (cost < state.cost)
        damping = np.where(better, damping / 5, damping * 6).clip(_LEAST_DAMPING, _MOST_DAMPING)
        state = chosen(better, replace(trial, cost=cost), state)
    return state


def spread_alone(pixels: Pixels, stance: Stance, found: Alone, wish: Wish) -> Real:
    """Standard deviations (V, 4) of rotations (rad) and log focal length, median over instants."""
    matrix, _ = _normal(pixels, stance, found, wish, PANS)
    each = np.arange(matrix.shape[-1])
    matrix[:, each, each] += 1e-9
    variance = np.linalg.inv(matrix)[:, each, each][:, 3 * found.joints.shape[1] :]
    by_view = variance.reshape(len(variance), -1, len(PANS))
    return np.asarray(np.sqrt(np.maximum(np.median(by_view, 0), 0.0)))


def chosen(which: npt.NDArray[np.bool_], yes: Alone, no: Alone) -> Alone:
    """Instant by instant, one or the other."""

    def pick(a: Real, b: Real) -> Real:
        return np.asarray(np.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b))

    centres = yes.cameras.centres
    if centres.ndim == 3:
        centres = pick(centres, no.cameras.centres)
    return Alone(
        cameras=replace(
            yes.cameras,
            view_from_world=pick(yes.cameras.view_from_world, no.cameras.view_from_world),
            log_focal=pick(yes.cameras.log_focal, no.cameras.log_focal),
            centres=centres,
        ),
        joints=pick(yes.joints, no.joints),
        cost=pick(yes.cost, no.cost),
    )


def _normal(
    pixels: Pixels, stance: Stance, state: Alone, wish: Wish, columns: tuple[int, ...]
) -> tuple[Real, Real]:
    joints, cameras = state.joints, state.cameras
    instants, count = joints.shape[:2]
    views, width = cameras.log_focal.shape[1], len(columns)
    normal = empty_normal(instants, count)
    seen = compare(pixels, cameras, joints, with_cameras=True)
    add_pixels(normal, seen)
    add_bones(normal, stance.bones, stance.lengths, joints, stance.bone_sigma)
    target = lifted_target(stance.body, joints)
    add_lifted(normal, target, joints, stance.lifter_sigma)
    assert seen.by_camera is not None
    by_camera = seen.by_camera[..., list(columns)]
    weighted = np.swapaxes(seen.weight[..., None, None] * by_camera, -1, -2)
    own = (weighted @ by_camera).sum(2)  # (N, V, C, C)
    right = -(weighted @ seen.residual[..., None])[..., 0].sum(2)
    cross = (weighted @ seen.by_joint).transpose(0, 1, 3, 2, 4)
    cross = cross.reshape(instants, views * width, 3 * count)
    information, pull = _wished(cameras, wish, columns)
    each = np.arange(width)
    own[..., each, each] += information
    right = right + information * pull
    blocks = np.zeros((instants, views, width, views, width))
    each = np.arange(views)
    blocks[:, each, :, each, :] = np.swapaxes(own, 0, 1)
    whole = blocks.reshape(instants, views * width, -1)
    matrix = np.block([[normal.matrix, np.swapaxes(cross, 1, 2)], [cross, whole]])
    return matrix, np.concatenate([normal.right, right.reshape(instants, -1)], 1)


def _wished(cameras: Cameras, wish: Wish, columns: tuple[int, ...]) -> tuple[Real, Real]:
    """Information and distance (N, V, C) of what is expected of a camera; nothing of its centre."""
    shape = (*cameras.log_focal.shape, COLUMNS)
    information, pull = np.zeros(shape), np.zeros(shape)
    pull[..., ROTATION] = turned_by(wish.view_from_world, cameras.view_from_world)
    pull[..., FOCAL] = wish.log_focal - cameras.log_focal
    information[..., ROTATION] = np.asarray(wish.turn_sigma)[..., None] ** -2.0
    information[..., FOCAL] = np.asarray(wish.focal_sigma) ** -2.0
    index = list(columns)
    return information[..., index], pull[..., index]


def _moved(state: Alone, step: Real, columns: tuple[int, ...]) -> Alone:
    cameras = state.cameras
    instants, count = state.joints.shape[:2]
    change = np.zeros((*cameras.log_focal.shape, COLUMNS))
    change[..., list(columns)] = step[:, 3 * count :].reshape(*cameras.log_focal.shape, -1)
    centres = cameras.centres
    if CENTRE.start in columns:
        centres = centres + change[..., CENTRE]
    return replace(
        state,
        cameras=replace(
            cameras,
            view_from_world=turn(change[..., ROTATION]) @ cameras.view_from_world,
            log_focal=cameras.log_focal + change[..., FOCAL],
            centres=centres,
        ),
        joints=state.joints + step[:, : 3 * count].reshape(instants, count, 3),
    )


def _cost(pixels: Pixels, stance: Stance, cameras: Cameras, joints: Real, wish: Wish) -> Real:
    extra, _ = stretched(stance.bones, stance.lengths, joints)
    target = lifted_target(stance.body, joints)
    information, pull = _wished(cameras, wish, PANS)
    return np.asarray(
        pixel_cost(pixels, cameras, joints)
        + np.square(extra / stance.bone_sigma).sum(1)
        + lifted_cost(target, joints, stance.lifter_sigma)
        + (information * np.square(pull)).sum((1, 2))
    )
