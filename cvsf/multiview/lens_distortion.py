"""Lens distortion in OpenCV's model of five coefficients: k1, k2, p1, p2, k3 (Brown 1971).

Points are (x, y) / z in view axes, without unit: 1 is 45 degrees off the axis.
"""

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

COEFFICIENTS = 5
_ROUNDS = 12  # of the fixed point iteration; it leaves 1e-6 of k1 = -0.3 at 45 degrees
_LEAST_FACTOR = 0.3  # of the radial factor: beyond it no point is the distorted one


def distorted(points: Float[Real, "*N V J 2"], distortion: Float[Real, "V 5"]) -> Real:
    """The points as the lenses of the V views show them. Far outside the picture the model of a
    lens may fold back, as OpenCV's does.
    """
    if not distortion.any():
        return points
    factor, _ = _radial(points, distortion)
    x, y = points[..., 0], points[..., 1]
    p1, p2 = distortion[:, None, 2], distortion[:, None, 3]
    square = x * x + y * y
    aside = np.stack(
        [2 * p1 * x * y + p2 * (square + 2 * x * x), p1 * (square + 2 * y * y) + 2 * p2 * x * y], -1
    )
    return np.asarray(factor[..., None] * points + aside)


def distortion_jacobian(
    points: Float[Real, "*N V J 2"], distortion: Float[Real, "V 5"]
) -> Float[Real, "*N V J 2 2"]:
    """Derivatives of `distorted` by the points."""
    factor, slope = _radial(points, distortion)
    x, y = points[..., 0], points[..., 1]
    p1, p2 = distortion[:, None, 2], distortion[:, None, 3]
    across = 2 * (x * y * slope + p1 * x + p2 * y)
    along_x = factor + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    along_y = factor + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return np.stack([np.stack([along_x, across], -1), np.stack([across, along_y], -1)], -2)


def undistorted(points: Float[Real, "*N V J 2"], distortion: Float[Real, "V 5"]) -> Real:
    """The points that `distorted` shows at these places; NaN stays NaN."""
    found = points
    for _ in range(_ROUNDS if distortion.any() else 0):
        aside = distorted(found, distortion)
        factor, _ = _radial(found, distortion)
        shift = aside - factor[..., None] * found
        found = (points - shift) / np.maximum(factor, _LEAST_FACTOR)[..., None]
    return np.asarray(found)


def _radial(
    points: Float[Real, "*N V J 2"], distortion: Float[Real, "V 5"]
) -> tuple[Float[Real, "*N V J"], Float[Real, "*N V J"]]:
    """The radial factor, and its derivative by the squared radius."""
    k1, k2, k3 = (distortion[:, None, at] for at in (0, 1, 4))
    square = np.square(points).sum(-1)
    factor = 1 + square * (k1 + square * (k2 + square * k3))
    return factor, k1 + square * (2 * k2 + 3 * square * k3)
