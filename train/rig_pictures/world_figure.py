"""A calibrated rig in its world frame: cameras, their pictures, skeletons over time.

It is drawn in perspective on two-dimensional axes, so lines stay sharp.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from cvsf.multiview.rig import Rig
from cvsf.shapes import Picture, Real
from cvsf.skeleton import JointSet
from train.evaluation.calibrate_and_score import CalibrationResult

PAPER, INK, FAINT = "#fbfaf7", "#22303c", "#7b868f"
_TRUE = "#d1495b"
_FRUSTUM_M, _FRUSTUM_SHARE = 0.42, 0.045
"""From the middle of a camera's picture to a corner: the larger of so many m and that share of the
rig's size, up to four cameras; smaller for more."""
_FEW = 8  # cameras that are named with their focal length and height
_PICTURE_PX = 400


@dataclass(frozen=True, slots=True)
class Eye:
    """The viewpoint of the drawing, in perspective."""

    centre: Float[Real, "3"]
    axes: Float[Real, "3 3"]  # rows: right, up, towards the viewer

    def project(self, points: Any) -> Float[Real, "... 2"]:
        """World points (..., 3) in metres, in perspective on the drawing (..., 2): x right, y up,
        no unit (offset over depth), (0, 0) on the eye's axis. Points behind the eye, or nearer than
        0.1 m, are projected as if 0.1 m away.
        """
        local = (np.asarray(points) - self.centre) @ self.axes.T
        return np.asarray(local[..., :2] / np.maximum(-local[..., 2:], 0.1))

    def depth_of(self, points: Any) -> Float[Real, "..."]:
        """Depth (m) of world points (..., 3) in metres along the eye's axis, positive in front of
        the eye, negative behind it.
        """
        return np.asarray(-((np.asarray(points) - self.centre) @ self.axes.T)[..., 2])


def draw_world(
    axes: Axes,
    outcome: CalibrationResult,
    moments: Sequence[tuple[int, Any]],
    row: int,
    pictures: Mapping[int, Picture],
) -> float:
    """Draw the rig at instant `row`, and the skeletons of some instants in their colours, z up, on
    the axes, whose limits it sets. `pictures` are by number of the view; a camera without one is
    drawn empty. The distance of the lines on the ground, in metres (1 or 5). The session must be
    calibrated.
    """
    assert outcome.calibration is not None
    assert outcome.reconstruction is not None
    rig, joints = outcome.calibration.rig.rows(row), outcome.reconstruction.joints
    eye = viewpoint(rig.centres, joints)
    step = draw_ground(axes, eye, np.concatenate([rig.centres, np.nanmedian(joints, axis=0)]))
    shown = pyramids(rig)
    for view in range(len(shown)):
        _camera(axes, eye, rig, (view, shown[view]), pictures.get(view))
    rims = [eye.project(shown).reshape(-1, 2)]
    if (truth := outcome.cameras.get("true_centres")) is not None:
        rims.append(at := eye.project(truth))
        axes.plot(*at.T, "o", ms=8, mfc="none", mec=_TRUE, mew=1.4, zorder=59, label="true camera")
        axes.legend(loc="lower left", bbox_to_anchor=(0.02, 0.065), frameon=False, labelcolor=FAINT)
    track = joints[:, outcome.calibration.body.joint_set.index("hip")]
    axes.plot(*eye.project(track * [1, 1, 0]).T, color=INK, lw=1.0, alpha=0.35, zorder=4)
    for number, (moment, colour) in enumerate(moments):
        _skeleton(
            axes, eye, joints[moment], outcome.calibration.body.joint_set, colour, 10 + number
        )
    bodies = eye.project(joints[[moment for moment, _ in moments]].reshape(-1, 3))
    fit(axes, np.concatenate([*rims, bodies, eye.project(rig.centres * [1, 1, 0])]))
    return step


def fit(axes: Axes, points: Float[Real, "M 2"]) -> None:
    """Set the limits of the axes, of equal scale, so that the points lie within them, and names
    above them; nothing else is drawn on them.
    """
    box = axes.get_window_extent()
    low, high = points.min(0), points.max(0)
    size = high - low
    low, high = low - 0.10 * size, high + [0.10, 0.16] * size
    shape = np.array([box.width, box.height])
    half = shape * float(((high - low) / shape).max()) / 2
    middle = (low + high) / 2
    axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]))
    axes.set(ylim=(middle[1] - half[1], middle[1] + half[1]))
    axes.axis("off")


def viewpoint(centres: Float[Real, "V 3"], joints: Float[Real, "N J 3"]) -> Eye:
    """A viewpoint outside the rig, between two cameras, from which most of it is visible; centres
    and joints are in m, z up. At least one instant must have joints.
    """
    middle = np.append(np.nanmedian(joints[:, :, :2], axis=(0, 1)), 0.9)
    reach = max(float(np.linalg.norm((centres - middle)[:, :2], axis=-1).max()), 2.0)
    around = np.sort(np.arctan2(*(centres - middle)[:, 1::-1].T))
    gaps = np.diff(np.append(around, around[0] + 2 * np.pi))
    azimuth = around[gaps.argmax()] + gaps.max() / 2
    back = np.array([np.cos(azimuth) * 0.9, np.sin(azimuth) * 0.9, 0.62])
    back = back / np.linalg.norm(back)
    right = np.cross([0, 0, 1.0], back)
    right = right / np.linalg.norm(right)
    return Eye(middle + 3.4 * reach * back, np.stack([right, np.cross(back, right), back]))


