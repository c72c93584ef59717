"""The world frame of a calibrated rig: metres, z up, the ground at 0.

The source of the scale is always named, and an assumed stature is named as assumed.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cvsf.calibration.gravity import estimate_up
from cvsf.calibration.metric_scale import SEGMENTS, Scale
from cvsf.multiview.rig import Body, Calibration, Real, Rig
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.shapes import Bool, Float, Int
from cvsf.skeleton import JointSet

ADULT_M = 1.70
"""The stature assumed where nothing is known; its standard deviation among adults is 6 %."""

_FOOT = 0.039  # ankle above the sole, of the stature; Winter, as for the segments
_TO_CROWN = ("thorax", "head")
_WHOLE = 1 - _FOOT  # ankle to crown
# guesses, not measured
_SEEN_SHARE = 0.05  # of the instants, in two views: the least for a joint to give a length

_NEAR_M = 1.0  # of the first position: whose ground the origin lies on
_FIRST = 10  # instants that are near it in any case
_LOWEST = 10.0  # percentile of the lower ankle that stands on the ground


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldFrame:
    """From the axes and unit of a calibration: X becomes scale * R @ X + shift."""

    R: Float[Real, "3 3"]
    shift: Float[Real, "3"]
    """In metres."""
    scale: float
    source: str

    def points(self, points: Float[Real, "*batch 3"]) -> Float[Real, "*batch 3"]:
        """Points of the calibration in the world frame."""
        return np.asarray(self.scale * points @ self.R.T + self.shift)

    def calibration(self, calibration: Calibration) -> Calibration:
        """The calibration in the world frame."""
        return replace(
            calibration,
            rig=calibration.rig.moved(self.R, self.shift, self.scale),
            body=replace(calibration.body, bones=self.scale * calibration.body.bones),
            scale_source=self.source,
        )

    def reconstruction(self, found: Reconstruction) -> Reconstruction:
        """The skeletons in the world frame."""
        return replace(
            found, joints=self.points(found.joints), deviation=self.scale * found.deviation
        )


def to_world_frame(calibration: Calibration, found: Reconstruction, scale: Scale) -> Calibration:
    """The calibration in the world frame that its skeletons give."""
    return find_world_frame(calibration, found, scale).calibration(calibration)


def find_world_frame(calibration: Calibration, found: Reconstruction, scale: Scale) -> WorldFrame:
    """The world frame from the skeletons of a calibration.

    z is up. The origin lies on the ground under the first position of the athlete. x is the right
    of camera 0's first picture, made horizontal, so y is where that camera looks. Raises
    ValueError if no bone to scale by, or no foot, was seen.
    """
    joints, seen = found.joints, found.views_seen
    size = _metres(calibration, seen, scale)
    names = calibration.body.joint_set
    foot = _FOOT * stature_of(calibration.body, seen)
    R = _axes(calibration.rig, estimate_up(calibration.rig, joints, names, foot))
    ground = _origin(size * joints @ R.T, seen, names, size * foot)
    return WorldFrame(R=R, shift=-ground, scale=size, source=scale.source)


def stature_of(body: Body, views_seen: Int[npt.NDArray[np.integer], "N J"]) -> float:
    """The athlete's stature in the body's unit, from the bones whose ends were seen.

    Ankle to crown is nearly all of it and needs no ratio; without a head, it is the median of
    what each segment gives, weighted by its share of the stature.
    """
    known = (views_seen > 1).mean(0) >= _SEEN_SHARE
    lengths = {name: _length(body, chains, known) for name, (_, chains) in SEGMENTS.items()}
    head = _length(body, (_TO_CROWN,), known)
    whole = [lengths["shin"], lengths["thigh"], lengths["trunk"], head]
    if all(length is not None for length in whole):
        return sum(length for length in whole if length is not None) / _WHOLE
    votes = sorted(
        (length / SEGMENTS[name][0], SEGMENTS[name][0])
        for name, length in lengths.items()
        if length is not None
    )
    if not votes:
        raise ValueError("no limb was seen by two cameras, expected some bones to scale by")
    shares = np.cumsum([share for _, share in votes])
    return float(votes[int(np.searchsorted(shares, shares[-1] / 2))][0])


def _length(
    body: Body, chains: tuple[tuple[str, ...], ...], known: Bool[npt.NDArray[np.bool_], "J"]
) -> float | None:
    """Mean length over the chains that were seen whole; None if none was."""
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
            raise ValueError(f"{' and '.join(pair)}, whose distance is known, see too little")
        i, j = (calibration.rig.cameras.index(camera) for camera in pair)
        apart = np.linalg.norm(
            calibration.rig.centres[..., i, :] - calibration.rig.centres[..., j, :], axis=-1
        )
        return metres / float(np.median(apart))
    if scale.bone is not None:
        name, metres = scale.bone
        if name not in SEGMENTS:
            raise ValueError(f"bone is {name!r}, expected one of {', '.join(SEGMENTS)}")
        known = (seen > 1).mean(0) >= _SEEN_SHARE
        length = _length(calibration.body, SEGMENTS[name][1], known)
        if length is None:
            raise ValueError(f"the {name} was seen by no two cameras, expected a bone that was")
        return metres / length
    return (scale.height_m or ADULT_M) / stature_of(calibration.body, seen)


def _axes(rig: Rig, up: Float[Real, "3"]) -> Float[Real, "3 3"]:
    """Rows x, y, z of the world frame in the axes of the rig."""
    first = rig.view_from_world.reshape(-1, len(rig.cameras), 3, 3)[0, 0]
    ahead = np.cross(up, first[0])  # nothing is ever right above: a picture's right is level
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    return np.stack([np.cross(ahead, up), ahead, up])


def _origin(
    joints: Float[Real, "N J 3"],
    seen: Int[npt.NDArray[np.integer], "N J"],
    names: JointSet,
    foot: float,
) -> Float[Real, "3"]:
    """The point of the ground under the first position, from the lowest feet near it."""
    root, feet = names.index("hip"), [names.index(f"{side}ankle") for side in "lr"]
    whole = np.isfinite(joints[:, [root, *feet]]).all((1, 2))
    measured = whole & (seen[:, [root, *feet]] > 1).all(1)
    rows = np.flatnonzero(measured if measured.any() else whole)
    if not len(rows):
        raise ValueError(
            "no instant has both feet and hips, expected feet that stand on the ground"
        )
    flat = joints[rows, root, :2]
    first = np.median(flat[:_FIRST], axis=0)
    near = np.linalg.norm(flat - first, axis=-1) < _NEAR_M
    near[:_FIRST] = True
    low = joints[rows][near][:, feet, 2].min(1)
    return np.array([*first, np.percentile(low, _LOWEST) - foot])
