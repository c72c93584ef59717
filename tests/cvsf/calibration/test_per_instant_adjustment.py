"""Every instant adjusted by itself, its cameras turned and zoomed back to where they looked."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.per_instant_adjustment import (
    FREE,
    PANS,
    Alone,
    Wish,
    adjust_alone,
    chosen,
    spread_alone,
)
from cvsf.multiview.reprojection import Cameras, Pixels, Real
from cvsf.multiview.residuals import BONE_SIGMA, LIFTER_SIGMA, bones_of, measures_of
from cvsf.multiview.rotation import angle_between, turn
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.reconstruction.pose_solver import Stance
from cvsf.skeleton import H36M_16
from train.batches.probe_inputs import STANDING

VIEWS, INSTANTS, COUNT = 3, 3, len(H36M_16)
STAND = np.array([STANDING[joint] for joint in H36M_16.joints])
EVEN = (STAND + STAND[list(H36M_16.mirrored)] * [1, -1, 1]) / 2  # left as long as right
BODY = EVEN / mean_bone(EVEN, H36M_16)
JOINTS = BODY + np.outer(np.arange(INSTANTS), [0.8, -0.4, 0.0])[:, None]
BONES = bones_of(H36M_16)
STANCE = Stance(
    joint_set=H36M_16,
    bones=BONES,
    lengths=measures_of(BODY[None], BONES),
    body=np.repeat(BODY[None], INSTANTS, 0),
    bone_sigma=BONE_SIGMA,
    lifter_sigma=LIFTER_SIGMA,
)


def cameras() -> Cameras:
    """Cameras all around, turned and zoomed a little differently at each instant."""
    angle = 2 * np.pi * np.arange(VIEWS) / VIEWS
    level = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    rotation = level @ turn(np.stack([0 * angle, 0 * angle, -angle], -1))
    random = np.random.default_rng(0)
    return Cameras(
        view_from_world=turn(random.normal(0, 0.03, (INSTANTS, VIEWS, 3))) @ rotation,
        centres=np.einsum("vji,j->vi", rotation, [0.0, 0.0, -20.0]),
        log_focal=np.log(1500.0) + random.normal(0, 0.1, (INSTANTS, VIEWS)),
        centre_px=np.full((VIEWS, 2), 500.0),
        radial=np.zeros(VIEWS),
        delay_s=np.zeros(VIEWS),
    )


def pixels(noise_px: float = 0.0) -> Pixels:
    shape = (INSTANTS, VIEWS, COUNT)
    off = np.random.default_rng(1).normal(0, 1, (*shape, 2))
    return Pixels(
        keypoints_px=cameras().project(JOINTS) + noise_px * off,
        trust=np.ones(shape),
        extent_px=np.full(shape[:2], 300.0),
        noise=0.01,
    )


def wish(turn_sigma: float = 0.5, focal_sigma: float = 0.5) -> Wish:
    """The truth is expected."""
    return Wish(
        view_from_world=cameras().view_from_world,
        log_focal=cameras().log_focal,
        turn_sigma=turn_sigma,
        focal_sigma=focal_sigma,
    )


def disturbed(rows: slice = slice(None)) -> Alone:
    """Cameras some 2 degrees and 10 % off, joints a tenth of a bone."""
    random, true = np.random.default_rng(2), cameras()
    view_from_world = turn(random.normal(0, 0.02, (INSTANTS, VIEWS, 3))) @ true.view_from_world
    log_focal = true.log_focal + random.normal(0, 0.1, (INSTANTS, VIEWS))
    joints = JOINTS + random.normal(0, 0.1, JOINTS.shape)
    return Alone(
        cameras=replace(true, view_from_world=view_from_world[rows], log_focal=log_focal[rows]),
        joints=joints[rows],
        cost=np.zeros(len(joints[rows])),
    )


def test_cameras_on_known_centres_return_to_the_rotations_of_exact_pixels() -> None:
    begun = disturbed()
    assert angle_between(begun.cameras.view_from_world, cameras().view_from_world).min() > 0.3
    found = adjust_alone(pixels(), STANCE, begun, wish(), columns=PANS, rounds=25)
    off = angle_between(found.cameras.view_from_world, cameras().view_from_world)
    assert off.max() < 0.02
    np.testing.assert_allclose(found.cameras.log_focal, cameras().log_focal, atol=1e-3)
    np.testing.assert_allclose(found.joints, JOINTS, atol=5e-3)
    assert (found.cost < 1e-3).all()


def changed(found: Alone, direction: Real, by: float, columns: tuple[int, ...]) -> Alone:
    """Moved along one direction of all unknowns, (N, 3 J + V C)."""
    step = by * direction
    own = np.zeros((INSTANTS, VIEWS, 7))
    own[..., list(columns)] = step[:, 3 * COUNT :].reshape(INSTANTS, VIEWS, -1)
    seen_by = found.cameras
    return replace(
        found,
        cameras=replace(
            seen_by,
            view_from_world=turn(own[..., :3]) @ seen_by.view_from_world,
            centres=seen_by.centres + own[..., 3:6] if len(columns) > 4 else seen_by.centres,
            log_focal=seen_by.log_focal + own[..., 6],
        ),
        joints=found.joints + step[:, : 3 * COUNT].reshape(found.joints.shape),
    )


@pytest.mark.parametrize("columns", [PANS, FREE])
def test_an_adjusted_instant_has_no_slope_of_its_cost_by_finite_differences(
    columns: tuple[int, ...],
) -> None:
    seen = pixels(noise_px=4.0)
    begun = disturbed()
    if columns is FREE:
        centres = np.repeat(begun.cameras.centres[None], INSTANTS, 0)
        begun = replace(begun, cameras=replace(begun.cameras, centres=centres))

    def cost(state: Alone) -> Real:
        return adjust_alone(seen, STANCE, state, wish(), columns=columns, rounds=0).cost

    def slope(state: Alone, direction: Real) -> Real:
        up, down = (cost(changed(state, direction, by, columns)) for by in (1e-4, -1e-4))
        return np.asarray((up - down) / 2e-4)

    found = adjust_alone(seen, STANCE, begun, wish(), columns=columns, rounds=60)
    np.testing.assert_array_equal(cost(found), found.cost)
    assert (found.cost < cost(begun)).all()
    unknowns = 3 * COUNT + VIEWS * len(columns)
    directions = np.random.default_rng(3).normal(size=(8, INSTANTS, unknowns))
    before, after = (
        np.abs([slope(state, direction) for direction in directions]).max(0)
        for state in (begun, found)
    )
    assert (after < 1e-3 * before).all()


def test_an_instant_is_adjusted_independently_of_those_beside_it() -> None:
    done = adjust_alone(pixels(2.0), STANCE, disturbed(), wish(), columns=PANS, rounds=60)
    # the first one has nothing to gain any more
    begun = chosen(np.array([True, False, False]), done, disturbed())
    together = adjust_alone(pixels(2.0), STANCE, begun, wish(), columns=PANS, rounds=6)
    row = slice(1, 2)
    seen, expected = pixels(2.0), wish()
    alone = adjust_alone(
        replace(
            seen,
            keypoints_px=seen.keypoints_px[row],
            trust=seen.trust[row],
            extent_px=seen.extent_px[row],
        ),
        replace(STANCE, body=STANCE.body[row]),
        disturbed(row),
        replace(
            expected,
            view_from_world=expected.view_from_world[row],
            log_focal=expected.log_focal[row],
        ),
        columns=PANS,
        rounds=6,
    )
    np.testing.assert_allclose(alone.joints, together.joints[row], atol=1e-7)
    np.testing.assert_allclose(alone.cost, together.cost[row], rtol=1e-7)


def test_a_strong_expectation_decides_the_focal_length_and_its_deviation() -> None:
    elsewhere = replace(wish(1e-5, 1e-5), log_focal=cameras().log_focal + 0.2)
    found = adjust_alone(pixels(), STANCE, disturbed(), elsewhere, columns=PANS, rounds=15)
    np.testing.assert_allclose(found.cameras.log_focal, elsewhere.log_focal, atol=1e-4)
    sigma = spread_alone(pixels(), STANCE, found, elsewhere)
    assert sigma.shape == (VIEWS, len(PANS))
    np.testing.assert_allclose(sigma, 1e-5, rtol=0.01)
    by_pixels = spread_alone(pixels(), STANCE, found, wish())
    assert (by_pixels > 10 * sigma).all()
    assert (by_pixels < 0.5).all()


@pytest.mark.parametrize("moves", [False, True])
def test_each_instant_takes_the_solution_that_was_chosen_for_it(moves: bool) -> None:
    one, other = disturbed(), replace(disturbed(), joints=JOINTS, cost=np.ones(INSTANTS))
    other = replace(other, cameras=cameras())
    if moves:
        shape = (INSTANTS, VIEWS, 3)
        one, other = (
            replace(each, cameras=replace(each.cameras, centres=np.full(shape, value)))
            for each, value in ((one, 1.0), (other, 2.0))
        )
    mixed = chosen(np.array([True, False, True]), one, other)
    assert mixed.cost.tolist() == [0, 1, 0]
    for row, source in ((0, one), (1, other), (2, one)):
        assert (mixed.joints[row] == source.joints[row]).all()
        assert (mixed.cameras.log_focal[row] == source.cameras.log_focal[row]).all()
        assert (mixed.cameras.view_from_world[row] == source.cameras.view_from_world[row]).all()
    if moves:
        assert mixed.cameras.centres[:, 0, 0].tolist() == [1, 2, 1]
