"""The error of each camera over a film."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from train.rig_pictures.error_curves import ErrorCurves

T_S = np.linspace(10, 20, 50)
PLACE = (0.5, 0.1, 0.4, 0.4)


@pytest.mark.parametrize("views", [2, 16])
def test_each_camera_has_a_strip_of_the_same_scale(views: int) -> None:
    errors = np.random.default_rng(0).uniform(1, 3, (50, views))
    errors[:, 1] += 4
    figure = Figure(figsize=(13, 7))
    ErrorCurves(figure, PLACE, [f"cam{view}" for view in range(views)], T_S, errors)
    strips = [
        axes for axes in figure.axes if axes.lines and np.shape(axes.lines[0].get_xdata()) == (50,)
    ]
    assert len(strips) == views
    assert len({axes.get_ylim() for axes in strips}) == 1
    assert 6 < strips[0].get_ylim()[1] < 9
    places = sorted((axes.get_position().y0, axes.get_position().y1) for axes in strips)
    assert all(upper[0] > lower[1] for lower, upper in pairwise(places))


def test_the_cursor_and_the_values_are_those_of_the_picture() -> None:
    errors = np.stack([np.linspace(0, 4.9, 50), np.full(50, np.nan)], 1)
    curves = ErrorCurves(Figure(), PLACE, ["cam0", "cam1"], T_S, errors)
    cursor, one, other = curves.at(20)
    assert list(cursor.get_xdata()) == [T_S[20]] * 2  # type: ignore[attr-defined]
    assert (one.get_text(), other.get_text()) == ("2.0", "-")  # type: ignore[attr-defined]


def test_a_film_of_one_picture_without_errors_is_drawn_too() -> None:
    ErrorCurves(Figure(), PLACE, ["cam0"], T_S[:1], np.full((1, 1), np.nan)).at(0)