def draw_ground(axes: Axes, eye: Eye, points: Float[Real, "M 3"]) -> float:
    """Draw a grid on the ground under the points (m) that fades outwards; the distance of its lines
    in metres (1 or 5).
    """
    low, high = np.floor(points[:, :2].min(0)) - 1, np.ceil(points[:, :2].max(0)) + 1
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    step = 1.0 if radius < 20 else 5.0
    segments, shades = [], []
    for axis in (0, 1):
        for fixed in np.arange(low[axis], high[axis] + step / 2, step):
            along = np.arange(low[1 - axis], high[1 - axis] + step / 4, step / 2)
            line = np.zeros((len(along), 3))
            line[:, axis], line[:, 1 - axis] = fixed, along
            away = np.linalg.norm((line[:-1] + line[1:])[:, :2] / 2 - middle, axis=-1) / radius
            segments += list(np.stack([eye.project(line[:-1]), eye.project(line[1:])], 1))
            shades += list(np.clip(1 - away**2, 0, 1))
    colours = [(0.55, 0.6, 0.65, 0.55 * shade) for shade in shades]
    axes.add_collection(LineCollection(segments, colors=colours, linewidths=0.7, zorder=1))
    return step


def pyramids(rig: Rig) -> Float[Real, "V 5 3"]:
    """The viewing pyramids of still cameras in the world: four corners, and the camera's centre."""
    centres, half = rig.centres, rig.image_px / 2 / rig.focal_px[:, None]
    size = max(_FRUSTUM_M, _FRUSTUM_SHARE * float(np.linalg.norm(np.ptp(centres, axis=0))))
    size *= min(1.0, 2 / np.sqrt(len(half)))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half[:, None]
    rays = np.concatenate([corners, np.ones((len(half), 4, 1))], -1)
    rims = size / np.linalg.norm(half, axis=-1)[:, None, None] * rays @ rig.view_from_world
    return np.concatenate([rims + centres[:, None], centres[:, None]], 1)


def _camera(
    axes: Axes, eye: Eye, rig: Rig, pyramid: tuple[int, Real], still: Picture | None
) -> None:
    """Draw a camera's viewing pyramid, picture, vertical line and name."""
    view, corners = pyramid
    centre = corners[4]
    at, tip = eye.project(corners[:4]), eye.project(centre)
    depth = 30 - float(eye.depth_of(centre)) * 0.2
    if still is not None:
        _draw_picture(axes, at, still, depth)
    faces = [np.stack([tip, at[i], at[(i + 1) % 4]]) for i in range(4)]
    sides = PolyCollection(
        faces, facecolors=(0.13, 0.19, 0.24, 0.05), edgecolors=INK, linewidths=0.8, zorder=depth
    )
    front = PolyCollection(
        [at], facecolors=(0, 0, 0, 0.04), edgecolors=INK, linewidths=1.2, zorder=depth + 0.1
    )
    axes.add_collection(sides)
    axes.add_collection(front)
    foot = eye.project(centre * [1, 1, 0])
    axes.plot(*np.stack([tip, foot]).T, color=FAINT, lw=0.8, ls=(0, (2, 3)), zorder=3)
    axes.plot(*foot, "o", ms=3, color=FAINT, zorder=3)
    top = np.array([(at[:, 0].min() + at[:, 0].max()) / 2, max(at[:, 1].max(), tip[1])])
    facts = f"\n{rig.focal_px[view]:.0f} px, {centre[2]:.1f} m up"
    axes.annotate(
        rig.cameras[view] + (facts if len(rig.cameras) <= _FEW else ""),
        (top[0], top[1]), xytext=(0, 6), textcoords="offset points", ha="center", va="bottom",
        fontsize=9, color=INK, linespacing=1.25, zorder=60,
    )  # fmt: skip


def _draw_picture(axes: Axes, at: Real, still: Picture, depth: float) -> None:
    """Draw the camera's picture in its pyramid, in perspective."""
    small = cv2.resize(still, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    low, high = at.min(0), at.max(0)
    scale = _PICTURE_PX / float((high - low).max())
    to = ((at - low) * scale).astype(np.float32)
    height, width = small.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, to)
    size = tuple(int(side) for side in np.ceil((high - low) * scale))
    opaque = np.dstack([small, np.full((height, width), 235, np.uint8)])
    warped = cv2.warpPerspective(opaque, warp, size, flags=cv2.INTER_AREA)
    extent = (low[0], low[0] + size[0] / scale, low[1], low[1] + size[1] / scale)
    axes.imshow(warped, extent=extent, origin="lower", zorder=depth - 0.1, aspect="auto")


def _skeleton(
    axes: Axes, eye: Eye, joints: Real, names: JointSet, colour: Any, depth: float
) -> None:
    """Draw the bones, and their shadow on the ground."""
    ends = np.array(names.bones)
    shadow = eye.project(joints * [1, 1, 0])[ends]
    axes.add_collection(
        LineCollection(
            list(shadow), colors=(0, 0, 0, 0.10), linewidths=2.2, capstyle="round", zorder=4
        )
    )
    bones = eye.project(joints)[ends]
    for width, paint in ((4.2, PAPER), (2.4, colour)):
        axes.add_collection(
            LineCollection(
                list(bones), colors=[paint], linewidths=width, capstyle="round", zorder=depth
            )
        )
    head = eye.project(joints[names.index("head")])
    axes.plot(*head, "o", ms=5.5, color=colour, mec=PAPER, mew=0.8, zorder=depth)
