"""The run over the snow: a closed curve in time, on a plane, small enough for still cameras."""

import numpy as np
import pytest

from capture.simulator.course import RATE_HZ, lay_course
from capture.simulator.scene import make_slope


def test_a_run_for_still_cameras_is_at_most_fifteen_metres_across() -> None:
    assert max(make_slope(seed, False).course.radius for seed in range(40)) <= 7.5


def test_a_course_is_closed_and_its_tangent_has_length_one() -> None:
    course = lay_course(4, moving=False)
    assert np.array_equal(course.table[0], course.table[-1])
    tangent = np.stack([course.signal("tangent_x"), course.signal("tangent_y")], 1)
    assert np.linalg.norm(tangent, axis=1) == pytest.approx(1, abs=1e-3)
    assert (course.left * tangent).sum(1) == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm(course.track, axis=1).max() <= course.radius + 1e-6


def test_signals_between_two_rows_are_halfway_and_repeat_after_a_period() -> None:
    course = lay_course(4, moving=False)
    step_ns = 1_000_000_000 // RATE_HZ
    stamps = np.array([7 * step_ns, 7 * step_ns + step_ns // 2], np.int64)
    for name in ("x", "speed", "lean"):
        column = course.signal(name)
        found = course.at(stamps)[name]
        assert found == pytest.approx([column[7], (column[7] + column[8]) / 2], abs=1e-9)
        assert course.at(stamps + 3 * course.period_ns)[name] == pytest.approx(found, abs=1e-9)


def test_the_snow_is_a_plane_through_the_origin_with_the_normal_of_the_course() -> None:
    course = lay_course(5, moving=True)
    xy = np.random.default_rng(0).uniform(-20, 20, (50, 2))
    snow = np.column_stack([xy, course.height(xy)])
    assert np.linalg.norm(course.normal) == pytest.approx(1)
    assert snow @ course.normal == pytest.approx(0, abs=1e-9)
    assert course.height(course.downhill) == pytest.approx(-np.tan(course.slope_rad))
