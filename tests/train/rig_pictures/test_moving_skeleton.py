"""A skeleton that is drawn anew for every picture."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cvsf.skeleton import H36M_16
from train.rig_pictures.moving_skeleton import LEFT, RIGHT, MovingSkeleton

POINTS = np.random.default_rng(0).random((16, 2))


@pytest.fixture
def axes() -> Axes:
    return Figure().add_axes((0, 0, 1, 1))


def drawn(skeleton: MovingSkeleton) -> list[int]:
    """How many lines of shadow, rim and bones are drawn, and whether there is a head."""
    *lines, ball = skeleton.artists
    return [len(part.get_segments()) for part in lines] + [len(ball.get_xdata())]  # type: ignore[attr-defined]


def test_it_is_drawn_where_it_is_set_and_not_at_all_where_nobody_is(axes: Axes) -> None:
    skeleton = MovingSkeleton(axes, H36M_16, width=2)
    assert drawn(skeleton) == [0, 0, 0, 0]
    skeleton.set(POINTS, shadow=POINTS)
    assert drawn(skeleton) == [15, 15, 15, 1]
    skeleton.set(POINTS)
    assert drawn(skeleton) == [0, 15, 15, 1]
    skeleton.set(np.full((16, 2), np.nan), shadow=POINTS)
    assert drawn(skeleton) == [0, 0, 0, 0]


def test_left_and_right_have_their_own_colours(axes: Axes) -> None:
    skeleton = MovingSkeleton(axes, H36M_16, width=2)
    bones = skeleton.artists[2]
    colours = [to_hex(colour) for colour in bones.get_edgecolor()]  # type: ignore[attr-defined]
    by_child = dict(zip((child for _, child in H36M_16.bones), colours, strict=True))
    assert by_child[H36M_16.index("lwrist")] == LEFT
    assert by_child[H36M_16.index("rknee")] == RIGHT
    assert by_child[H36M_16.index("head")] not in (LEFT, RIGHT)


def test_what_moves_is_left_out_of_what_stands_still(axes: Axes) -> None:
    assert all(artist.get_animated() for artist in MovingSkeleton(axes, H36M_16, width=2).artists)
