"""Cameras and skeletons shifted together: the pixels stay, the world stands still."""

from dataclasses import replace

import numpy as np

from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.reconstruction.steady_world import steady_world
from tests.support.made_calibration import calibration_of, made_rig
from tests.support.stepping import Real, walk, wandering

T_S = np.arange(240) / 30


def placed(joints: Real) -> Reconstruction:
    return Reconstruction(
        joints=joints,
        deviation=np.zeros(joints.shape[:2]),
        views_seen=np.full(joints.shape[:2], 3),
        residual_share=np.zeros((len(joints), 3)),
    )


def test_pixels_stay_and_the_walk_gets_its_true_length() -> None:
    true = walk(T_S)
    stretched = true + 0.15 * (true.mean(1, keepdims=True) - true[0].mean(0)) * [1, 1, 0]
    wrong = stretched + wandering(T_S, 0.1)[:, None]
    found = calibration_of(made_rig(instants=len(T_S)))
    steady, moved = steady_world(found, placed(wrong), T_S)
    np.testing.assert_allclose(
        steady.rig.project(moved.joints), found.rig.project(wrong), rtol=1e-9, atol=1e-6
    )
    np.testing.assert_array_equal(steady.rig.view_from_world, found.rig.view_from_world)
    lengths = [np.linalg.norm(np.ptp(j.mean(1), axis=0)) for j in (true, wrong, moved.joints)]
    assert abs(lengths[2] / lengths[0] - 1) < 0.5 * abs(lengths[1] / lengths[0] - 1)
    np.testing.assert_allclose(moved.joints[:10].mean((0, 1)), wrong[:10].mean((0, 1)), atol=1e-9)
    assert steady.world_drift_mm is not None
    assert 2 < steady.world_drift_mm < 100


def test_feet_that_never_stand_leave_more_drift_to_state() -> None:
    found = calibration_of(made_rig(instants=len(T_S)))
    glide = walk(np.zeros_like(T_S)) + np.stack([1.2 * T_S, 0 * T_S, 0 * T_S], -1)[:, None]
    drifts = [steady_world(found, placed(j), T_S)[0].world_drift_mm for j in (walk(T_S), glide)]
    assert drifts[0] is not None
    assert drifts[1] is not None
    assert drifts[0] < drifts[1]


def test_still_cameras_and_scattered_instants_stay_as_they_were() -> None:
    still, skeletons = calibration_of(made_rig()), placed(walk(T_S))
    assert steady_world(still, skeletons, T_S) == (still, skeletons)
    panning = calibration_of(made_rig(instants=len(T_S)))
    assert steady_world(panning, skeletons, 100 * T_S) == (panning, skeletons)
    assert replace(panning).world_drift_mm is None
