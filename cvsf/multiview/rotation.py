"""Rotations and similarities in numpy: from a matrix, a vector, or two sets of points."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Float

Real = npt.NDArray[np.floating[Any]]
Double = npt.NDArray[np.float64]

_TINY = 1e-12


def nearest_rotation(matrix: Float[Real, "*batch 3 3"]) -> Float[Real, "*batch 3 3"]:
    """The proper rotations nearest to 3x3 matrices in the chordal sense (Hartley et al. 2013);
    never a reflection. LinAlgError of NaN.
    """
    u, _, vt = np.linalg.svd(matrix)
    u = u.copy()
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return np.asarray(u @ vt)


def skew(vector: Float[Real, "*batch 3"]) -> Float[Real, "*batch 3 3"]:
    """The skew-symmetric matrices [v]x of vectors v: [v]x b is the cross product v x b."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    zero = np.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return np.stack(rows, -1).reshape(*vector.shape[:-1], 3, 3)


def rotation_from_vector(vector: Float[Real, "*batch 3"]) -> Float[Real, "*batch 3 3"]:
    """Rodrigues' formula: the right-handed rotation about `vector` by its length in radians; the
    identity for 0. It turns points, in fixed axes.
    """
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    cross = skew(vector)
    sine = np.sinc(angle / np.pi)  # sin(a) / a
    versed = 0.5 * np.square(np.sinc(angle / (2 * np.pi)))  # (1 - cos(a)) / a^2
    return np.asarray(np.eye(3) + sine * cross + versed * (cross @ cross))


def rotation_vector_between(
    to: Float[Real, "*batch 3 3"], start: Float[Real, "*#batch 3 3"]
) -> Float[Real, "*batch 3"]:
    """The rotation vector (radians) for which `rotation_from_vector(vector) @ start` is `to`, in
    the axes on the left of both. Its angle is below 180 degrees; at exactly 180 it cannot be found.
    """
    relative = to @ np.swapaxes(start, -1, -2)
    axis = np.stack(
        [
            relative[..., 2, 1] - relative[..., 1, 2],
            relative[..., 0, 2] - relative[..., 2, 0],
            relative[..., 1, 0] - relative[..., 0, 1],
        ],
        -1,
    )
    sine = np.linalg.norm(axis, axis=-1) / 2
    cosine = (np.trace(relative, axis1=-2, axis2=-1) - 1) / 2
    angle = np.arctan2(sine, cosine)
    return np.asarray((angle / np.maximum(sine, _TINY) / 2)[..., None] * axis)


def angle_between(
    a: Float[Real, "*#batch 3 3"], b: Float[Real, "*#batch 3 3"]
) -> Float[Real, "*batch"]:
    """Angle of the rotation from `a` to `b`, in degrees, 0 to 180; without sign, the same either
    way.
    """
    trace = np.einsum("...ij,...ij->...", a, b)
    return np.asarray(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


class Similarity(NamedTuple):
    """X becomes scale * R @ X + t."""

    scale: Float[Double, "*batch"]
    R: Float[Double, "*batch 3 3"]
    t: Float[Double, "*batch 3"]

    def apply(self, points: Float[Real, "*#batch J 3"]) -> Float[Double, "*batch J 3"]:
        """The points after the similarity, scale * R @ X + t, as a new array in the target's frame
        and unit. The points themselves stay; NaN stays NaN.
        """
        rotated = points @ np.swapaxes(self.R, -1, -2)
        return np.asarray(self.scale[..., None, None] * rotated + self.t[..., None, :], float)


def align(
    source: Float[Real, "*#batch J 3"],
    target: Float[Real, "*#batch J 3"],
    weight: Float[Real, "*#batch J"] | None = None,
    *,
    scale: bool = False,
) -> Similarity:
    """The similarity from source to target with the least sum of squared distances (Umeyama 1991),
    in the target's frame and unit.

    Reflections are excluded. Without `scale` it is rigid, of scale 1. Points of weight 0 are left
    out and may be NaN; without `weight` none may be, else LinAlgError.
    """
    each: Real | float = 1.0
    if weight is None:
        source_mean, target_mean = source.mean(-2), target.mean(-2)
    else:
        each = weight[..., None]
        total = np.maximum(each.sum(-2), _TINY)
        source, target = (np.where(each > 0, points, 0.0) for points in (source, target))
        source_mean, target_mean = ((each * points).sum(-2) / total for points in (source, target))
    from_ = source - source_mean[..., None, :]
    to = each * (target - target_mean[..., None, :])
    R = np.asarray(nearest_rotation(np.swapaxes(to, -1, -2) @ from_), float)
    factor = np.ones(R.shape[:-2])
    if scale:
        spread = (each * np.square(from_)).sum((-2, -1))
        rotated = from_ @ np.swapaxes(R, -1, -2)
        factor = (rotated * to).sum((-2, -1)) / np.maximum(spread, _TINY)
    t = target_mean - factor[..., None] * (R @ source_mean[..., None])[..., 0]
    return Similarity(np.asarray(factor, float), R, np.asarray(t, float))
