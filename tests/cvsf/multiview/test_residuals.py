"""The evidence for joints: bones, pixels and a lifted pose in the normal equations."""

import numpy as np
import pytest

from cvsf.multiview.reprojection import reprojection_residuals
from cvsf.multiview.residuals import (
    POSE_CAUCHY,
    add_bones,
    add_lifted,
    add_reprojection,
    bone_residuals,
    bones_of,
    empty_normal,
    lifted_cost,
    lifted_target,
    measures_of,
)
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.skeleton import H36M_16
from tests.support.camera_ring import COUNT, INSTANTS, keypoints_for, ring, some_joints


def test_left_and_right_bones_share_one_measure() -> None:
    bones = bones_of(H36M_16)
    measure = {child: bones.measure[b] for b, (_, child) in enumerate(H36M_16.bones)}
    for left, right in (("lknee", "rknee"), ("lankle", "rankle"), ("lwrist", "rwrist")):
        assert measure[H36M_16.index(left)] == measure[H36M_16.index(right)]
    assert measure[H36M_16.index("lknee")] != measure[H36M_16.index("lankle")]
    assert bones.measures == len(set(measure.values()))


def test_the_measures_of_a_body_are_its_median_bone_lengths_with_a_mean_bone_of_1() -> None:
    bones, joints = bones_of(H36M_16), some_joints()
    joints[:] = joints[0]
    joints[-1] *= 50  # one instant of six is wrong
    found = measures_of(joints, bones)[bones.measure]
    assert found.mean() == pytest.approx(1)
    length = np.linalg.norm(bones.incidence @ joints[0], axis=-1)
    pair = [b for b, (_, child) in enumerate(H36M_16.bones) if H36M_16.joints[child][1:] == "knee"]
    assert found[pair] == pytest.approx(length[pair].mean() / length.mean())


def test_the_pull_of_bones_equals_the_slope_of_their_cost() -> None:
    bones, joints = bones_of(H36M_16), some_joints()
    lengths = measures_of(joints, bones)
    extra, direction = bone_residuals(bones, lengths, joints)
    np.testing.assert_allclose(
        extra + lengths[bones.measure], np.linalg.norm(bones.incidence @ joints, axis=-1)
    )
    np.testing.assert_allclose(np.linalg.norm(direction, axis=-1), 1)
    normal = empty_normal(INSTANTS, COUNT)
    residual, _ = add_bones(normal, bones, lengths, joints, 0.06)
    step, by = np.random.default_rng(0).normal(size=joints.shape), 1e-6
    up, down = (
        np.square(bone_residuals(bones, lengths, joints + s * step)[0] / 0.06).sum()
        for s in (by, -by)
    )
    slope = -2 * (normal.right * step.reshape(INSTANTS, -1)).sum()
    assert (up - down) / (2 * by) == pytest.approx(slope, rel=1e-5)
    np.testing.assert_allclose(residual, extra / 0.06)


def test_exact_pixels_do_not_pull_and_pixels_beside_the_joints_pull_them_back() -> None:
    cameras, joints = ring(), some_joints()
    pixels = keypoints_for(cameras, joints)
    exact, beside = empty_normal(INSTANTS, COUNT), empty_normal(INSTANTS, COUNT)
    add_reprojection(exact, reprojection_residuals(pixels, cameras, joints))
    assert np.abs(exact.right).max() < 1e-6
    off = joints + 0.01
    add_reprojection(beside, reprojection_residuals(pixels, cameras, off, robust=False))
    step = np.linalg.solve(beside.matrix, beside.right[..., None])[..., 0]
    np.testing.assert_allclose(off + step.reshape(off.shape), joints, atol=1e-4)


def test_a_lifted_pose_that_is_only_turned_and_moved_neither_costs_nor_pulls() -> None:
    joints = some_joints()
    body = joints @ rotation_from_vector(np.array([0.3, -1.0, 2.0])).T + [5.0, 6.0, 7.0]
    target = lifted_target(body, joints)
    np.testing.assert_allclose(target, joints, atol=1e-9)
    assert lifted_cost(target, joints, 0.25).max() < 1e-12
    normal = empty_normal(INSTANTS, COUNT)
    add_lifted(normal, target, joints, 0.25)
    assert np.abs(normal.right).max() < 1e-6
    shift = np.tile([1.0, 2.0, 3.0], COUNT)
    assert np.abs(normal.matrix @ shift).max() < 1e-9  # where the body stands is left open


def test_a_lifted_pose_that_is_wrong_as_a_whole_counts_by_the_logarithm() -> None:
    joints = some_joints()
    for off in (1.0, 1000.0):
        target = joints.copy()
        target[:, 3, 0] += 0.25 * off
        wanted = POSE_CAUCHY * np.log1p(off**2 / POSE_CAUCHY)
        np.testing.assert_allclose(lifted_cost(target, joints, 0.25), wanted)
