"""Joints from pixels, bones and a lifted pose, with cameras that are known."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import Real, WeightedKeypoints
from cvsf.multiview.residuals import BONE_SIGMA
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import angle_between, rotation_from_vector
from cvsf.reconstruction.pose_solver import (
    BodyPrior,
    body_in_world,
    body_prior,
    estimate_roots,
    solve,
    solve_with_rejection,
)
from cvsf.skeleton import H36M_16
from tests.support.level_cameras import (
    body_prior_of,
    exact_keypoints,
    rig_around,
    standing_body,
)

VIEWS, INSTANTS, COUNT = 4, 4, len(H36M_16)
BODY = standing_body(symmetric=True)
TURNED = rotation_from_vector(np.outer(np.arange(INSTANTS), [0.1, 0.0, 0.4]))
JOINTS = BODY @ np.swapaxes(TURNED, 1, 2) + np.outer(np.arange(INSTANTS), [0.6, -0.3, 0.0])[:, None]


def cameras(views: int = VIEWS) -> Rig:
    """The first of four cameras all around."""
    return rig_around(2 * np.pi * np.arange(views) / VIEWS)


def keypoints_of(seen_by: Rig) -> WeightedKeypoints:
    return exact_keypoints(seen_by, JOINTS)


def prior(body: Real, unit: float = 1.0) -> BodyPrior:
    return body_prior_of(body, BODY[None], unit)


def test_exact_pixels_and_an_exact_lifted_pose_give_exact_joints() -> None:
    body = JOINTS - JOINTS[:, :1]
    left, (joints, deviation) = solve_with_rejection(
        keypoints_of(cameras()), cameras(), prior(body)
    )
    np.testing.assert_allclose(joints, JOINTS, atol=1e-5)
    assert (left.weight == 1).all()
    again, _ = solve(keypoints_of(cameras()), cameras(), prior(body), JOINTS + 1.0)
    np.testing.assert_allclose(again, JOINTS, atol=1e-5)
    assert (deviation > 0).all()


def test_pixels_of_four_views_overrule_a_wrong_lifted_pose() -> None:
    body = JOINTS - JOINTS[:, :1]
    wrong = body + np.random.default_rng(0).normal(0, 0.3, body.shape)
    _, (joints, _) = solve_with_rejection(keypoints_of(cameras()), cameras(), prior(wrong))
    off = np.linalg.norm(joints - JOINTS, axis=-1)
    assert np.linalg.norm(wrong - body, axis=-1).mean() > 0.4
    assert off.mean() < 0.03
    assert off.max() < 0.1


def test_a_joint_that_no_view_saw_is_placed_by_bones_and_the_lifted_pose() -> None:
    body = JOINTS - JOINTS[:, :1]
    wrist = H36M_16.index("lwrist")
    seen = keypoints_of(cameras())
    seen.weight[:, :, wrist] = 0
    joints, deviation = solve(seen, cameras(), prior(body), JOINTS + 0.2)
    np.testing.assert_allclose(joints[:, wrist], JOINTS[:, wrist], atol=0.01)
    assert (deviation[:, wrist] > 3 * np.delete(deviation, wrist, 1).max(1)).all()


def test_a_world_twice_as_large_has_joints_and_deviations_twice_as_large() -> None:
    seen, body, here = keypoints_of(cameras()), JOINTS - JOINTS[:, :1], cameras()
    there = replace(here, translation=2 * here.translation)
    first = JOINTS + np.random.default_rng(1).normal(0, 0.1, JOINTS.shape)
    joints, deviation = solve(seen, here, prior(body), first)
    joints_2, deviation_2 = solve(seen, there, prior(body, 2.0), 2 * first)
    np.testing.assert_allclose(joints_2, 2 * joints, atol=1e-6)
    np.testing.assert_allclose(deviation_2, 2 * deviation, rtol=1e-6)


def test_two_more_views_make_every_deviation_smaller() -> None:
    body = JOINTS - JOINTS[:, :1]
    by_two, by_four = (
        solve(keypoints_of(cameras(views)), cameras(views), prior(body), JOINTS)[1]
        for views in (2, 4)
    )
    assert (by_four < by_two).all()


def test_the_root_of_a_body_is_placed_where_the_rays_cross() -> None:
    body = JOINTS - JOINTS[:, :1]
    found = estimate_roots(keypoints_of(cameras()), cameras(), body)
    assert np.linalg.norm(found - JOINTS[:, 0], axis=-1).max() < 0.15  # of 25 bones; no iteration
    one = estimate_roots(keypoints_of(cameras(1)), cameras(1), body)
    assert np.linalg.norm(one - JOINTS[:, 0], axis=-1).max() < 2.5  # its size alone tells how far
    too_large = estimate_roots(keypoints_of(cameras(2)), cameras(2), 1.2 * body)
    assert np.linalg.norm(too_large - JOINTS[:, 0], axis=-1).max() < 0.5  # some 5 by its size


def test_a_lifted_pose_is_turned_into_the_world_by_the_average_of_the_views() -> None:
    view_from_world = cameras().view_from_world
    says = view_from_world @ TURNED[:, None]
    wrong = says.copy()
    wrong[:, 1] = rotation_from_vector(np.array([0.0, 0.4, 0.0])) @ wrong[:, 1]
    confidence = np.ones((INSTANTS, VIEWS, COUNT), np.float32)
    seen = LiftedObservations(
        joint_set=H36M_16,
        cameras=tuple(f"cam{view}" for view in range(VIEWS)),
        image_px=np.full((INSTANTS, VIEWS, 2), 1000, np.float32),
        t_s=np.arange(INSTANTS) / 15,
        keypoints_px=keypoints_of(cameras()).keypoints_px.astype(np.float32),
        confidence=confidence,
        canonical=np.broadcast_to(0.2 * BODY, (INSTANTS, VIEWS, COUNT, 3)).astype(np.float32),
        view_from_canonical=says.astype(np.float32),
    )
    wanted = BODY @ np.swapaxes(TURNED, 1, 2)
    np.testing.assert_allclose(body_in_world(seen, view_from_world), wanted, atol=1e-5)
    confidence[:, 1] = 0.01
    doubted = replace(seen, view_from_canonical=wrong.astype(np.float32))
    np.testing.assert_allclose(body_in_world(doubted, view_from_world), wanted, atol=0.02)
    in_metres = body_prior(seen, view_from_world, 0.25 * prior(BODY[None]).lengths)
    np.testing.assert_allclose(in_metres.body, 0.25 * wanted, atol=1e-5)
    assert in_metres.bone_sigma == pytest.approx(0.25 * BONE_SIGMA, rel=1e-3)
    assert angle_between(TURNED[1], TURNED[0]) > 20  # the bodies are not all turned alike
