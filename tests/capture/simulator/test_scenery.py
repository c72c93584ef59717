"""What stands still around the skier: where it may stand, and where it is painted."""

from dataclasses import replace

import numpy as np
import pytest

from capture.simulator.scene import look_at, make_slope, project
from capture.simulator.scenery import Land, draw_post, make_land, paint
from cvsf.shapes import Real

SIZE, FOCAL_PX = (160, 120), 130.0


@pytest.fixture(scope="module")
def bare() -> Land:
    """Snow, mountains and sky only."""
    land = make_land(3, make_slope(3, False).course)
    return replace(land, trees=np.zeros((0, 4)), posts=np.zeros((0, 3)))


def eye_over(land: Land, xy: tuple[float, float], high: float = 2.0) -> Real:
    return np.array([*xy, float(land.course.height(np.array(xy))) + high])


def looking(eye: Real, towards: tuple[float, float, float]) -> Real:
    return np.asarray(look_at(eye, (eye + np.array(towards))[None], np.zeros(1))[0])


@pytest.mark.parametrize(("seed", "moving"), [(0, False), (1, False), (2, True)])
def test_trees_and_posts_leave_the_run_free(seed: int, moving: bool) -> None:
    course = make_slope(seed, moving).course
    land = make_land(seed, course)
    assert (np.linalg.norm(land.trees[:, :2], axis=1) > course.radius + 10).all()
    for post in land.posts[:, :2]:
        assert np.linalg.norm(course.track - post, axis=1).min() > 0.8
        others = np.linalg.norm(land.posts[:, :2] - post, axis=1)
        assert (others[others > 0] > 2).all()


def test_a_post_is_drawn_from_its_foot_to_a_metre_and_a_half_above_it(bare: Land) -> None:
    eye, xy, size, focal_px = eye_over(bare, (6.0, 0.0)), np.zeros(2), (640, 480), 800.0
    foot = np.array([*xy, float(bare.course.height(xy))])
    rotation = looking(eye, tuple(foot + np.array([0, 0, 0.75]) - eye))
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    draw_post(picture, bare.course, eye, rotation, focal_px, xy, np.array([10.0, 20.0, 250.0]))
    rod = foot + np.linspace(0, 1.5, 7)[:, None] * [0, 0, 1]
    px = project(rod[None], eye, rotation[None], np.array([focal_px]), size)[1][0]
    for x, y in px[1:-1].round().astype(int):
        assert picture[y, x - 1 : x + 2, 2].max() > 150
    drawn = np.flatnonzero(picture.any((1, 2)))
    assert [drawn[0], drawn[-1]] == pytest.approx([px[-1, 1], px[0, 1]], abs=3)


def test_what_stands_behind_the_camera_is_not_in_its_picture(bare: Land) -> None:
    eye = eye_over(bare, (0.0, 0.0))
    behind = replace(bare, trees=np.array([[-30.0, 0, 8, 0.5]]), posts=np.array([[-5.0, 0.0, 0.0]]))
    before = replace(bare, trees=np.array([[30.0, 0, 8, 0.5]]))
    ahead = looking(eye, (1, 0, 0))
    empty, same, other = (
        paint(land, eye, ahead, FOCAL_PX, SIZE) for land in (bare, behind, before)
    )
    assert np.array_equal(empty, same)
    changed = np.flatnonzero((empty != other).any((0, 2)))
    assert changed.size
    assert abs(changed.mean() - SIZE[0] / 2) < 5  # straight ahead is the middle


@pytest.mark.parametrize("ahead", [(1.0, 0.0, 0.3), (-1.0, 0.0, 0.3)])
def test_sky_and_mountains_have_no_seam_all_the_way_round(
    bare: Land, ahead: tuple[float, float, float]
) -> None:
    """The direction itself is in the middle of the picture; azimuth starts anew there."""
    eye = eye_over(bare, (0.0, 0.0))
    picture = paint(bare, eye, looking(eye, ahead), 100.0, SIZE).astype(float)
    step = np.abs(np.diff(picture[: SIZE[1] // 2], axis=1)).mean((0, 2))
    middle = SIZE[0] // 2
    assert step[middle - 2 : middle + 2].max() <= 1.5 * step.max(initial=0, where=_apart(step))


def _apart(step: Real) -> np.ndarray:
    return np.abs(np.arange(len(step)) - len(step) // 2) > 3


def test_a_camera_that_looks_straight_down_sees_snow_that_shines_by_the_days_light(
    bare: Land,
) -> None:
    eye = eye_over(bare, (0.0, 0.0), 6.0)
    down = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    clean = replace(bare, tracks=np.zeros_like(bare.tracks))
    picture = paint(clean, eye, down, FOCAL_PX, SIZE).astype(float) / 255
    weather = bare.weather
    lit = max(0.15, float(weather.sun @ bare.course.normal))
    expected = np.clip(0.97 * (weather.skylight + weather.sunlight * lit), 0, 1)
    assert picture.mean((0, 1)) == pytest.approx(expected, abs=0.08)
