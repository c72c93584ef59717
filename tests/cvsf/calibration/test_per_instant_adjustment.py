"""Every instant adjusted by itself, its cameras turned and zoomed back to where they looked."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.per_instant_adjustment import (
    FREE,
    PANNING,
    CameraPrior,
    Solutions,
    adjust_per_instant,
    deviations_per_instant,
)
from cvsf.multiview.reprojection import Real, WeightedKeypoints
from cvsf.multiview.rig import COLUMNS, Rig
from cvsf.multiview.rotation import angle_between, rotation_from_vector
from cvsf.skeleton import H36M_16
from tests.support.level_cameras import (
    body_prior_of,
    exact_keypoints,
    rotations_around,
    standing_body,
)

VIEWS, INSTANTS, COUNT = 3, 3, len(H36M_16)
BODY = standing_body(symmetric=True)
JOINTS = BODY + np.outer(np.arange(INSTANTS), [0.8, -0.4, 0.0])[:, None]
PRIOR = body_prior_of(np.repeat(BODY[None], INSTANTS, 0), BODY[None])


def cameras() -> Rig:
    """Cameras all around, turned and zoomed a little differently at each instant."""
    rotation = rotations_around(2 * np.pi * np.arange(VIEWS) / VIEWS)
    random = np.random.default_rng(0)
    return Rig.pinhole(
        tuple(f"cam{view}" for view in range(VIEWS)),
        np.full((VIEWS, 2), 1000.0),
        view_from_world=rotation_from_vector(random.normal(0, 0.03, (INSTANTS, VIEWS, 3)))
        @ rotation,
        centres=np.einsum("vji,j->vi", rotation, [0.0, 0.0, -20.0]),
        focal_px=1500.0 * np.exp(random.normal(0, 0.1, (INSTANTS, VIEWS))),
    )


def keypoints_of(noise_px: float = 0.0) -> WeightedKeypoints:
    exact = exact_keypoints(cameras(), JOINTS)
    noise = np.random.default_rng(1).normal(0, 1, exact.keypoints_px.shape)
    return replace(exact, keypoints_px=exact.keypoints_px + noise_px * noise)


def prior(rotation_sigma: float = 0.5, focal_sigma: float = 0.5) -> CameraPrior:
    """The truth is expected."""
    return CameraPrior(
        view_from_world=cameras().view_from_world,
        log_focal=cameras().log_focal,
        rotation_sigma=rotation_sigma,
        focal_sigma=focal_sigma,
    )


def disturbed(rows: slice = slice(None)) -> Solutions:
    """Cameras some 2 degrees and 10 % off, joints a tenth of a bone."""
    random, step = np.random.default_rng(2), np.zeros((INSTANTS, VIEWS, COLUMNS))
    step[..., :3] = random.normal(0, 0.02, (INSTANTS, VIEWS, 3))
    step[..., 6] = random.normal(0, 0.1, (INSTANTS, VIEWS))
    joints = JOINTS + random.normal(0, 0.1, JOINTS.shape)
    begun = Solutions(rig=cameras().stepped(step), joints=joints, cost=np.zeros(INSTANTS))
    return begun.rows(rows)


def test_cameras_on_known_centres_return_to_the_rotations_of_exact_pixels() -> None:
    begun = disturbed()
    assert angle_between(begun.rig.view_from_world, cameras().view_from_world).min() > 0.3
    found = adjust_per_instant(keypoints_of(), PRIOR, begun, prior(), columns=PANNING, rounds=25)
    off = angle_between(found.rig.view_from_world, cameras().view_from_world)
    assert off.max() < 0.02
    np.testing.assert_allclose(found.rig.log_focal, cameras().log_focal, atol=1e-3)
    np.testing.assert_allclose(found.joints, JOINTS, atol=5e-3)
    assert (found.cost < 1e-3).all()


def changed(found: Solutions, direction: Real, by: float, columns: tuple[int, ...]) -> Solutions:
    """Moved along one direction of all unknowns, (N, 3 J + V C)."""
    step = by * direction
    own = np.zeros((INSTANTS, VIEWS, COLUMNS))
    own[..., list(columns)] = step[:, 3 * COUNT :].reshape(INSTANTS, VIEWS, -1)
    return replace(
        found,
        rig=found.rig.stepped(own),
        joints=found.joints + step[:, : 3 * COUNT].reshape(found.joints.shape),
    )


@pytest.mark.parametrize("columns", [PANNING, FREE])
def test_an_adjusted_instant_has_no_slope_of_its_cost_by_finite_differences(
    columns: tuple[int, ...],
) -> None:
    seen = keypoints_of(noise_px=4.0)
    begun = disturbed()

    def cost(state: Solutions) -> Real:
        return adjust_per_instant(seen, PRIOR, state, prior(), columns=columns, rounds=0).cost

    def slope(state: Solutions, direction: Real) -> Real:
        up, down = (cost(changed(state, direction, by, columns)) for by in (1e-4, -1e-4))
        return np.asarray((up - down) / 2e-4)

    found = adjust_per_instant(seen, PRIOR, begun, prior(), columns=columns, rounds=60)
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
    done = adjust_per_instant(
        keypoints_of(2.0), PRIOR, disturbed(), prior(), columns=PANNING, rounds=60
    )
    # the first one has nothing to gain any more
    begun = disturbed().with_better(np.array([True, False, False]), done)
    together = adjust_per_instant(
        keypoints_of(2.0), PRIOR, begun, prior(), columns=PANNING, rounds=6
    )
    row = slice(1, 2)
    seen, expected = keypoints_of(2.0), prior()
    alone = adjust_per_instant(
        seen.take(row),
        replace(PRIOR, body=PRIOR.body[row]),
        disturbed(row),
        replace(
            expected,
            view_from_world=expected.view_from_world[row],
            log_focal=expected.log_focal[row],
        ),
        columns=PANNING,
        rounds=6,
    )
    np.testing.assert_allclose(alone.joints, together.joints[row], atol=1e-7)
    np.testing.assert_allclose(alone.cost, together.cost[row], rtol=1e-7)


def test_a_strong_expectation_decides_the_focal_length_and_its_deviation() -> None:
    elsewhere = replace(prior(1e-5, 1e-5), log_focal=cameras().log_focal + 0.2)
    found = adjust_per_instant(
        keypoints_of(), PRIOR, disturbed(), elsewhere, columns=PANNING, rounds=15
    )
    np.testing.assert_allclose(found.rig.log_focal, elsewhere.log_focal, atol=1e-4)
    sigma = deviations_per_instant(keypoints_of(), PRIOR, found, elsewhere)
    assert sigma.shape == (VIEWS, len(PANNING))
    np.testing.assert_allclose(sigma, 1e-5, rtol=0.01)
    by_pixels = deviations_per_instant(keypoints_of(), PRIOR, found, prior())
    assert (by_pixels > 10 * sigma).all()
    assert (by_pixels < 0.5).all()


def test_an_instant_that_has_converged_stops_and_the_others_go_on() -> None:
    done = adjust_per_instant(
        keypoints_of(2.0), PRIOR, disturbed(), prior(), columns=PANNING, rounds=60
    )
    begun = disturbed().with_better(np.array([True, False, False]), done)
    by_instant = replace(prior(), focal_sigma=np.full((INSTANTS, VIEWS), 0.5))
    full, early, never = (
        adjust_per_instant(
            keypoints_of(2.0),
            PRIOR,
            begun,
            by_instant,
            columns=PANNING,
            rounds=20,
            converged=converged,
        )
        for converged in (0.0, 1e-3, 1.0)
    )
    np.testing.assert_allclose(early.cost, full.cost, rtol=5e-3)
    np.testing.assert_allclose(early.joints[0], begun.joints[0], atol=1e-4)
    assert (never.cost[1:] > early.cost[1:]).all()


def test_the_prior_of_some_instants_keeps_the_deviations_of_the_cameras() -> None:
    by_view = replace(prior(), rotation_sigma=np.arange(1.0, VIEWS + 1), focal_sigma=0.3)
    some = by_view.rows(np.array([2, 0]))
    np.testing.assert_array_equal(some.log_focal, by_view.log_focal[[2, 0]])
    np.testing.assert_array_equal(some.rotation_sigma, by_view.rotation_sigma)
    by_instant = replace(by_view, focal_sigma=np.arange(1.0, 10.0).reshape(3, 3))
    np.testing.assert_array_equal(by_instant.rows(slice(1, 2)).focal_sigma, [[4, 5, 6]])


@pytest.mark.parametrize("moves", [False, True])
def test_each_instant_takes_the_solution_that_was_chosen_for_it(moves: bool) -> None:
    one, other = disturbed(), replace(disturbed(), joints=JOINTS, cost=np.ones(INSTANTS))
    other = replace(other, rig=cameras())
    if moves:
        one, other = (
            replace(each, rig=replace(each.rig, translation=np.full((INSTANTS, VIEWS, 3), value)))
            for each, value in ((one, 1.0), (other, 2.0))
        )
    mixed = other.with_better(np.array([True, False, True]), one)
    assert mixed.cost.tolist() == [0, 1, 0]
    for row, source in ((0, one), (1, other), (2, one)):
        assert (mixed.joints[row] == source.joints[row]).all()
        assert (mixed.rig.log_focal[row] == source.rig.log_focal[row]).all()
        assert (mixed.rig.view_from_world[row] == source.rig.view_from_world[row]).all()
    if moves:
        assert mixed.rig.translation[:, 0, 0].tolist() == [1, 2, 1]
