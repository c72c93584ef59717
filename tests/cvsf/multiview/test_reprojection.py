"""What cameras see of joints, against the formula written out, and its derivatives."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import (
    delay_corrected,
    estimate_noise,
    median_reprojection_px,
    reprojection_cost,
    reprojection_residuals,
    weighted_keypoints,
)
from cvsf.multiview.rig import COLUMNS
from cvsf.skeleton import H36M_16
from tests.support.camera_ring import (
    COUNT,
    INSTANTS,
    VIEWS,
    changed,
    keypoints_for,
    ring,
    some_joints,
)


@pytest.mark.parametrize("column", range(COLUMNS))
def test_derivatives_by_the_cameras_are_those_of_the_projection(column: int) -> None:
    cameras, joints, by = ring(), some_joints(), 1e-6
    observed = keypoints_for(cameras, joints + 0.1)
    said = reprojection_residuals(observed, cameras, joints, with_cameras=True).by_camera
    assert said is not None
    for view in range(VIEWS):
        up, down = (
            reprojection_residuals(observed, changed(cameras, view, column, step), joints).residual
            for step in (by, -by)
        )
        wanted = ((up - down) / (2 * by))[:, view]
        assert np.allclose(said[:, view, ..., column], wanted, rtol=1e-5, atol=1e-4)


def test_derivatives_by_the_joints_are_those_of_the_projection() -> None:
    cameras, joints, by = ring(), some_joints(), 1e-6
    observed = keypoints_for(cameras, joints + 0.1)
    said = reprojection_residuals(observed, cameras, joints).by_joint
    for axis in range(3):
        step = by * np.eye(3)[axis]
        up, down = (
            reprojection_residuals(observed, cameras, joints + way * step).residual
            for way in (1, -1)
        )
        assert np.allclose(said[..., axis], (up - down) / (2 * by), rtol=1e-5, atol=1e-4)


def test_a_point_off_the_axis_is_projected_by_the_camera_model() -> None:
    cameras, point = ring(), np.array([0.5, -1.0, 2.0])
    joints = np.broadcast_to(point, (1, COUNT, 3))
    for view, k1 in enumerate(cameras.distortion[:, 0]):
        x, y, z = cameras.view_from_world[view] @ (point - cameras.centres[view])
        square = (x / z) ** 2 + (y / z) ** 2
        wanted = 1200 * (1 + k1 * square) * np.array([x, y]) / z + 500
        np.testing.assert_allclose(cameras.project(joints)[0, view, 0], wanted)


def test_a_late_camera_is_compared_where_its_keypoints_were_at_the_instant() -> None:
    cameras, joints = ring(), some_joints()
    observed = keypoints_for(cameras, joints)
    np.testing.assert_allclose(
        delay_corrected(observed, cameras), cameras.project(joints), atol=1e-9
    )
    assert np.abs(reprojection_residuals(observed, cameras, joints).residual).max() < 1e-9
    assert reprojection_cost(observed, cameras, joints).max() < 1e-12
    still = replace(observed, velocity_px_s=None)
    assert delay_corrected(still, cameras) is still.keypoints_px


def test_the_noise_of_gaussian_pixels_is_found_from_their_reprojection_error() -> None:
    cameras = replace(ring(), delay_s=np.zeros(VIEWS))
    joints = np.random.default_rng(1).normal(0, 2, (300, COUNT, 3))
    observed = replace(keypoints_for(cameras, joints), velocity_px_s=None)
    off = np.random.default_rng(2).normal(0, 0.02 * 300, observed.keypoints_px.shape)
    noisy = replace(observed, keypoints_px=observed.keypoints_px + off)
    free = np.sqrt(2 * VIEWS / (2 * VIEWS - 3))  # the joints are known here, and not sought
    assert estimate_noise(noisy, cameras, joints) == pytest.approx(0.02 * free, rel=0.03)


def test_the_median_reprojection_error_of_a_view_ignores_joints_that_were_not_seen() -> None:
    cameras = replace(ring(), delay_s=np.zeros(VIEWS))
    joints = some_joints()
    observed = replace(keypoints_for(cameras, joints), velocity_px_s=None)
    weight = np.ones_like(observed.weight)
    weight[:, 1, 4:] = 0
    weight[0, 2] = 0
    keypoints = observed.keypoints_px.copy()
    keypoints[:, 1, 0] += [3.0, 4.0]
    keypoints[:, 1, 1] += [0.0, 10.0]
    keypoints[:, 1, 4:] += 1e6
    found = median_reprojection_px(
        replace(observed, keypoints_px=keypoints, weight=weight), cameras, joints
    )
    np.testing.assert_allclose(found[:, 1], 2.5)  # of 0, 0, 5 and 10
    np.testing.assert_allclose(found[1:, [0, 2]], 0, atol=1e-9)
    assert np.isnan(found[0, 2])


def test_keypoints_weigh_by_squared_confidence_and_their_spread_gives_the_sigma() -> None:
    keypoints = np.full((2, 1, COUNT, 2), np.nan, np.float32)
    keypoints[:, 0, :4] = [[0, 0], [60, 0], [0, 80], [60, 80]]
    confidence = np.zeros((2, 1, COUNT), np.float32)
    confidence[0, 0, :4] = 0.5
    seen = LiftedObservations(
        joint_set=H36M_16,
        cameras=("cam0",),
        image_px=np.full((2, 1, 2), 1000, np.float32),
        t_s=np.arange(2.0),
        keypoints_px=keypoints,
        confidence=confidence,
        canonical=np.zeros((2, 1, COUNT, 3), np.float32),
        view_from_canonical=np.zeros((2, 1, 3, 3), np.float32),
    )
    observed = weighted_keypoints(seen, 0.01)
    assert observed.weight[0, 0].tolist() == [0.25] * 4 + [0.0] * (COUNT - 4)
    # the corners are 50 px from their middle; a person is three times the spread of their joints
    np.testing.assert_allclose(observed.extent_px, [[150.0], [1.0]])
    np.testing.assert_allclose(observed.sigma_px, [[1.5], [0.01]])
    np.testing.assert_allclose(observed.keypoints_px[0, 0, 4:], [[30.0, 40.0]] * (COUNT - 4))


def test_some_instants_of_pixels_keep_their_speeds() -> None:
    observed = keypoints_for(ring(), some_joints())
    some = observed.take(np.array([4, 1]))
    assert len(observed.weight) == INSTANTS
    assert some.velocity_px_s is not None
    assert observed.velocity_px_s is not None
    assert (some.velocity_px_s == observed.velocity_px_s[[4, 1]]).all()
    assert (some.extent_px == observed.extent_px[[4, 1]]).all()
    assert replace(observed, velocity_px_s=None).take(np.array([0])).velocity_px_s is None
