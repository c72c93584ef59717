"""Which way is up, from cameras that stand level and an athlete in balance."""

import numpy as np
import pytest

from cvsf.calibration.gravity import estimate_up
from cvsf.multiview.rig import Real, Rig
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.skeleton import H36M_16
from tests.support.level_cameras import rotations_around
from tests.support.rehearsed import Rehearsed, rehearsed

FOOT_MM, VIEWS = 80.0, 4
UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("walk"), frames=30, views=VIEWS)


def rig(roll: Real | float = 0.0, tilt: Real | float = 0.15, apart: float = np.pi / 2) -> Rig:
    """Cameras around the walker, that look down by `tilt` and are rolled about their axes (rad)."""
    zero, each = np.zeros(VIEWS), np.ones(VIEWS)
    around = rotations_around(apart * np.arange(VIEWS))
    tilted = rotation_from_vector(np.stack([-tilt * each, zero, zero], -1)) @ around
    return Rig(
        cameras=tuple(f"cam{view}" for view in range(VIEWS)),
        image_px=np.full((VIEWS, 2), 1000.0),
        view_from_world=rotation_from_vector(np.stack([zero, zero, roll * each], -1)) @ tilted,
        translation=np.tile([0.0, 0.0, 7000.0], (VIEWS, 1)),
        focal_px=np.full(VIEWS, 1500.0),
        centre_px=np.full((VIEWS, 2), 500.0),
        distortion=np.zeros((len(zero), 5)),
        delay_s=zero,
    )


def off_deg(found: Real, up: Real = UP) -> float:
    assert np.linalg.norm(found) == pytest.approx(1)
    return float(np.degrees(np.arccos(np.clip(found @ up, -1, 1))))


def test_up_is_found_from_level_cameras_and_a_walker(walk: Rehearsed) -> None:
    assert off_deg(estimate_up(rig(), walk.world_mm, H36M_16, FOOT_MM)) < 1.5


def test_a_world_that_is_turned_moved_and_scaled_has_its_up_turned_along(walk: Rehearsed) -> None:
    turned = np.asarray(rotation_from_vector(np.array([1.0, -2.0, 0.5])), float)
    shift, scale = np.array([3.0, -1.0, 2.0]), 0.004
    here = estimate_up(rig(), walk.world_mm, H36M_16, FOOT_MM)
    there = estimate_up(
        rig().transformed(turned, shift, scale),
        scale * walk.world_mm @ turned.T + shift,
        H36M_16,
        scale * FOOT_MM,
    )
    np.testing.assert_allclose(there, turned @ here, atol=1e-6)


@pytest.mark.parametrize("angle", [0.5, np.pi / 2])
def test_one_rolled_camera_of_four_hardly_changes_up(walk: Rehearsed, angle: float) -> None:
    roll = np.array([0.0, 0.0, angle, 0.0])
    assert off_deg(estimate_up(rig(roll), walk.world_mm, H36M_16, FOOT_MM)) < 1


def test_up_is_found_from_cameras_alone_where_the_athlete_lies_or_is_unknown(
    walk: Rehearsed,
) -> None:
    root = walk.world_mm[:, :1]
    lying = (walk.world_mm - root) @ rotation_from_vector(np.array([np.pi / 2, 0.0, 0.0])).T + root
    for joints in (lying, np.full_like(lying, np.nan)):
        assert off_deg(estimate_up(rig(), joints, H36M_16, FOOT_MM)) < 2


def test_cameras_side_by_side_that_look_down_find_up_only_with_the_athlete(
    walk: Rehearsed,
) -> None:
    twins = rig(tilt=0.25, apart=0.0)
    nobody = np.full_like(walk.world_mm, np.nan)
    from_pictures = off_deg(estimate_up(twins, nobody, H36M_16, FOOT_MM))
    assert from_pictures == pytest.approx(np.degrees(0.25), abs=1)  # their pictures' own vertical
    assert off_deg(estimate_up(twins, walk.world_mm, H36M_16, FOOT_MM)) < 4


def test_up_is_found_from_an_athlete_who_stands_on_one_leg() -> None:
    stick = {"head": 1700, "thorax": 1400, "spine": 1200, "hip": 950, "lknee": 500, "lankle": 80}
    joints = np.zeros((5, len(H36M_16), 3))
    for joint, name in enumerate(H36M_16.joints):
        # limbs but the lifted leg hang on the line from the left ankle to the head
        height = {"shoulder": 1400, "elbow": 1100, "wrist": 900, "hip": 950}.get(name[1:])
        joints[:, joint, 2] = stick.get(name, height or 0)
    joints[:, H36M_16.index("rknee")] = [0, 300, 900]
    joints[:, H36M_16.index("rankle")] = [0, 300, 500]
    twins = rig(tilt=0.25, apart=0.0)  # whose pictures' own vertical is off by 14 degrees
    assert off_deg(estimate_up(twins, joints, H36M_16, FOOT_MM)) < 6
