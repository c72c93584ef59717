"""A calibrated rig drawn in its world."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.support.outcomes import outcome
from train.rig_pictures.world_figure import Eye, draw_world


@pytest.fixture
def axes() -> Axes:
    return Figure(figsize=(6, 5), dpi=50).add_axes((0, 0, 1, 1))


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_point_is_seen_smaller_the_farther_it_is_away() -> None:
    eye = Eye(np.array([0.0, 0, 10]), np.eye(3))  # it looks down
    np.testing.assert_allclose(eye.project([[1.0, 2, 5], [1, 2, 0]]), [[0.2, 0.4], [0.1, 0.2]])
    np.testing.assert_allclose(eye.depth_of([[1.0, 2, 5], [1, 2, 0]]), [5, 10])


def test_every_camera_is_named_with_its_focal_length_and_height(axes: Axes) -> None:
    step = draw_world(axes, outcome(), [(0, "red"), (7, "blue")], 7, {})
    assert step == 1
    assert words(axes) == [f"cam{view}\n500 px, 1.5 m up" for view in range(4)]
    assert axes.get_legend() is None


def test_the_whole_rig_lies_within_the_drawing(axes: Axes) -> None:
    draw_world(axes, outcome(), [(0, "red")], 0, {})
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    named = np.array([text.xy for text in axes.texts])  # type: ignore[attr-defined]
    assert (named > [left, low]).all()
    assert (named < [right, high]).all()


def test_true_cameras_are_marked_where_they_are_known(axes: Axes) -> None:
    truth = np.array([[4.0, 0, 1.5], [0, 4, 1.5]])
    draw_world(axes, outcome(cameras={"true_centres": truth}), [(0, "red")], 0, {})
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["true camera"]


def test_pictures_are_drawn_in_front_of_the_cameras_that_took_them(axes: Axes) -> None:
    still = np.full((480, 640, 3), 200, np.uint8)
    draw_world(axes, outcome(), [(0, "red")], 0, {1: still, 3: still})
    assert len(axes.images) == 2


def test_lines_of_the_ground_are_farther_apart_under_a_large_rig(axes: Axes) -> None:
    made = outcome()
    assert made.calibration is not None
    wide = replace(made.calibration.rig, translation=made.calibration.rig.translation * 10)
    found = replace(made.calibration, rig=wide)
    assert draw_world(axes, replace(made, calibration=found), [(0, "red")], 0, {}) == 5


def test_cameras_that_pan_are_drawn_as_they_were_at_that_row(axes: Axes) -> None:
    made = outcome()
    assert made.calibration is not None
    rig = made.calibration.rig
    moving = replace(
        rig,
        view_from_world=np.tile(rig.view_from_world, (8, 1, 1, 1)),
        translation=np.tile(rig.translation, (8, 1, 1)),
        focal_px=np.linspace(500, 570, 8)[:, None] * np.ones(4),
    )
    found = replace(made.calibration, rig=moving)
    draw_world(axes, replace(made, calibration=found), [(0, "red")], 3, {})
    assert words(axes)[2] == "cam2\n530 px, 1.5 m up"
