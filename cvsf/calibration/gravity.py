"""Gravity from three cues: level pictures, equally tilted cameras and the athlete's balance.

The cues have robust weights, so that a rolled camera or an athlete who lies down is an outlier.
"""

import numpy as np

from cvsf.multiview.rig import Real, Rig
from cvsf.shapes import Float
from cvsf.skeleton import JointSet

_MASSES = (
    (0.497, ("hip", "thorax"), 0.5),
    (0.081, ("thorax", "head"), 0.5),
    *((0.028, (f"{s}shoulder", f"{s}elbow"), 0.436) for s in "lr"),
    *((0.022, (f"{s}elbow", f"{s}wrist"), 0.682) for s in "lr"),
    *((0.100, (f"{s}hip", f"{s}knee"), 0.433) for s in "lr"),
    *((0.061, (f"{s}knee", f"{s}ankle"), 0.606) for s in "lr"),
)
"""Mass of each segment over that of the body, its ends, and its centre of mass over the length from
the first; Winter, Biomechanics and Motor Control of Human Movement."""

# standard deviations (rad); guesses, not measured
_ROLL = 0.05  # of a camera's roll
_TILT = 0.4  # of a camera's tilt
_TILTS = 0.15  # of a camera's tilt from the mean tilt
_BALANCE = 0.1  # of the median direction from foot to centre of mass
_ROUNDS = 20  # of IRLS; a guess, not measured


def estimate_up(
    rig: Rig, joints: Float[Real, "N J 3"], names: JointSet, foot: float
) -> Float[Real, "3"]:
    """The unit vector against gravity (up), in the rig's world. An instant with a NaN joint gives
    no balance; if all have one, the cameras alone decide.

    It is normal to the pictures' x axes and roughly along their negative y axes, all cameras have a
    similar tilt to it, and it is along the line from the supporting foot to the centre of mass
    (balance; Winter). `foot` is the height of an ankle above the sole, in the unit of the joints.
    """
    axes = rig.view_from_world.reshape(-1, len(rig.cameras), 3, 3)
    tries = []
    first = -axes[:, :, 1].mean((0, 1))
    for guess in (first, _geometric_median(_balance(joints, names, first, foot))):
        body = _geometric_median(_balance(joints, names, guess, foot))
        tries.append(_solve(axes, body, guess))
    return min(tries, key=lambda solution: solution[1])[0]


def _solve(
    axes: Float[Real, "N V 3 3"], body: Float[Real, "3"], up: Float[Real, "3"]
) -> tuple[Float[Real, "3"], float]:
    """The direction of least cost near a guess, and its cost (Cauchy kernel on every cue)."""
    upward = np.concatenate([-axes[:, :, 1].mean(0), body[None]])  # (V + 1, 3)
    sigma = np.append(np.full(len(upward) - 1, _TILT), _BALANCE)
    sigma[-1] = sigma[-1] if body.any() else np.inf
    ahead = axes[:, :, 2].mean(0)
    ahead = ahead - ahead.mean(0)
    cost = np.inf
    for _ in range(_ROUNDS):
        roll = np.square(axes[:, :, 0] @ up).mean(0) / _ROLL**2
        tilt = np.square(ahead @ up) / _TILTS**2
        off_vertical = np.square(upward - up).sum(-1) / sigma**2
        cost = float(np.log1p(roll).sum() + np.log1p(tilt).sum() + np.log1p(off_vertical).sum())
        level = np.einsum("v,nvi,nvj->ij", 1 / (1 + roll), axes[:, :, 0], axes[:, :, 0])
        plane = level / len(axes) / _ROLL**2
        plane = plane + (ahead.T / (1 + tilt)) @ ahead / _TILTS**2
        pull = sigma**-2 / (1 + off_vertical)
        up = np.linalg.solve(plane + pull.sum() * np.eye(3), pull @ upward)
        up = up / max(float(np.linalg.norm(up)), 1e-12)
    return np.asarray(up), cost


def _geometric_median(directions: Float[Real, "N 3"]) -> Float[Real, "3"]:
    """The geometric median of unit vectors, at unit length; zeros if there are none."""
    if not len(directions):
        return np.zeros(3)
    middle = directions.mean(0)
    for _ in range(_ROUNDS):
        weight = 1 / np.maximum(np.linalg.norm(directions - middle, axis=-1), 1e-3)
        middle = weight @ directions / weight.sum()
    return np.asarray(middle / max(float(np.linalg.norm(middle)), 1e-9))


def _balance(
    joints: Float[Real, "N J 3"], names: JointSet, up: Float[Real, "3"], foot: float
) -> Float[Real, "M 3"]:
    """Unit vectors from the supporting foot to the centre of mass, of the instants that have both;
    their median over time is vertical.
    """
    mass = np.zeros(len(names))
    for share, (near, far), at in _MASSES:
        mass[names.index(near)] += share * (1 - at)
        mass[names.index(far)] += share * at
    feet = joints[:, [names.index(f"{side}ankle") for side in "lr"]]
    height = feet @ up
    support = np.exp(-(height - height.min(1, keepdims=True)) / foot)
    support = support / support.sum(1, keepdims=True)
    upward = mass @ joints / mass.sum() - np.einsum("ns,nsi->ni", support, feet)
    upward = upward[np.isfinite(upward).all(-1)]
    return np.asarray(upward / np.maximum(np.linalg.norm(upward, axis=-1, keepdims=True), 1e-9))
