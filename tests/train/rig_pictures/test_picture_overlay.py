"""A camera's picture around the athlete, and its place in the whole one."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from cvsf.skeleton import H36M_16
from train.rig_pictures.camera_pictures import Shot
from train.rig_pictures.picture_overlay import draw_overlay, draw_place

SIZE = np.array([1920.0, 1080.0])


@pytest.fixture
def axes() -> Axes:
    return Figure(figsize=(2, 4), dpi=50).add_axes((0, 0, 1, 1))


def shot(middle: tuple[float, float], height: float = 100.0, **changed: Any) -> Shot:
    """An athlete of that height in px, who is seen to a pixel."""
    random = np.random.default_rng(0)
    points = np.array(middle) + height * random.uniform(-0.5, 0.5, (16, 2)) * [0.4, 1]
    points[:2, 1] = middle[1] + height * np.array([-0.5, 0.5])
    facts: dict[str, Any] = {
        "picture": None,
        "image_px": SIZE,
        "keypoints_px": points,
        "is_observed": np.ones(16, bool),
        "is_known": np.ones(16, bool),
        "projected_px": points + np.array([1.0, 0]),
        "error_px": 1.0,
        "error_share": 0.01,
        "t_s": 2.0,
    }
    return Shot(**facts | changed)


def test_the_crop_is_around_a_small_athlete_and_has_the_shape_of_the_axes(axes: Axes) -> None:
    low, high = draw_overlay(axes, shot((900, 500)), H36M_16, "red")
    width, height = high - low
    assert height == pytest.approx(130, abs=1)
    assert height == pytest.approx(2 * width)
    np.testing.assert_allclose((low + high) / 2, (900, 500), atol=3)
    assert axes.get_ylim() == (high[1], low[1])


@pytest.mark.parametrize("middle", [(5.0, 5.0), (1915.0, 1075.0)])
def test_the_crop_stays_in_the_picture(axes: Axes, middle: tuple[float, float]) -> None:
    low, high = draw_overlay(axes, shot(middle), H36M_16, "red")
    assert (low >= -1e-9).all()
    assert (high <= SIZE + 1e-9).all()


def test_a_skeleton_far_away_does_not_make_the_athlete_tiny(axes: Axes) -> None:
    there = shot((900, 500))
    lost = shot((900, 500), projected_px=there.keypoints_px + 5000)
    low, high = draw_overlay(axes, lost, H36M_16, "red")
    assert (high - low)[1] < 400


def test_only_the_pixels_of_the_crop_are_drawn(axes: Axes) -> None:
    picture = np.zeros((1080, 1920, 3), np.uint8)
    picture[450:550, 850:950] = (200, 0, 0)
    draw_overlay(axes, shot((900, 500), picture=picture), H36M_16, "red")
    (image,) = axes.images
    part = np.asarray(image.get_array())
    assert part.shape[0] < 150
    assert part[len(part) // 2, part.shape[1] // 2].tolist() == [170, 0, 0]  # a little darker
    left, right, bottom, top = image.get_extent()
    assert left < 900 < right
    assert top < 500 < bottom


def test_each_observed_joint_has_a_line_to_its_projection(axes: Axes) -> None:
    is_observed = np.arange(16) < 10
    draw_overlay(axes, shot((900, 500), is_observed=is_observed), H36M_16, "red")
    errors = [c for c in axes.collections if isinstance(c, LineCollection)][-1].get_segments()
    assert len(errors) == 10
    np.testing.assert_allclose([np.ptp(np.asarray(line)[:, 0]) for line in errors], 1)


@pytest.mark.parametrize("has_picture", [True, False])
def test_the_place_of_the_crop_is_a_frame_in_the_whole_picture(
    axes: Axes, has_picture: bool
) -> None:
    picture = np.zeros((1080, 1920, 3), np.uint8) if has_picture else None
    crop = np.array([[-50.0, 300], [400, 800]])
    draw_place(axes, shot((200, 500), picture=picture), crop, "red")
    frame: Any = axes.patches[-1]
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((0, 300), 400, 500)
    assert axes.get_xlim() == (0, 1920)
    assert axes.get_ylim() == (1080, 0)
    assert len(axes.images) == has_picture
