"""What one camera needs to draw a moment: the skier, the light, the shadow and the blur."""

import numpy as np
import pytest

from capture.simulator.scene import Slope, camera_at, make_slope, place_camera
from capture.simulator.shots import Shot, film, set_stage
from capture.simulator.skier import pose_skier

SEED, SIZE = 4, (320, 240)


@pytest.fixture(scope="module")
def slope() -> Slope:
    return make_slope(SEED, False)


@pytest.fixture(scope="module")
def shots(slope: Slope) -> list[Shot]:
    stamps = np.arange(1, 6, dtype=np.int64) * 700_000_000
    return film(set_stage(SEED, slope), place_camera(slope, 1, SIZE), stamps)


def test_a_shot_holds_the_skier_of_its_moment_and_the_aim_of_its_camera(
    slope: Slope, shots: list[Shot]
) -> None:
    stamps = np.array([shot.raw_ns for shot in shots])
    assert stamps.tolist() == [n * 700_000_000 for n in range(1, 6)]
    joints = pose_skier(slope.build, slope.course, stamps).joints
    rotation, focal_px = camera_at(place_camera(slope, 1, SIZE), stamps, joints[:, 0])
    for n, shot in enumerate(shots):
        assert shot.joints == pytest.approx(joints[n], abs=1e-9)
        assert shot.rotation == pytest.approx(rotation[n], abs=1e-12)
        assert shot.focal_px == pytest.approx(focal_px[n])


def test_every_shadow_lies_on_the_snow(slope: Slope, shots: list[Shot]) -> None:
    for shot in shots:
        assert shot.shadow.reshape(-1, 3) @ slope.course.normal == pytest.approx(0, abs=1e-9)


def test_before_a_still_camera_the_skier_is_smeared_and_the_snow_is_not(
    shots: list[Shot],
) -> None:
    assert max(np.abs(shot.ground_streak).max() for shot in shots) < 1e-9
    assert min(np.linalg.norm(shot.skier_streak) for shot in shots) > 0


def test_of_a_closed_body_about_half_the_facets_face_the_camera(shots: list[Shot]) -> None:
    share = np.mean([shot.facing.mean() for shot in shots])
    assert 0.35 < share < 0.65
    assert all(shot.lit.min() >= 0 for shot in shots)
