"""Known intrinsics of cameras: focal length, principal point and distortion, from a calibration
with a board, a maker's sheet, or an earlier night.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from cvsf.multiview.lens_distortion import COEFFICIENTS
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]

_MOST_SQUEEZE = 0.02  # difference of fx and fy
_MOST_SHAPE = 0.01  # difference of the pictures' shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Intrinsics:
    """Of V cameras; NaN where unknown. A known focal length comes with a principal point and a
    distortion.
    """

    focal_px: Float[Real, "V"]
    centre_px: Float[Real, "V 2"]
    """Principal points."""
    distortion: Float[Real, "V 5"]
    """k1, k2, p1, p2, k3 in OpenCV's order."""

    @classmethod
    def unknown(cls, views: int) -> Self:
        """Of so many cameras, all NaN."""
        nothing = np.full((views, COEFFICIENTS + 3), np.nan)
        return cls(
            focal_px=nothing[:, 0], centre_px=nothing[:, 1:3], distortion=nothing[:, 3:].copy()
        )

    @property
    def is_known(self) -> Bool[npt.NDArray[np.bool_], "V"]:
        """The cameras whose focal length is known."""
        return np.isfinite(self.focal_px)

    @property
    def K(self) -> Float[Real, "V 3 3"]:
        """Camera matrices; NaN where unknown."""
        K = np.zeros((len(self.focal_px), 3, 3))
        K[:, 0, 0] = K[:, 1, 1] = self.focal_px
        K[:, :2, 2], K[:, 2, 2] = self.centre_px, 1
        return np.where(self.is_known[:, None, None], K, np.nan)

    def of_views(self, views: Sequence[int]) -> Self:
        """Those of the cameras with these indices, in this order; IndexError of an unknown one."""
        index = list(views)
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def with_view(self, view: int, one: Self) -> Self:
        """With those of one camera in place of the view's; IndexError of an unknown view."""
        arrays = {f.name: getattr(self, f.name).copy() for f in fields(self)}
        for name, array in arrays.items():
            array[view] = getattr(one, name)[0]
        return replace(self, **arrays)

    def or_else(self, other: Self) -> Self:
        """These, and the other ones of cameras whose are unknown here."""
        unknown = ~self.is_known
        arrays = {f.name: getattr(self, f.name).copy() for f in fields(self)}
        for name, array in arrays.items():
            array[unknown] = getattr(other, name)[unknown]
        return replace(self, **arrays)

    def without(self, views: Sequence[int]) -> Self:
        """With nothing known of these cameras."""
        arrays = {f.name: getattr(self, f.name).copy() for f in fields(self)}
        for array in arrays.values():
            array[list(views)] = np.nan
        return replace(self, **arrays)


def intrinsics_of(
    name: str,
    K: Float[Real, "..."],
    distortion: Sequence[float],
    calibrated_px: tuple[float, float] | None,
    size_px: tuple[float, float],
) -> Intrinsics:
    """Of one camera, from a camera matrix and OpenCV's coefficients for pictures of
    `calibrated_px`, scaled to pictures of `size_px` (width, height; None: they have that size).

    ValueError, one sentence that names the camera, if the matrix is none, the pictures differ in
    shape, pixels are not square, or there are more coefficients than five.
    """
    if K.shape != (3, 3) or not np.isfinite(K).all() or min(K[0, 0], K[1, 1]) <= 0:
        raise ValueError(
            f"the matrix of {name} is no camera matrix, expected 3 x 3 with fx, fy > 0"
        )
    fx, fy = float(K[0, 0]), float(K[1, 1])
    if abs(fx / fy - 1) > _MOST_SQUEEZE:
        raise ValueError(
            f"fx and fy of {name} are {fx:.0f} and {fy:.0f}, expected equal to "
            f"{_MOST_SQUEEZE:.0%}; were its pictures stretched?"
        )
    if len(distortion) > COEFFICIENTS and np.any(np.array(distortion[COEFFICIENTS:])):
        raise ValueError(
            f"{name} has {len(distortion)} distortion coefficients, expected {COEFFICIENTS} or "
            "fewer (k1, k2, p1, p2, k3); calibrate it without the rational model"
        )
    if not np.isfinite(distortion).all():
        raise ValueError(f"the distortion of {name} has values that are no numbers")
    scale = 1.0
    if calibrated_px is not None:
        (width, height), (wanted, tall) = calibrated_px, size_px
        if abs(width / height / (wanted / tall) - 1) > _MOST_SHAPE:
            raise ValueError(
                f"{name} was calibrated at {width:.0f} x {height:.0f}, its pictures are "
                f"{wanted:.0f} x {tall:.0f}; give intrinsics of the same shape of picture"
            )
        scale = wanted / width
    padded = np.zeros(COEFFICIENTS)
    padded[: len(distortion)] = distortion[:COEFFICIENTS]
    # a pixel's centre is half a pixel from its corner
    centre = scale * (np.array(K[:2, 2], float) + 0.5) - 0.5
    return Intrinsics(
        focal_px=np.array([scale * np.sqrt(fx * fy)]),
        centre_px=centre[None],
        distortion=padded[None],
    )
