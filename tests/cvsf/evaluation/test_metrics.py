"""Errors against a truth, and figures that need none."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cvsf.evaluation.metrics import (
    auc,
    bone_stability,
    jdr,
    mean_velocity_error,
    mpjpe,
    multiview_agreement,
    n_mpjpe,
    n_pck,
    p_mpjpe,
    pck,
)
from cvsf.skeleton import H36M_16

RANDOM = np.random.default_rng(5)
TRUTH = RANDOM.normal(0, 400, (6, len(H36M_16), 3))


def test_a_pose_that_is_only_moved_has_no_error() -> None:
    np.testing.assert_allclose(mpjpe(TRUTH + np.array([10, -20, 300]), TRUTH), 0, atol=1e-9)


def test_a_pose_of_another_size_has_an_error_only_without_scaling() -> None:
    assert (mpjpe(1.2 * TRUTH, TRUTH) > 10).all()
    np.testing.assert_allclose(n_mpjpe(0.003 * TRUTH, TRUTH), 0, atol=1e-9)
    np.testing.assert_allclose(n_pck(0.003 * TRUTH, TRUTH), 1)
    np.testing.assert_allclose(auc(0.003 * TRUTH, TRUTH)[0], 1, atol=0.04)


def test_the_procrustes_error_ignores_a_rotation_but_not_a_mirror() -> None:
    turn = Rotation.from_euler("xyz", [20, 100, -40], degrees=True).as_matrix()
    np.testing.assert_allclose(p_mpjpe(0.1 * TRUTH @ turn + 7, TRUTH), 0, atol=1e-6)
    assert (p_mpjpe(TRUTH * [1, 1, -1], TRUTH) > 50).all()


def test_joints_without_a_truth_are_left_out() -> None:
    holey = TRUTH.copy()
    holey[:, 7] = np.nan
    wrong = TRUTH.copy()
    wrong[:, 7] += 1000
    for error in (mpjpe, n_mpjpe, p_mpjpe):
        np.testing.assert_allclose(error(wrong, holey), 0, atol=1e-6)
    np.testing.assert_allclose(pck(wrong, holey), 1)


def test_a_joint_counts_as_detected_within_half_a_head() -> None:
    truth = np.zeros((1, 1, 3, 2))
    found = truth + np.array([[0, 0], [9, 0], [11, 0]])
    seen = np.ones((1, 1, 3), bool)
    np.testing.assert_allclose(jdr(found, truth, np.full((1, 1), 20.0), seen), [1, 1, 0])


def test_the_velocity_error_ignores_a_constant_offset() -> None:
    assert mean_velocity_error(TRUTH + 50, TRUTH) == pytest.approx(0, abs=1e-9)
    assert mean_velocity_error(TRUTH[::-1], TRUTH) > 100


def test_equal_views_have_no_disagreement_and_an_unseen_view_does_not_count() -> None:
    same = np.repeat(TRUTH[:, None], 3, 1)
    confidence = np.ones(same.shape[:-1])
    np.testing.assert_allclose(multiview_agreement(same, confidence), 0, atol=1e-9)
    same[:, 1] = 1e6
    confidence[:, 1] = 0
    np.testing.assert_allclose(multiview_agreement(same, confidence), 0, atol=1e-9)
    confidence[:, 1] = 1
    assert (multiview_agreement(same, confidence) > 0.5).all()


def test_bones_of_constant_length_have_no_instability() -> None:
    turns = Rotation.random(6, rng=1).as_matrix()
    np.testing.assert_allclose(bone_stability(TRUTH[:1] @ turns, H36M_16), 0, atol=1e-9)
    assert bone_stability(TRUTH, H36M_16).mean() > 0.1
