"""The world of metres in which a calibrated rig stands: z up, the ground at 0, the athlete's scale.

What made a metre of the unit is always named, and an assumed stature is named as assumed.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cvsf.calibration.gravity import plumb
from cvsf.calibration.metric_scale import SEGMENTS, Scale
from cvsf.multiview.rig import Body, Calibration, Real, Rig
from cvsf.reconstruction.reconstruct import Placed
from cvsf.skeleton import JointSet

ADULT_M = 1.70
"""The stature taken where nothing is known; adults are within 6 % of it (one sigma)."""

_FOOT = 0.039  # ankle above the sole, of the stature; Winter, as for the segments
_TO_CROWN = ("thorax", "head")
_WHOLE = 1 - _FOOT  # ankle to crown
_SEEN_SHARE = 0.05  # of the instants, in two views: a joint with less tells no length

_NEAR_M = 1.0  # of the first position: whose ground the origin lies on
_FIRST = 10  # instants that are near it in any case
_LOWEST = 10.0  # percentile of the lower ankle that stands on the ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """Where a found world's points are in the upright one: X becomes scale * turn @ X + shift."""

    turn: Real  # (3, 3)
    shift: Real  # (3,) metres
    scale: float
    source: str

    def joints(self, joints: Real) -> Real:
        """Points (..., 3) of the found world in the upright one."""
        return np.asarray(self.scale * joints @ self.turn.T + self.shift)


def stand(calibration: Calibration, placed: Placed, scale: Scale) -> Calibration:
    """The calibration in an upright world of metres."""
    return stood(calibration, footing(calibration, placed, scale))


def stood(calibration: Calibration, found: Footing) -> Calibration:
    """The calibration in the world of a footing."""
    return replace(
        calibration,
        rig=calibration.rig.moved(found.turn, found.shift, found.scale),
        body=replace(calibration.body, bones=found.scale * calibration.body.bones),
        scale_source=found.source,
    )


def move(placed: Placed, found: Footing) -> Placed:
    """The skeletons in the world of a footing."""
    return replace(
        placed,
        joints=found.joints(placed.joints),
        deviation=found.scale * placed.deviation,
    )


def footing(calibration: Calibration, placed: Placed, scale: Scale) -> Footing:
    """How the found world is turned, shifted and sized.

    z is up. The origin lies on the ground under the place where the athlete was first seen. x is
    the right hand side of camera 0's first picture, made level, so y is where that camera looks.
    """
    joints, seen = placed.joints, placed.views_seen
    size = _metres(calibration, seen, scale)
    names = calibration.body.joint_set
    foot = _FOOT * stature_of(calibration.body, seen)
    turn = _axes(calibration.rig, plumb(calibration.rig, joints, names, foot))
    ground = _origin(size * joints @ turn.T, seen, names, size * foot)
    return Footing(turn=turn, shift=-ground, scale=size, source=scale.source)


def stature_of(body: Body, views_seen: npt.NDArray[np.integer]) -> float:
    """The athlete's stature in the body's unit, from the bones whose ends were seen.

    Ankle to crown is nearly all of it and needs no ratio; without a head, the segments vote by
    their share of it, and the (weighted) median wins.
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
    body: Body, chains: tuple[tuple[str, ...], ...], known: npt.NDArray[np.bool_]
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


def _metres(calibration: Calibration, seen: npt.NDArray[np.integer], scale: Scale) -> float:
    """Metres of one unit of the found world."""
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


def _axes(rig: Rig, up: Real) -> Real:
    """Rows x, y, z of the upright world in the found one."""
    first = rig.view_from_world.reshape(-1, len(rig.cameras), 3, 3)[0, 0]
    ahead = np.cross(up, first[0])  # nothing is ever right above: a picture's right is level
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    return np.stack([np.cross(ahead, up), ahead, up])


def _origin(upright: Real, seen: npt.NDArray[np.integer], names: JointSet, foot: float) -> Real:
    """The point of the ground under the first position, from the lowest feet near it."""
    root, feet = names.index("hip"), [names.index(f"{side}ankle") for side in "lr"]
    whole = np.isfinite(upright[:, [root, *feet]]).all((1, 2))
    sure = whole & (seen[:, [root, *feet]] > 1).all(1)
    rows = np.flatnonzero(sure if sure.any() else whole)
    if not len(rows):
        raise ValueError("the athlete was never placed, expected feet that stand on the ground")
    flat = upright[rows, root, :2]
    place = np.median(flat[:_FIRST], axis=0)
    near = np.linalg.norm(flat - place, axis=-1) < _NEAR_M
    near[:_FIRST] = True
    low = upright[rows][near][:, feet, 2].min(1)
    return np.array([*place, np.percentile(low, _LOWEST) - foot])
