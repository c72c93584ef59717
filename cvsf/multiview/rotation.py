"""Rotations in numpy: the nearest one, the turn by a vector, and what lays points over others."""

from typing import Any

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.floating[Any]]

_TINY = 1e-12


def nearest_rotation(matrix: Real) -> Real:
    """The proper rotations nearest to matrices (..., 3, 3) in the chordal sense."""
    u, _, vt = np.linalg.svd(matrix)
    u = u.copy()
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return np.asarray(u @ vt)


def skew(vector: Real) -> Real:
    """Matrices (..., 3, 3) that take b to the cross product of `vector` and b."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    zero = np.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return np.stack(rows, -1).reshape(*vector.shape[:-1], 3, 3)


def turn(vector: Real) -> Real:
    """Rodrigues' formula: the rotation about `vector` (..., 3) by its length in radians."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    cross = skew(vector)
    sine = np.sinc(angle / np.pi)  # sin(a) / a
    versed = 0.5 * np.square(np.sinc(angle / (2 * np.pi)))  # (1 - cos(a)) / a^2
    return np.asarray(np.eye(3) + sine * cross + versed * (cross @ cross))


def turned_by(to: Real, start: Real) -> Real:
    """The vectors (..., 3) with `turn(vector) @ start` near `to`; exact for angles below 180."""
    between = to @ np.swapaxes(start, -1, -2)
    lean = np.stack(
        [
            between[..., 2, 1] - between[..., 1, 2],
            between[..., 0, 2] - between[..., 2, 0],
            between[..., 1, 0] - between[..., 0, 1],
        ],
        -1,
    )
    sine = np.linalg.norm(lean, axis=-1) / 2
    cosine = (np.trace(between, axis1=-2, axis2=-1) - 1) / 2
    angle = np.arctan2(sine, cosine)
    return np.asarray((angle / np.maximum(sine, _TINY) / 2)[..., None] * lean)


def angle_between(a: Real, b: Real) -> Real:
    """Degrees between rotations (..., 3, 3)."""
    trace = np.einsum("...ij,...ij->...", a, b)
    return np.asarray(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


def align(source: Real, target: Real, weight: Real) -> tuple[Real, Real]:
    """Rotation (..., 3, 3) and shift (..., 3) that bring points (..., J, 3) nearest to others."""
    total = np.maximum(weight.sum(-1), _TINY)[..., None]
    middle = (weight[..., None] * source).sum(-2) / total
    centre = (weight[..., None] * target).sum(-2) / total
    from_ = source - middle[..., None, :]
    to = weight[..., None] * (target - centre[..., None, :])
    rotation = nearest_rotation(np.swapaxes(to, -1, -2) @ from_)
    return rotation, centre - np.einsum("...ij,...j->...i", rotation, middle)
