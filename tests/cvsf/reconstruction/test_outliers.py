"""Left taken for right, and a view that shows another person."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from cvsf.multiview.reprojection import Cameras, Pixels, Real
from cvsf.multiview.residuals import BONE_SIGMA, LIFTER_SIGMA, bones_of, measures_of
from cvsf.multiview.rotation import turn
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.reconstruction.outliers import relabelled, rows_of_cameras, without_strangers
from cvsf.reconstruction.pose_solver import Stance, settle
from cvsf.skeleton import H36M_16
from train.batches.probe_inputs import STANDING

VIEWS, INSTANTS = 4, 5
BODY = np.array([STANDING[joint] for joint in H36M_16.joints])
BODY = BODY / mean_bone(BODY, H36M_16)


def joints() -> Real:
    """Somebody who walks past and turns a little at each instant; the mean bone is 1."""
    each = np.arange(INSTANTS)[:, None]
    turned = turn(each * np.array([0.0, 0.0, 0.3]))
    return np.asarray(BODY @ np.swapaxes(turned, 1, 2) + (each * [0.5, 0.0, 0.0])[:, None])


def cameras(views: int = VIEWS) -> Cameras:
    """Cameras all around that look at the walker."""
    angle = 2 * np.pi * np.arange(views) / views
    level = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    rotation = level @ turn(np.stack([0 * angle, 0 * angle, -angle], -1))
    return Cameras(
        view_from_world=np.asarray(rotation[None], float),
        centres=np.einsum("vji,j->vi", rotation, [0.0, 0.0, -25.0]),
        log_focal=np.full((1, views), np.log(1500.0)),
        centre_px=np.full((views, 2), 500.0),
        radial=np.zeros(views),
        delay_s=np.zeros(views),
    )


def pixels(seen_by: Cameras) -> Pixels:
    views = len(seen_by.centres)
    return Pixels(
        keypoints_px=seen_by.project(joints()),
        trust=np.random.default_rng(0).uniform(0.5, 1, (INSTANTS, views, len(H36M_16))),
        extent_px=np.full((INSTANTS, views), 300.0),
        noise=0.01,
    )


def settler(seen_by: Cameras, body: Real) -> tuple[Real, Stance]:
    """A first guess beside the truth, and what is known of the body."""
    bones = bones_of(H36M_16)
    stance = Stance(
        joint_set=H36M_16,
        bones=bones,
        lengths=measures_of(body, bones),
        body=body,
        bone_sigma=BONE_SIGMA,
        lifter_sigma=LIFTER_SIGMA,
    )
    return body + np.array([0.3, -0.2, 0.1]), stance


def test_left_and_right_exchanged_in_a_view_are_put_back_at_those_instants() -> None:
    other = list(H36M_16.mirrored)
    right = pixels(cameras())
    keypoints, trust = right.keypoints_px.copy(), right.trust.copy()
    keypoints[1:3, 2], trust[1:3, 2] = keypoints[1:3, 2][:, other], trust[1:3, 2][:, other]
    wrong = replace(right, keypoints_px=keypoints, trust=trust)
    found, changed = relabelled(wrong, cameras(), joints(), H36M_16)
    assert changed.tolist() == [False, True, True, False, False]
    assert (found.keypoints_px == right.keypoints_px).all()
    assert (found.trust == right.trust).all()


def test_a_pair_of_which_one_joint_was_not_seen_is_not_exchanged() -> None:
    other = list(H36M_16.mirrored)
    right = pixels(cameras())
    keypoints, trust = right.keypoints_px.copy(), right.trust.copy()
    keypoints[3, 0] = keypoints[3, 0][other]
    knee, wrist = H36M_16.index("lknee"), H36M_16.index("rwrist")
    trust[3, 0, [knee, wrist]] = 0
    found, changed = relabelled(
        replace(right, keypoints_px=keypoints, trust=trust), cameras(), joints(), H36M_16
    )
    assert changed.tolist() == [False, False, False, True, False]
    back = np.isclose(found.keypoints_px[3, 0], right.keypoints_px[3, 0]).all(-1)
    assert {H36M_16.joints[j] for j in np.flatnonzero(~back)} == {
        "lknee", "rknee", "lwrist", "rwrist",
    }  # fmt: skip


@pytest.mark.parametrize(("views", "left_out"), [(3, True), (2, False)])
def test_a_view_that_shows_another_person_gets_no_weight_where_there_are_three_views(
    views: int, left_out: bool
) -> None:
    around, body = cameras(views), joints()
    right = pixels(around)
    keypoints = right.keypoints_px.copy()
    keypoints[2, 1] = around.project(body + np.array([2.0, 0.0, 0.0]))[2, 1]
    seen = replace(right, keypoints_px=keypoints)
    first, stance = settler(around, body)

    def again(some: Pixels, rows: npt.NDArray[np.intp], guess: Real) -> tuple[Real, Real]:
        return settle(some, around, replace(stance, body=body[rows]), guess)

    settled = settle(seen, around, stance, first)
    found, (placed, deviation) = without_strangers(seen, around, settled, again)
    ignored = np.argwhere(~found.trust.any(-1)).tolist()
    assert ignored == ([[2, 1]] if left_out else [])
    if left_out:
        assert np.abs(settled[0][2] - body[2]).max() > 1
        assert np.abs(placed - body).max() < 0.05
        assert deviation[2].mean() > deviation[1].mean()  # of two views instead of three


def test_views_that_agree_are_all_kept() -> None:
    around, body = cameras(), joints()
    first, stance = settler(around, body)
    seen = pixels(around)
    settled = settle(seen, around, stance, first)

    def never(some: Pixels, rows: npt.NDArray[np.intp], guess: Real) -> tuple[Real, Real]:
        raise AssertionError("nothing had to be settled again")

    found, (placed, deviation) = without_strangers(seen, around, settled, never)
    assert found is seen
    assert placed is settled[0]
    assert deviation is settled[1]


def test_only_cameras_that_pan_have_rows_of_instants() -> None:
    still = cameras()
    rows = np.array([3, 1])
    assert rows_of_cameras(still, rows) is still
    focal = np.arange(INSTANTS * VIEWS, dtype=float).reshape(INSTANTS, VIEWS)
    turning = np.repeat(still.view_from_world, INSTANTS, 0)
    some = rows_of_cameras(replace(still, view_from_world=turning, log_focal=focal), rows)
    assert some.log_focal.tolist() == focal[[3, 1]].tolist()
    assert some.view_from_world.shape == (2, VIEWS, 3, 3)
    assert (some.centres == still.centres).all()
