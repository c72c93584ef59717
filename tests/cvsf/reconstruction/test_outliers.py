"""Left taken for right, and a view that shows another person."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.multiview.reprojection import Real, WeightedKeypoints
from cvsf.multiview.rig import Rig, Rows
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.reconstruction.outliers import Solution, correct_side_swaps, reject_views
from cvsf.reconstruction.pose_solver import BodyPrior, solve, solve_with_rejection
from cvsf.skeleton import H36M_16
from tests.support.level_cameras import (
    body_prior_of,
    exact_keypoints,
    rig_around,
    standing_body,
)

VIEWS, INSTANTS = 4, 5
BODY = standing_body(symmetric=False)


def joints() -> Real:
    """Somebody who walks past and turns a little at each instant; the mean bone is 1."""
    each = np.arange(INSTANTS)[:, None]
    turned = rotation_from_vector(each * np.array([0.0, 0.0, 0.3]))
    return np.asarray(BODY @ np.swapaxes(turned, 1, 2) + (each * [0.5, 0.0, 0.0])[:, None])


def cameras(views: int = VIEWS) -> Rig:
    """Cameras all around that look at the walker."""
    return rig_around(2 * np.pi * np.arange(views) / views)


def keypoints_of(seen_by: Rig) -> WeightedKeypoints:
    exact = exact_keypoints(seen_by, joints())
    return replace(exact, weight=np.random.default_rng(0).uniform(0.5, 1, exact.weight.shape))


def first_guess(seen_by: Rig, body: Real) -> tuple[Real, BodyPrior]:
    """A first guess beside the truth, and what is known of the body."""
    return body + np.array([0.3, -0.2, 0.1]), body_prior_of(body, body)


def test_left_and_right_exchanged_in_a_view_are_put_back_at_those_instants() -> None:
    other = list(H36M_16.mirrored)
    right = keypoints_of(cameras())
    keypoints, weight = right.keypoints_px.copy(), right.weight.copy()
    keypoints[1:3, 2], weight[1:3, 2] = keypoints[1:3, 2][:, other], weight[1:3, 2][:, other]
    wrong = replace(right, keypoints_px=keypoints, weight=weight)
    found, changed = correct_side_swaps(wrong, cameras(), joints(), H36M_16)
    assert changed.tolist() == [False, True, True, False, False]
    assert (found.keypoints_px == right.keypoints_px).all()
    assert (found.weight == right.weight).all()


def test_a_pair_of_which_one_joint_was_not_seen_is_not_exchanged() -> None:
    other = list(H36M_16.mirrored)
    right = keypoints_of(cameras())
    keypoints, weight = right.keypoints_px.copy(), right.weight.copy()
    keypoints[3, 0] = keypoints[3, 0][other]
    knee, wrist = H36M_16.index("lknee"), H36M_16.index("rwrist")
    weight[3, 0, [knee, wrist]] = 0
    found, changed = correct_side_swaps(
        replace(right, keypoints_px=keypoints, weight=weight), cameras(), joints(), H36M_16
    )
    assert changed.tolist() == [False, False, False, True, False]
    back = np.isclose(found.keypoints_px[3, 0], right.keypoints_px[3, 0]).all(-1)
    assert {H36M_16.joints[j] for j in np.flatnonzero(~back)} == {
        "lknee", "rknee", "lwrist", "rwrist",
    }  # fmt: skip


@pytest.mark.parametrize(("limb", "apart_deg"), [(0, 40), (1, 40), (0, 140)])
def test_arms_or_legs_exchanged_in_one_of_two_views_are_put_back(
    limb: int, apart_deg: float
) -> None:
    part = H36M_16.limbs[limb]
    around, body = rig_around(np.array([0.3, 0.3 + np.deg2rad(apart_deg)])), joints()
    right = keypoints_of(around)
    keypoints = right.keypoints_px.copy()
    keypoints[1:3, 1, part] = keypoints[1:3, 1][:, [H36M_16.mirrored[joint] for joint in part]]
    seen = replace(right, keypoints_px=keypoints)
    prior = body_prior_of(body, body)
    wrong, _ = solve(seen, around, prior, body)
    found, (found_joints, _) = solve_with_rejection(seen, around, prior)
    assert np.abs(wrong - body)[1:3].max() > 0.1
    assert np.abs(found_joints - body).max() < 0.05
    assert (found.keypoints_px == right.keypoints_px).all()


@pytest.mark.parametrize(("views", "left_out"), [(3, True), (2, False)])
def test_a_view_that_shows_another_person_gets_no_weight_where_there_are_three_views(
    views: int, left_out: bool
) -> None:
    around, body = cameras(views), joints()
    right = keypoints_of(around)
    keypoints = right.keypoints_px.copy()
    keypoints[2, 1] = around.project(body + np.array([2.0, 0.0, 0.0]))[2, 1]
    seen = replace(right, keypoints_px=keypoints)
    first, prior = first_guess(around, body)

    def again(some: WeightedKeypoints, rows: Rows, guess: Real) -> Solution:
        return solve(some, around, replace(prior, body=body[rows]), guess)

    solution = solve(seen, around, prior, first)
    found, (found_joints, deviation) = reject_views(seen, around, solution, again)
    ignored = np.argwhere(~found.weight.any(-1)).tolist()
    assert ignored == ([[2, 1]] if left_out else [])
    if left_out:
        assert np.abs(solution[0][2] - body[2]).max() > 1
        assert np.abs(found_joints - body).max() < 0.05
        assert deviation[2].mean() > deviation[1].mean()  # of two views instead of three


def test_views_that_agree_are_all_kept() -> None:
    around, body = cameras(), joints()
    first, prior = first_guess(around, body)
    seen = keypoints_of(around)
    solution = solve(seen, around, prior, first)

    def never(some: WeightedKeypoints, rows: Rows, guess: Real) -> Solution:
        raise AssertionError("nothing had to be solved again")

    found, (found_joints, deviation) = reject_views(seen, around, solution, never)
    assert found is seen
    assert found_joints is solution[0]
    assert deviation is solution[1]


def test_only_cameras_that_pan_have_rows_of_instants() -> None:
    still = cameras()
    rows = np.array([3, 1])
    assert still.rows(rows) is still
    focal = np.arange(INSTANTS * VIEWS, dtype=float).reshape(INSTANTS, VIEWS) + 1
    turning = replace(
        still,
        view_from_world=np.repeat(still.view_from_world[None], INSTANTS, 0),
        translation=np.repeat(still.translation[None], INSTANTS, 0),
        focal_px=focal,
    )
    some = turning.rows(rows)
    assert some.focal_px.tolist() == focal[[3, 1]].tolist()
    assert some.view_from_world.shape == (2, VIEWS, 3, 3)
    assert (some.centres == still.centres).all()
