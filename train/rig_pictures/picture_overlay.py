"""A camera's picture around the athlete, the detector's keypoints and the projected skeleton on it,
and where in the whole picture that is.
"""

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from cvsf.shapes import Float, Picture, Real
from cvsf.skeleton import JointSet
from train.rig_pictures.camera_pictures import Shot

_EMPTY, _OUTSIDE = "#3b434a", "#20262b"
_ERROR = "#ff5964"
_ROOM = 1.3  # of the crop around the athlete
_REACH = 0.75  # how far a wrong skeleton may widen the crop, in sizes of the observed person
_MAP_PX = 120  # longer side of the small map's picture


def draw_overlay(axes: Axes, shot: Shot, joint_set: JointSet, colour: str) -> Float[Real, "2 2"]:
    """Draw the part of the picture around the athlete, which has the shape of the axes, with the
    keypoints (dots), the projected skeleton, and between them a line per joint; the lower and the
    upper corner of that part, in px. At least one joint must be observed.
    """
    dots = shot.keypoints_px[shot.is_observed]
    box = axes.get_window_extent()
    low, high = _crop(shot, np.array([box.width, box.height]))
    axes.set_facecolor(_OUTSIDE)
    width, height = shot.image_px
    if shot.picture is None:
        axes.add_patch(Rectangle((0, 0), width, height, facecolor=_EMPTY, zorder=0))
    else:
        _draw_part(axes, shot.picture, low, high)
    ends = np.array(joint_set.bones)
    is_known = shot.is_known[ends].all(1)
    bones = shot.projected_px[ends]
    axes.add_collection(
        LineCollection(list(bones[~is_known]), colors=[colour], linewidths=0.9, alpha=0.7)
    )
    for line, paint in ((3.2, (0, 0, 0, 0.6)), (1.7, colour)):
        axes.add_collection(
            LineCollection(
                list(bones[is_known]), colors=[paint], linewidths=line, capstyle="round", zorder=2
            )
        )
    errors = np.stack([dots, shot.projected_px[shot.is_observed]], 1)
    axes.add_collection(LineCollection(list(errors), colors=[_ERROR], linewidths=1.1, zorder=3))
    axes.plot(*dots.T, "o", ms=2.8, color="white", mec="black", mew=0.5, zorder=4)
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return np.stack([low, high])


def draw_place(axes: Axes, shot: Shot, crop: Float[Real, "2 2"], colour: str) -> None:
    """Draw the whole picture, small, and a frame where the crop (two corners in px) lies in it."""
    width, height = shot.image_px
    if shot.picture is None:
        axes.add_patch(Rectangle((0, 0), width, height, facecolor=_EMPTY))
    else:
        scale = _MAP_PX / max(shot.picture.shape[:2])
        small = cv2.resize(
            np.ascontiguousarray(shot.picture),
            None,
            fx=scale,
            fy=scale,
            interpolation=cv2.INTER_AREA,
        )
        axes.imshow(small, extent=(0, width, height, 0))
    low, high = np.clip(crop, 0, shot.image_px)
    axes.add_patch(Rectangle((low[0], low[1]), *(high - low), fill=False, ec=colour, lw=1.2))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_aspect("equal", anchor="E")
    axes.axis("off")


def _crop(shot: Shot, shape: Float[Real, "2"]) -> tuple[Float[Real, "2"], Float[Real, "2"]]:
    """Two corners of the box around the athlete with the aspect of `shape`, moved into the picture
    as far as it fits. A skeleton far from its keypoints does not make the athlete tiny.
    """
    dots = shot.keypoints_px[shot.is_observed]
    low, high = dots.min(0), dots.max(0)
    reach = _REACH * max(float((high - low).max()), 1.0)
    points = np.concatenate([dots, np.clip(shot.projected_px, low - reach, high + reach)])
    middle = (points.min(0) + points.max(0)) / 2
    size = np.maximum(_ROOM * np.ptp(points, axis=0), 1.0)
    half = shape * float((size / shape).max()) / 2
    for axis in (0, 1):
        if 2 * half[axis] <= shot.image_px[axis]:
            inside = half[axis], shot.image_px[axis] - half[axis]
            middle[axis] = np.clip(middle[axis], *inside)
        else:
            middle[axis] = shot.image_px[axis] / 2
    return middle - half, middle + half


def _draw_part(axes: Axes, picture: Picture, low: Float[Real, "2"], high: Float[Real, "2"]) -> None:
    """Draw the pixels between two corners, a little darker, so that lines are visible."""
    size = np.array(picture.shape[1::-1])
    left, top = np.clip(np.floor(low).astype(int), 0, size - 1)
    right, bottom = np.clip(np.ceil(high).astype(int), 1, size)
    part = cv2.convertScaleAbs(np.ascontiguousarray(picture[top:bottom, left:right]), alpha=0.85)
    axes.imshow(part, extent=(left, right, bottom, top), zorder=0, aspect="auto")
