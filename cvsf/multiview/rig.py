"""The cameras of a session: extrinsics and intrinsics.

A point X of the world has coordinates (x, y, z) = R X + t in the axes of a view and the pixel
centre + focal * distorted((x, y) / z), see `lens_distortion`. View axes: x right, y down, z
forward.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cvsf.multiview.lens_distortion import COEFFICIENTS, distorted, undistorted
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.multiview.triangulation import projection_of
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]
Rows = int | slice | npt.NDArray[Any]
"""Some instants: one, a slice, indices or a mask."""

ROTATION, CENTRE, FOCAL, RADIAL, DELAY = slice(0, 3), slice(3, 6), 6, 7, 8
PRINCIPAL = slice(9, 11)
"""Columns of a camera in a solver: rotation vector in its own axes (rad), centre (in the world's
unit), log focal length, k1, delay (s), principal point (over the picture's longer side)."""
COLUMNS = 11
NEAREST = 0.3
"""Least depth of a projected point, in the world's unit (a metre, or a mean bone of some 0.3 m): no
person is that near to a camera. In mm it only keeps the division finite. A guess, not measured."""
_PER_INSTANT = ("view_from_world", "translation", "focal_px")
_PER_CAMERA = ("image_px", "centre_px", "distortion", "delay_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """V cameras that stand still, or that have a pose and a focal length at each of N instants."""

    cameras: tuple[str, ...]
    image_px: Float[Real, "V 2"]
    """Width and height of the pictures."""
    view_from_world: Float[Real, "*N V 3 3"]
    translation: Float[Real, "*N V 3"]
    """In the world's unit."""
    focal_px: Float[Real, "*N V"]
    centre_px: Float[Real, "V 2"]
    """Principal points."""
    distortion: Float[Real, "V 5"]
    """k1, k2, p1, p2, k3 in OpenCV's order."""
    delay_s: Float[Real, "V"]
    """Time offset: a picture was taken that much later than its stamp."""

    @classmethod
    def pinhole(
        cls,
        cameras: tuple[str, ...],
        image_px: Float[Real, "V 2"],
        *,
        view_from_world: Float[Real, "*N V 3 3"],
        centres: Float[Real, "*#N V 3"],
        focal_px: Float[Real, "*N V"],
    ) -> Self:
        """Cameras without distortion or time offset, principal points in the middle of the
        pictures. `centres` are the camera centres in the world, in its unit.
        """
        return cls(
            cameras=cameras,
            image_px=image_px,
            view_from_world=view_from_world,
            translation=-(view_from_world @ centres[..., None])[..., 0],
            focal_px=focal_px,
            centre_px=image_px / 2,
            distortion=np.zeros((len(cameras), COEFFICIENTS)),
            delay_s=np.zeros(len(cameras)),
        )

    @property
    def is_panning(self) -> bool:
        """Whether every instant has its own rotations and focal lengths, even if there is one."""
        return self.focal_px.ndim > 1

    @property
    def centres(self) -> Float[Real, "*N V 3"]:
        """Camera centres -R^T t in the world, in its unit."""
        return np.asarray(-np.einsum("...vji,...vj->...vi", self.view_from_world, self.translation))

    @property
    def log_focal(self) -> Float[Real, "*N V"]:
        """Natural logarithm of the focal length in px, the unknown of the solvers."""
        return np.asarray(np.log(self.focal_px))

    @property
    def projection(self) -> Float[Real, "*N V 3 4"]:
        """Camera matrices K [R | t], for pixels that `undistorted` returned."""
        matrices = projection_of(
            self.view_from_world, self.translation, self.focal_px, self.centre_px
        )
        return np.asarray(matrices, float)

    def project(self, joints: Float[Real, "N J 3"]) -> Float[Real, "N V J 2"]:
        """Pixels of joints in the world, with lens distortion, not cut at the picture. Joints
        nearer than `NEAREST`, also behind the camera, get that depth: finite pixels without
        meaning.
        """
        local = self.in_views(joints)
        flat = local[..., :2] / np.maximum(local[..., 2:], NEAREST)
        shown = distorted(flat, self.distortion)
        return np.asarray(self.focal_px[..., None, None] * shown + self.centre_px[:, None])

    def in_views(self, joints: Float[Real, "N J 3"]) -> Float[Real, "N V J 3"]:
        """Joints R X + t in each view frame (z < 0 is behind), from joints X in the world."""
        rotated = joints[:, None] @ np.swapaxes(self.view_from_world, -1, -2)
        return np.asarray(rotated + self.translation[..., None, :])

    def undistorted(self, keypoints_px: Float[np.ndarray, "N V J 2"]) -> Float[Real, "N V J 2"]:
        """The keypoints (px) as a lens without distortion would show them; NaN stays NaN."""
        flat = (keypoints_px - self.centre_px[:, None]) / self.focal_px[..., None, None]
        straight = undistorted(flat, self.distortion)
        return np.asarray(straight * self.focal_px[..., None, None] + self.centre_px[:, None])

    def transformed(self, R: Float[Real, "3 3"], shift: Float[Real, "3"], scale: float) -> Self:
        """The same cameras and pixels in a world where X becomes scale * R @ X + shift."""
        rotation = self.view_from_world @ R.T
        return replace(
            self,
            view_from_world=rotation,
            translation=scale * self.translation - rotation @ shift,
        )

    def stepped(self, step: Float[Real, "*N V 11"]) -> Self:
        """The cameras after a solver's step: rotation vector in the camera's axes, added centre,
        log focal length, k1, time offset and principal point. The last three are those of the first
        instant.
        """
        step_rotation = rotation_from_vector(step[..., ROTATION])
        rotation = step_rotation @ self.view_from_world
        shift = step_rotation @ self.translation[..., None] - rotation @ step[..., CENTRE, None]
        shared = step.reshape(-1, *step.shape[-2:])[0]
        return replace(
            self,
            view_from_world=rotation,
            translation=shift[..., 0],
            focal_px=self.focal_px * np.exp(step[..., FOCAL]),
            distortion=self.distortion + shared[:, RADIAL, None] * np.eye(COEFFICIENTS)[0],
            centre_px=self.centre_px + shared[:, PRINCIPAL] * self.image_px.max(1)[:, None],
            delay_s=self.delay_s + shared[:, DELAY],
        )

    @property
    def principal_shift(self) -> Float[Real, "V 2"]:
        """Principal points from the middle of the pictures, over their longer side."""
        return np.asarray((self.centre_px - self.image_px / 2) / self.image_px.max(1)[:, None])

    def rows(self, rows: Rows) -> Self:
        """Panning cameras at some instants, or at one index as still ones; a still rig itself."""
        if not self.is_panning:
            return self
        return replace(self, **{name: getattr(self, name)[rows] for name in _PER_INSTANT})

    def of_views(self, views: Sequence[int]) -> Self:
        """The cameras with these indices, in this order; IndexError of an unknown one."""
        index = list(views)
        still = {name: getattr(self, name)[index] for name in _PER_CAMERA}
        per_instant = {
            name: getattr(self, name)[:, index] if self.is_panning else getattr(self, name)[index]
            for name in _PER_INSTANT
        }
        names = tuple(self.cameras[view] for view in index)
        return replace(self, cameras=names, **still, **per_instant)

    def extended(self, others: Sequence["Rig"]) -> "Rig":
        """Panning cameras with the instants of other rigs of the same cameras after their own."""
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(rig, name) for rig in (self, *others)])
            for name in _PER_INSTANT
        }
        return replace(self, **arrays)

    def with_rows(self, rows: Rows, other: Self) -> Self:
        """Panning cameras with the instants `rows` replaced by those of another rig, in order."""
        arrays = {name: getattr(self, name).copy() for name in _PER_INSTANT}
        for name, array in arrays.items():
            array[rows] = getattr(other, name)
        return replace(self, **arrays)
