"""Where the cameras of a slope stand, what they look at, and what they see of a point."""

import numpy as np
import numpy.typing as npt
import pytest

from capture.simulator.scene import (
    camera_at,
    look_at,
    make_slope,
    place_camera,
    project,
    rotated_left,
)
from capture.simulator.skier import pose_skier

SIZE = (640, 480)


def test_a_camera_does_not_depend_on_how_many_others_there_are() -> None:
    slope = make_slope(9, False)
    alone = place_camera(slope, 3, SIZE)
    others = [place_camera(slope, index, SIZE) for index in range(8)]
    assert np.array_equal(alone.eye, others[3].eye)
    azimuth = [np.degrees(np.arctan2(view.eye[1], view.eye[0])) for view in others[:4]]
    gaps = np.diff(np.sort(np.mod(azimuth, 360)))
    assert gaps.min() > 30


def _stamps(period_ns: int, every_ns: int = 50_000_000) -> npt.NDArray[np.int64]:
    return np.arange(0, period_ns, every_ns, dtype=np.int64)


@pytest.mark.parametrize("moving", [False, True])
def test_the_skier_is_in_two_or_more_of_four_pictures(moving: bool) -> None:
    for seed in range(12):
        slope = make_slope(seed, moving)
        stamps = _stamps(slope.course.period_ns, 100_000_000)
        joints = pose_skier(slope.build, slope.course, stamps).joints
        whole = np.zeros(len(stamps))
        for index in range(4):
            view = place_camera(slope, index, SIZE)
            rotation, focal = camera_at(view, stamps, joints[:, 0])
            local, px = project(joints, view.eye, rotation, focal, SIZE)
            whole += ((px >= 0) & (px < np.array(SIZE))).all((1, 2)) & (local[..., 2] > 0).all(1)
        assert (whole >= 2).mean() >= 0.95


def test_another_take_is_another_run_past_the_same_cameras() -> None:
    first, third, again = (make_slope(9, False, take) for take in (0, 3, 3))
    views = [place_camera(slope, 1, (640, 480)) for slope in (first, third)]
    assert np.array_equal(views[0].eye, views[1].eye)
    assert views[0].focal_px == views[1].focal_px
    assert first.course.radius == third.course.radius
    stamps = _stamps(min(slope.course.period_ns for slope in (first, third)))
    runs = [pose_skier(s.build, s.course, stamps).joints for s in (first, third, again)]
    assert np.array_equal(runs[1], runs[2])
    bodies = [run - run[:, :1] for run in runs]
    assert np.abs(bodies[0] - bodies[1]).mean() > 0.05


def test_a_camera_that_looks_along_x_has_y_to_its_left_and_z_up() -> None:
    rotation = look_at(np.zeros(3), np.array([[2.0, 0.0, 0.0]]), np.zeros(1))
    assert rotation[0] == pytest.approx(np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]), abs=1e-12)


def test_a_point_is_projected_by_focal_length_over_depth_from_the_middle_of_the_picture() -> None:
    rotation = look_at(np.zeros(3), np.array([[1.0, 0.0, 0.0]]), np.zeros(1))
    point = np.array([[[10.0, -2.0, 1.0]]])  # 2 m to the right, 1 m above, 10 m away
    local, px = project(point, np.zeros(3), rotation, np.array([500.0]), SIZE)
    assert local[0, 0] == pytest.approx([2, -1, 10])
    assert px[0, 0] == pytest.approx([320 + 100, 240 - 50])


def test_a_turned_camera_keeps_its_place_and_distance_and_looks_to_its_left() -> None:
    view = place_camera(make_slope(3, False), 1, SIZE)
    after = rotated_left(view, 90.0)
    x, y, z = view.target - view.eye
    assert np.array_equal(after.eye, view.eye)
    assert after.target - after.eye == pytest.approx([-y, x, z])
    assert after.focal_px == view.focal_px
