"""The direction of gravity: pictures are nearly level, and over time an athlete is in balance.

The cues have robust weights: a rolled camera or an athlete who lies down is an outlier.
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
"""Share of the body's mass and how far along a segment it lies; Winter, Biomechanics and Motor
Control of Human Movement."""

# one standard deviation each (rad); guesses, not measured
_ROLL = 0.05  # of a tripod's roll
_TILT = 0.4  # of a camera's tilt
_TILTS = 0.15  # of the difference between the cameras' tilts
_BALANCE = 0.1  # of the mean direction from foot to centre of mass
_ROUNDS = 20


def estimate_up(
    rig: Rig, joints: Float[Real, "N J 3"], names: JointSet, foot: float
) -> Float[Real, "3"]:
    """The unit vector against gravity in the rig's world.

    It is normal to the pictures' horizontals, roughly along their verticals, all cameras are
    tilted alike to it, and the athlete is in balance along it. `foot` is the height of an ankle,
    in the unit of the joints.
    """
    axes = rig.view_from_world.reshape(-1, len(rig.cameras), 3, 3)
    tries = []
    first = -axes[:, :, 1].mean((0, 1))
    for guess in (first, _middle(_balance(joints, names, first, foot))):
        body = _middle(_balance(joints, names, guess, foot))
        tries.append(_solve(axes, body, guess))
    return min(tries, key=lambda found: found[1])[0]


def _solve(
    axes: Float[Real, "N V 3 3"], body: Float[Real, "3"], up: Float[Real, "3"]
) -> tuple[Float[Real, "3"], float]:
    """The direction of least cost near a guess, and its cost; Cauchy's kernel throughout."""
    upward = np.concatenate([-axes[:, :, 1].mean(0), body[None]])  # (V + 1, 3)
    sigma = np.append(np.full(len(upward) - 1, _TILT), _BALANCE)
    sigma[-1] = sigma[-1] if body.any() else np.inf
    ahead = axes[:, :, 2].mean(0)
    ahead = ahead - ahead.mean(0)
    cost = np.inf
    for _ in range(_ROUNDS):
        rolled = np.square(axes[:, :, 0] @ up).mean(0) / _ROLL**2
        tilted = np.square(ahead @ up) / _TILTS**2
        apart = np.square(upward - up).sum(-1) / sigma**2
        cost = float(np.log1p(rolled).sum() + np.log1p(tilted).sum() + np.log1p(apart).sum())
        level = np.einsum("v,nvi,nvj->ij", 1 / (1 + rolled), axes[:, :, 0], axes[:, :, 0])
        plane = level / len(axes) / _ROLL**2
        plane = plane + (ahead.T / (1 + tilted)) @ ahead / _TILTS**2
        pull = sigma**-2 / (1 + apart)
        up = np.linalg.solve(plane + pull.sum() * np.eye(3), pull @ upward)
        up = up / max(float(np.linalg.norm(up)), 1e-12)
    return np.asarray(up), cost


def _middle(directions: Float[Real, "N 3"]) -> Float[Real, "3"]:
    """The geometric median of unit vectors, itself one; zeros if there are none."""
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
    """Unit vectors from the foot that bears to the centre of mass, vertical over time by balance;
    instants without one left out.
    """
    mass = np.zeros(len(names))
    for share, (near, far), at in _MASSES:
        mass[names.index(near)] += share * (1 - at)
        mass[names.index(far)] += share * at
    feet = joints[:, [names.index(f"{side}ankle") for side in "lr"]]
    height = feet @ up
    bears = np.exp(-(height - height.min(1, keepdims=True)) / foot)
    bears = bears / bears.sum(1, keepdims=True)
    upward = mass @ joints / mass.sum() - np.einsum("ns,nsi->ni", bears, feet)
    upward = upward[np.isfinite(upward).all(-1)]
    return np.asarray(upward / np.maximum(np.linalg.norm(upward, axis=-1, keepdims=True), 1e-9))
