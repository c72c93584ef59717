"""A skeleton on axes that is drawn anew for every picture of a film: left and right have their own
colours, so that a mirrored one is seen.
"""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from cvsf.shapes import Float, Real
from cvsf.skeleton import JointSet
from train.rig_pictures.world_figure import INK, PAPER

LEFT, RIGHT = "#2a6fdb", "#d1495b"


class MovingSkeleton:
    """Bones, a head, and a shadow if it is given."""

    def __init__(self, axes: Axes, joint_set: JointSet, *, width: float) -> None:
        """Lines of `width` points on the axes; nothing is drawn before `set`."""
        self._ends = np.array(joint_set.bones)
        self._head = joint_set.index("head")
        lines: Any = {"capstyle": "round", "animated": True}
        self._shadow = LineCollection([], colors=[(0, 0, 0, 0.14)], linewidths=width, **lines)
        self._rim = LineCollection([], colors=[PAPER], linewidths=width + 1.8, **lines)
        colours = [_colour(joint_set, child) for _, child in joint_set.bones]
        self._bones = LineCollection([], colors=colours, linewidths=width, **lines)
        for collection in (self._shadow, self._rim, self._bones):
            axes.add_collection(collection, autolim=False)
        (self._ball,) = axes.plot(
            [], [], "o", ms=2.2 * width, color=INK, mec=PAPER, mew=0.8, animated=True
        )

    @property
    def artists(self) -> list[Artist]:
        """What is to be drawn, from behind to the front."""
        return [self._shadow, self._rim, self._bones, self._ball]

    def set(self, joints: Float[Real, "J 2"], shadow: Float[Real, "J 2"] | None = None) -> None:
        """Move it to these points of the axes; NaN everywhere draws nothing."""
        there = bool(np.isfinite(joints).all())
        bones: Any = list(joints[self._ends]) if there else []
        self._rim.set_segments(bones)
        self._bones.set_segments(bones)
        fallen: Any = list(shadow[self._ends]) if there and shadow is not None else []
        self._shadow.set_segments(fallen)
        self._ball.set_data(*(joints[[self._head]].T if there else ([], [])))


def _colour(joint_set: JointSet, joint: int) -> str:
    """That of the side of a joint; ink in the middle of the body."""
    if joint_set.mirrored[joint] == joint:
        return INK
    return LEFT if joint_set.joints[joint][0] == "l" else RIGHT
