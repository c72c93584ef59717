"""A self-calibrated session against the truth, on worlds whose answers are known."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Rig
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.skeleton import H36M_16
from tests.support.made_calibration import calibration_of
from train.batches.probe_inputs import STANDING
from train.evaluation.calibration_errors import (
    Errors,
    bone_spread_mm,
    camera_errors,
    errors,
    errors_of_rig,
    limit,
    mean_of_canonical,
    reprojection_px,
    similarity,
)

FRAMES, VIEWS, JOINTS, FOCAL = 4, 3, len(H36M_16), 900.0
CENTRE = np.array([640.0, 360.0])
RANDOM = np.random.default_rng(5)

Real = npt.NDArray[np.float64]


def world_mm() -> Real:
    """A body (N, J, 3) that stands, trembles and walks, z up."""
    still = 1000 * np.array([STANDING[joint] for joint in H36M_16.joints])
    walk = np.arange(FRAMES)[:, None, None] * [300.0, 100, 0]
    return np.asarray(still + walk + np.random.default_rng(1).normal(0, 30, (FRAMES, JOINTS, 3)))


def cameras() -> tuple[Real, Real]:
    """Rotations (V, 3, 3) and shifts (V, 3) in mm of cameras around the body."""
    level = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    turns = Rotation.from_euler("z", np.array([0.0, 100, 230])[:, None], degrees=True).as_matrix()
    return level @ turns, np.tile([0.0, 0, 5000], (VIEWS, 1))


def in_views() -> Real:
    turn, shift = cameras()
    return np.asarray(np.einsum("vij,nkj->nvki", turn, world_mm()) + shift[:, None])


def truth() -> GroundTruth:
    (turn, shift), local = cameras(), in_views()
    every = np.broadcast_to(turn, (FRAMES, VIEWS, 3, 3)), np.broadcast_to(shift, (FRAMES, VIEWS, 3))
    return GroundTruth(
        joints_mm=local,
        rig=Rig(
            cameras=("a", "b", "c"),
            image_px=np.tile([1280.0, 720], (VIEWS, 1)),
            view_from_world=every[0],
            translation=every[1],
            focal_px=np.full((FRAMES, VIEWS), FOCAL),
            centre_px=np.tile(CENTRE, (VIEWS, 1)),
            distortion=np.zeros((VIEWS, 5)),
            delay_s=np.zeros(VIEWS),
        ),
        undistorted_px=FOCAL * local[..., :2] / local[..., 2:] + CENTRE,
    )


def observations(**changed: Any) -> LiftedObservations:
    local = in_views()
    seen = LiftedObservations(
        joint_set=H36M_16,
        cameras=("a", "b", "c"),
        image_px=np.full((FRAMES, VIEWS, 2), (1280, 720), np.float32),
        t_s=np.arange(FRAMES) / 10,
        keypoints_px=(FOCAL * local[..., :2] / local[..., 2:] + CENTRE).astype(np.float32),
        confidence=np.ones((FRAMES, VIEWS, JOINTS), np.float32),
        canonical=np.zeros((FRAMES, VIEWS, JOINTS, 3), np.float32),
        view_from_canonical=np.tile(np.eye(3, dtype=np.float32), (FRAMES, VIEWS, 1, 1)),
    )
    return replace(seen, **changed)


def found(tilt_deg: float = 0.0, focal: float = FOCAL) -> tuple[Calibration, Reconstruction]:
    """The true cameras and bodies in metres, in a world that is tilted and elsewhere."""
    turn, shift = cameras()
    rig = Rig(
        cameras=("a", "b", "c"),
        image_px=np.tile([1280.0, 720], (VIEWS, 1)),
        view_from_world=turn,
        translation=shift,
        focal_px=np.full(VIEWS, focal),
        centre_px=np.tile(CENTRE, (VIEWS, 1)),
        distortion=np.zeros((VIEWS, 5)),
        delay_s=np.zeros(VIEWS),
    )
    tilt = Rotation.from_euler("x", tilt_deg, degrees=True).as_matrix()
    away = np.array([3.0, -1, 2])
    joints = 0.001 * world_mm() @ tilt.T + away
    return (
        calibration_of(rig.transformed(tilt, away, 0.001), instants=FRAMES),
        Reconstruction(
            joints=joints,
            deviation=np.zeros((FRAMES, JOINTS)),
            views_seen=np.full((FRAMES, JOINTS), VIEWS),
            residual_share=np.zeros((FRAMES, VIEWS)),
        ),
    )


def test_a_skeleton_of_another_size_and_place_is_no_error() -> None:
    off = errors(0.3 * in_views() + [10.0, -5, 2], observations(), truth())
    assert off.count == FRAMES * VIEWS
    assert off.n_mm == pytest.approx(0, abs=1e-6)
    assert off.p_mm == pytest.approx(0, abs=1e-6)


def test_a_turned_skeleton_is_an_error_before_the_best_similarity_and_none_after() -> None:
    turn = Rotation.from_euler("z", 40, degrees=True).as_matrix()
    off = errors(in_views() @ turn.T, observations(), truth())
    assert off.n_mm / off.count > 100
    assert off.p_mm == pytest.approx(0, abs=1e-6)


def test_an_instant_that_one_view_alone_saw_does_not_count() -> None:
    confidence = np.ones((FRAMES, VIEWS, JOINTS), np.float32)
    confidence[0, 1:], confidence[1, 2] = 0, 0
    seen, real = observations(confidence=confidence), truth()
    for known in (real, replace(real, rig=None)):
        assert errors(in_views(), seen, known).count == 2 + 2 * VIEWS


def test_joints_that_do_not_count_or_are_not_known_add_nothing() -> None:
    wrong, real = in_views(), truth()
    wrong[:, :, 9] += 500
    assert errors(wrong, observations(), real).n_mm > 100
    some = replace(real, scored=tuple(j for j in range(JOINTS) if j != 9))
    assert errors(wrong, observations(), some).n_mm == pytest.approx(0, abs=1e-6)
    assert real.joints_mm is not None
    real.joints_mm[:, :, 9] = np.nan
    assert errors(wrong, observations(), real).n_mm == pytest.approx(0, abs=1e-6)


def test_a_joint_that_was_not_given_counts_as_if_it_were_at_the_root() -> None:
    lost, rooted = in_views(), in_views()
    lost[:, :, 9] = np.nan
    rooted[:, :, 9] = rooted[:, :, 0]
    assert errors(lost, observations(), truth()) == errors(rooted, observations(), truth())


def test_errors_of_sessions_are_pooled_by_what_counted() -> None:
    both = Errors(n_mm=30.0, p_mm=20.0, count=1) + Errors(n_mm=30.0, p_mm=10.0, count=2)
    assert both.means == {"n_mpjpe_mm": 20.0, "p_mpjpe_mm": 10.0}
    nothing = Errors(n_mm=0.0, p_mm=0.0, count=0)
    assert nothing.means == {"n_mpjpe_mm": None, "p_mpjpe_mm": None}


def test_with_exact_pixels_true_cameras_give_the_true_skeletons() -> None:
    best = limit(observations(), truth())
    assert best is not None
    assert best.n_mm / best.count < 0.1
    assert limit(observations(), replace(truth(), rig=None)) is None


def test_a_rig_in_a_tilted_world_has_no_error_but_its_tilt() -> None:
    calibration, reconstruction = found(tilt_deg=20)
    ours = errors_of_rig(observations(), calibration.rig, reconstruction, truth())
    assert ours.n_mm / ours.count == pytest.approx(0, abs=1e-6)
    facts = camera_errors(calibration.rig, reconstruction, truth())
    np.testing.assert_allclose(facts["focal"], 0, atol=1e-9)
    assert facts["centre"] == pytest.approx(0, abs=1e-9)
    assert facts["size_mm"] == pytest.approx(1000)
    np.testing.assert_allclose(facts["centres"], 0, atol=1e-9)
    np.testing.assert_allclose(facts["rotation_deg"], np.zeros(3), atol=1e-5)  # of three pairs
    assert facts["up_deg"] == pytest.approx(20)
    np.testing.assert_allclose(facts["true_centres"], calibration.rig.centres, atol=1e-9)


def test_a_camera_that_is_turned_and_moved_is_off_in_its_pairs_and_its_place_alone() -> None:
    calibration, reconstruction = found(tilt_deg=20)
    turn = Rotation.from_rotvec([0, np.radians(2), 0]).as_matrix()
    rotation, centres = calibration.rig.view_from_world.copy(), calibration.rig.centres
    rotation[1] = turn @ rotation[1]
    centres[1, 2] += 0.1
    shift = -np.einsum("vij,vj->vi", rotation, centres)
    wrong = replace(calibration.rig, view_from_world=rotation, translation=shift)
    facts = camera_errors(wrong, reconstruction, truth())
    np.testing.assert_allclose(facts["rotation_deg"], [2, 0, 2], atol=1e-5)  # 01, 02, 12
    apart = np.linalg.norm(calibration.rig.centres[:, None] - calibration.rig.centres, axis=-1)
    np.testing.assert_allclose(facts["centres"], [0, 0.1 / apart.max(), 0], atol=1e-9)
    assert facts["centre"] == pytest.approx(facts["centres"].mean())


def test_a_wrong_focal_length_is_reported_as_a_share_and_raises_the_reprojection_error() -> None:
    calibration, reconstruction = found(focal=1.1 * FOCAL)
    assert camera_errors(calibration.rig, reconstruction, truth())["focal"] == pytest.approx(
        [0.1] * VIEWS
    )
    px = reprojection_px(observations(), calibration, reconstruction, truth())
    away = np.linalg.norm(truth().undistorted_px - CENTRE, axis=-1)
    assert px["self_calibrated"] == pytest.approx(0.1 * np.median(away), rel=1e-4)
    assert px["true_cameras"] < 0.01


def test_limbs_that_keep_their_length_have_no_spread() -> None:
    _, reconstruction = found()
    real = truth()
    still = np.repeat(reconstruction.joints[:1], FRAMES, axis=0)
    spread = bone_spread_mm(replace(reconstruction, joints=still), real, 1000.0)
    assert set(spread) == {"thigh", "shin", "upper_arm"}
    pose = world_mm()
    shin = [
        np.std(
            np.linalg.norm(
                pose[:, H36M_16.index(f"{s}knee")] - pose[:, H36M_16.index(f"{s}ankle")], axis=-1
            )
        )
        for s in "lr"
    ]
    assert spread["shin"]["self_calibrated"] == pytest.approx(0, abs=1e-9)
    assert spread["shin"]["truth"] == pytest.approx(np.mean(shin))


def test_a_similarity_is_recovered_despite_outliers() -> None:
    source = RANDOM.normal(0, 1, (60, 3))
    turn = Rotation.from_rotvec([0.3, -1.0, 0.6]).as_matrix()
    target = 2.5 * source @ turn.T + [1.0, 2, 3] + RANDOM.normal(0, 0.01, source.shape)
    target[:6] += 4.0
    size, rotation, shift = similarity(source, target)
    assert size == pytest.approx(2.5, rel=0.01)
    np.testing.assert_allclose(rotation, turn, atol=0.01)
    np.testing.assert_allclose(shift, [1, 2, 3], atol=0.02)


def test_lifted_poses_are_averaged_by_confidence() -> None:
    canonical = np.zeros((FRAMES, VIEWS, JOINTS, 3), np.float32)
    canonical[:, 1], canonical[:, 2] = 4.0, 100.0
    confidence = np.zeros((FRAMES, VIEWS, JOINTS), np.float32)
    confidence[:, 0], confidence[:, 1] = 0.25, 0.75
    found = mean_of_canonical(observations(canonical=canonical, confidence=confidence))
    np.testing.assert_allclose(found, 3.0, rtol=1e-5)
