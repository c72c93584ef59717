"""The world frame of a calibrated rig: metres, z up, the ground at 0.

The source of the metric scale is part of the result, `adult` for an assumed stature.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cvsf.calibration.gravity import estimate_up
from cvsf.calibration.metric_scale import (
    SEGMENTS,
    Scale,
    deviation_of_bone,
    deviation_of_distance,
    deviation_of_stature,
)
from cvsf.multiview.body import Body
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rig import Real, Rig
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.shapes import Bool, Float, Int
from cvsf.skeleton import JointSet

ADULT_M = 1.70
"""The stature assumed where no length is known; its standard deviation among adults is 6 %."""

_FOOT = 0.039  # ankle above the sole, of the stature; Winter, as for the segments
_TO_CROWN = ("thorax", "head")
_ANKLE_TO_CROWN = 1 - _FOOT  # of the stature
# guesses, not measured
_SEEN_SHARE = 0.05  # of the instants, in two views: the least for a joint to give a length
_NEAR_M = 1.0  # from the first position: instants that give the height of the ground
_FIRST = 10  # instants that give the first position
_LOWEST = 10.0  # percentile of the lower ankle's height that is a foot on the ground


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldFrame:
    """From the axes and unit of a calibration: X becomes scale * R @ X + shift."""

    R: Float[Real, "3 3"]
    shift: Float[Real, "3"]
    """In metres."""
    scale: float
    source: str
    deviation_share: float | None = None
    """One standard deviation of the scale, as a share of it; None: not stated."""

    def points(self, points: Float[Real, "*batch 3"]) -> Float[Real, "*batch 3"]:
        """Points in the world frame (m, z up), from points in the axes and unit of the calibration.
        NaN stays NaN.
        """
        return np.asarray(self.scale * points @ self.R.T + self.shift)

    def calibration(self, calibration: Calibration) -> Calibration:
        """A new calibration in the world frame (z up), from one in the axes and unit of this
        frame's calibration: extrinsics and bone lengths in metres, its scale source and deviation
        those of this frame. Standard deviations of the cameras stay as they are: degrees, px and
        shares do not depend on the unit of length.
        """
        people = calibration.people
        return replace(
            calibration,
            rig=calibration.rig.transformed(self.R, self.shift, self.scale),
            body=calibration.body.scaled(self.scale),
            people=people and people.scaled(self.scale),
            scale_source=self.source,
            scale_deviation_share=self.deviation_share,
        )

    def reconstruction(self, reconstruction: Reconstruction) -> Reconstruction:
        """A new reconstruction in the world frame, from one in the calibration's axes and unit:
        joints and standard deviations in metres. Numbers of views and residuals stay; they share
        memory with the given one.
        """
        return replace(
            reconstruction,
            joints=self.points(reconstruction.joints),
            deviation=self.scale * reconstruction.deviation,
        )


def to_world_frame(
    calibration: Calibration, reconstruction: Reconstruction, scale: Scale
) -> Calibration:
    """The calibration in the world frame (m) that its reconstruction determines, as
    `find_world_frame`. ValueError if no bone that gives the scale, or no foot, was observed, or a
    camera of a known distance is not in the rig.
    """
    return find_world_frame(calibration, reconstruction, scale).calibration(calibration)


def find_world_frame(
    calibration: Calibration, reconstruction: Reconstruction, scale: Scale
) -> WorldFrame:
    """The world frame from a calibration and its reconstruction, which is in its axes and unit.
    Where people follow one another, the known stature or bone is that of the first.

    z is up. The origin is on the ground under the first position of the athlete. x is the
    horizontal part of the x axis of camera 0 at the first instant; so y is the horizontal viewing
    direction of that camera. ValueError if no bone that gives the scale, or no foot, was observed,
    or a camera of a known distance is not in the rig.
    """
    joints, views_seen = reconstruction.joints, reconstruction.views_seen
    size = _metres(calibration, views_seen, scale)
    names = calibration.body.joint_set
    foot = _FOOT * stature_of(calibration.body, views_seen)
    R = _axes(calibration.rig, estimate_up(calibration.rig, joints, names, foot))
    ground = _origin(size * joints @ R.T, views_seen, names, size * foot)
    return WorldFrame(
        R=R,
        shift=-ground,
        scale=size,
        source=scale.source,
        deviation_share=_deviation(calibration, reconstruction, scale),
    )


def stature_of(body: Body, views_seen: Int[npt.NDArray[np.integer], "N J"]) -> float:
    """The athlete's stature in the body's unit, from the bones whose ends two or more views
    observed in 5 % of the instants or more.

    It is that from ankle to crown plus the foot; without a head, the median of the statures that
    the segments give, weighted by their share of the stature (Drillis and Contini 1966). ValueError
    if no segment was observed.
    """
    known = (views_seen > 1).mean(0) >= _SEEN_SHARE
    lengths = {name: _length(body, chains, known) for name, (_, chains) in SEGMENTS.items()}
    head = _length(body, (_TO_CROWN,), known)
    ankle_to_crown = [lengths["shin"], lengths["thigh"], lengths["trunk"], head]
    if all(length is not None for length in ankle_to_crown):
        return sum(length for length in ankle_to_crown if length is not None) / _ANKLE_TO_CROWN
    votes = sorted(
        (length / SEGMENTS[name][0], SEGMENTS[name][0])
        for name, length in lengths.items()
        if length is not None
    )
    if not votes:
        raise ValueError("no limb was observed by two cameras, expected bones that give the scale")
    shares = np.cumsum([share for _, share in votes])
    return float(votes[int(np.searchsorted(shares, shares[-1] / 2))][0])


def _length(
    body: Body, chains: tuple[tuple[str, ...], ...], known: Bool[npt.NDArray[np.bool_], "J"]
) -> float | None:
    """Mean length over the chains whose joints were all observed; None if there is none."""
    at = {joint: index for index, joint in enumerate(body.joint_set.joints)}
    number = {bone: index for index, bone in enumerate(body.joint_set.bones)}
    found = []
    for chain in chains:
        links = [(at.get(a, -1), at.get(b, -1)) for a, b in pairwise(chain)]
        if all(link in number and known[list(link)].all() for link in links):
            found.append(sum(float(body.bones[number[link]]) for link in links))
    return float(np.mean(found)) if found else None


def _metres(
    calibration: Calibration, seen: Int[npt.NDArray[np.integer], "N J"], scale: Scale
) -> float:
    """Metres of one unit of the calibration."""
    if scale.cameras is not None:
        *pair, metres = scale.cameras
        if not set(pair) <= set(calibration.rig.cameras):
            lost = next(camera for camera in pair if camera not in calibration.rig.cameras)
            raise ValueError(
                f"the distance of {' and '.join(pair)} is given, but {lost} is not in the rig"
            )
        i, j = (calibration.rig.cameras.index(camera) for camera in pair)
        distance = np.linalg.norm(
            calibration.rig.centres[..., i, :] - calibration.rig.centres[..., j, :], axis=-1
        )
        return metres / float(np.median(distance))
    if scale.bone is not None:
        name, metres = scale.bone
        if name not in SEGMENTS:
            raise ValueError(f"bone is {name!r}, expected one of {', '.join(SEGMENTS)}")
        known = (seen > 1).mean(0) >= _SEEN_SHARE
        length = _length(calibration.body, SEGMENTS[name][1], known)
        if length is None:
            raise ValueError(
                f"the {name} was not observed by two cameras, expected a bone that was"
            )
        return metres / length
    return (scale.height_m or ADULT_M) / stature_of(calibration.body, seen)


def _deviation(calibration: Calibration, reconstruction: Reconstruction, scale: Scale) -> float:
    """One standard deviation of the scale that `_metres` found, as a share of it."""
    if scale.cameras is not None:
        return deviation_of_distance(calibration, reconstruction.joints, scale.cameras[:2])
    if scale.bone is not None:
        return deviation_of_bone(calibration)
    seen, body = reconstruction.views_seen, calibration.body
    known = (seen > 1).mean(0) >= _SEEN_SHARE
    lengths = {name: _length(body, chains, known) for name, (_, chains) in SEGMENTS.items()}
    statures = {n: length / SEGMENTS[n][0] for n, length in lengths.items() if length is not None}
    given = scale.height_m is not None
    return deviation_of_stature(calibration, statures, stature_of(body, seen), given=given)


def _axes(rig: Rig, up: Float[Real, "3"]) -> Float[Real, "3 3"]:
    """Rows x, y, z of the world frame in the axes of the rig."""
    first = rig.view_from_world.reshape(-1, len(rig.cameras), 3, 3)[0, 0]
    # a picture's x axis is nearly level, so it is never parallel to `up`
    ahead = np.cross(up, first[0])
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    return np.stack([np.cross(ahead, up), ahead, up])


def _origin(
    joints: Float[Real, "N J 3"],
    seen: Int[npt.NDArray[np.integer], "N J"],
    names: JointSet,
    foot: float,
) -> Float[Real, "3"]:
    """The point on the ground under the first position, from the lowest feet near it."""
    root, feet = names.index("hip"), [names.index(f"{side}ankle") for side in "lr"]
    is_complete = np.isfinite(joints[:, [root, *feet]]).all((1, 2))
    measured = is_complete & (seen[:, [root, *feet]] > 1).all(1)
    rows = np.flatnonzero(measured if measured.any() else is_complete)
    if not len(rows):
        raise ValueError("no instant has both ankles and the pelvis, expected feet on the ground")
    flat = joints[rows, root, :2]
    first = np.median(flat[:_FIRST], axis=0)
    near = np.linalg.norm(flat - first, axis=-1) < _NEAR_M
    near[:_FIRST] = True
    low = joints[rows][near][:, feet, 2].min(1)
    return np.array([*first, np.percentile(low, _LOWEST) - foot])
