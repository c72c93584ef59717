"""What an adjustment found, as a calibration in the first camera's axes."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.degeneracy import CORRELATION_FACTOR
from cvsf.calibration.result import LEAST_NOISE, CameraDeviations, calibration_result
from cvsf.multiview.body import Body
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.reprojection import Real, WeightedKeypoints
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.skeleton import H36M_16
from tests.support.level_cameras import bent, exact_keypoints, rotations_around

VIEWS, INSTANTS, COUNT = 3, 40, len(H36M_16)
JOINTS = np.random.default_rng(0).normal(0, 2, (INSTANTS, COUNT, 3))
LENGTHS = np.linspace(0.5, 1.5, len(H36M_16.bones))
DEVIATIONS = CameraDeviations(
    rotation=np.array([0.0, 0.01, 0.02]),
    centre=np.array([0.0, 0.1, 0.2]),
    log_focal=np.array([0.01, 0.02, 0.03]),
)


def cameras(rows: int = 1) -> Rig:
    """Cameras all around, 20 bones away; with many rows they turn and zoom."""
    rotation = rotations_around(2 * np.pi * np.arange(VIEWS) / VIEWS + 0.4)
    sway = np.sin(np.arange(rows))[:, None, None] * [0.0, 0.02, 0.0]
    focal = 1200.0 * np.exp(0.1 * sway[..., 1]) * np.ones(VIEWS)
    rig = Rig.pinhole(
        ("left", "middle", "right"),
        np.full((VIEWS, 2), 1000.0),
        view_from_world=rotation_from_vector(sway) @ rotation,
        centres=np.einsum("vji,j->vi", rotation, [0.0, 0.0, -20.0]),
        focal_px=focal,
    )
    rig = replace(rig, distortion=bent([0.01, 0.0, -0.02]), delay_s=np.array([0.0, 0.02, 0.0]))
    return rig.rows(0) if rows == 1 else rig


def seen(by: Rig, noise_share: float) -> WeightedKeypoints:
    exact = exact_keypoints(by, JOINTS)
    noise = np.random.default_rng(1).normal(0, noise_share * 300.0, exact.keypoints_px.shape)
    return replace(exact, keypoints_px=exact.keypoints_px + noise)


def result(by: Rig, keypoints: WeightedKeypoints) -> Calibration:
    body = Body(joint_set=H36M_16, bones=LENGTHS)
    return calibration_result(keypoints, by, JOINTS, body, DEVIATIONS, instants=INSTANTS)


def in_first(by: Rig) -> Real:
    """The joints in the axes of the first camera at the first instant."""
    return by.rows(0).in_views(JOINTS)[:, 0]


@pytest.mark.parametrize("rows", [1, INSTANTS])
def test_the_rig_sees_the_same_pixels_with_its_first_camera_at_the_origin(rows: int) -> None:
    by = cameras(rows)
    found = result(by, seen(by, 0.0))
    assert found.rig.is_panning == (rows > 1)
    np.testing.assert_allclose(found.rig.project(in_first(by)), by.project(JOINTS), atol=1e-6)
    np.testing.assert_allclose(found.rig.centres.reshape(-1, VIEWS, 3)[:, 0], 0, atol=1e-9)
    first = found.rig.view_from_world.reshape(-1, VIEWS, 3, 3)[0, 0]
    np.testing.assert_allclose(first, np.eye(3), atol=1e-9)
    assert found.rig.cameras == ("left", "middle", "right")
    assert found.rig.delay_s.tolist() == [0.0, 0.02, 0.0]
    assert found.body.bones is LENGTHS
    assert not found.mirrored


def test_the_noise_equals_the_pixel_error_and_is_never_below_the_least_noise() -> None:
    by = cameras()
    # joints that are known and not sought: sqrt(2 V / (2 V - 3)) more than their noise
    free = np.sqrt(2 * VIEWS / (2 * VIEWS - 3))
    found = result(by, seen(by, 0.02))
    assert found.noise_share == pytest.approx(0.02 * free, rel=0.05)
    assert result(by, seen(by, 0.0)).noise_share == LEAST_NOISE
    median_px = 0.02 * 300 * np.sqrt(2 * np.log(2))  # of a length whose two axes are Gaussian
    np.testing.assert_allclose(found.uncertainty.reprojection_px, median_px, rtol=0.1)
    np.testing.assert_allclose(found.uncertainty.reprojection_share, median_px / 300, rtol=0.1)


def test_deviations_grow_with_the_noise_that_was_found_over_the_noise_assumed() -> None:
    by = cameras()
    found = result(by, seen(by, 0.02))
    worse = CORRELATION_FACTOR * found.noise_share / 0.01
    sure = found.uncertainty
    np.testing.assert_allclose(
        sure.rotation_deg, worse * np.degrees(DEVIATIONS.rotation), rtol=1e-9
    )
    np.testing.assert_allclose(sure.focal_share, worse * DEVIATIONS.log_focal, rtol=1e-9)
    np.testing.assert_allclose(sure.position_share, worse * DEVIATIONS.centre / 20, rtol=0.02)


def test_joints_that_were_not_seen_do_not_raise_the_reprojection_error() -> None:
    by = cameras()
    pixels = seen(by, 0.0)
    pixels.keypoints_px[:, 1, :10] += 400.0
    weight = pixels.weight.copy()
    weight[:, 1, :10] = 0
    assert result(by, pixels).uncertainty.reprojection_px[1] > 500
    hidden = result(by, replace(pixels, weight=weight))
    np.testing.assert_allclose(hidden.uncertainty.reprojection_px, 0, atol=1e-6)
