"""The cameras of a session: extrinsics, intrinsics and their standard deviations.

A point X of the world has coordinates (x, y, z) = R X + t in the axes of a view and the pixel
centre + focal (1 + k1 r^2) (x, y) / z, r the length of (x, y) / z (OpenCV's model with k1 alone).
View axes: x right, y down, z forward.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cvsf.multiview.body import Body as Body
from cvsf.multiview.body import People, people_from_plain, people_to_plain
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.multiview.triangulation import projection_of
from cvsf.shapes import Float
from cvsf.skeleton import joint_set

Real = npt.NDArray[np.float64]
Rows = int | slice | npt.NDArray[Any]
"""Some instants: one, a slice, indices or a mask."""

SCHEMA = 1
ROTATION, CENTRE, FOCAL, RADIAL, DELAY = slice(0, 3), slice(3, 6), 6, 7, 8
"""Columns of a camera in a solver: rotation vector in its own axes (rad), centre (in the world's
unit), log focal length, k1, delay (s)."""
COLUMNS = 9
NEAREST = 0.3
"""Least depth of a projected point, in the world's unit (a metre, or a mean bone of some 0.3 m): no
person is that near to a camera. In mm it only keeps the division finite. A guess, not measured."""
_UNDISTORT_ROUNDS = 8  # a guess, not measured
_PER_INSTANT = ("view_from_world", "translation", "focal_px")
_PER_CAMERA = ("image_px", "centre_px", "radial", "delay_s")


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
    radial: Float[Real, "V"]
    """k1."""
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
            radial=np.zeros(len(cameras)),
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
        distortion = 1 + self.radial[:, None] * np.square(flat).sum(-1)
        return np.asarray(
            self.focal_px[..., None, None] * distortion[..., None] * flat + self.centre_px[:, None]
        )

    def in_views(self, joints: Float[Real, "N J 3"]) -> Float[Real, "N V J 3"]:
        """Joints R X + t in each view frame (z < 0 is behind), from joints X in the world."""
        rotated = joints[:, None] @ np.swapaxes(self.view_from_world, -1, -2)
        return np.asarray(rotated + self.translation[..., None, :])

    def undistorted(self, keypoints_px: Float[np.ndarray, "N V J 2"]) -> Float[Real, "N V J 2"]:
        """The keypoints (px) as a lens without k1 would show them (Brown 1971); NaN stays NaN."""
        flat = (keypoints_px - self.centre_px[:, None]) / self.focal_px[..., None, None]
        undistorted = flat
        for _ in range(_UNDISTORT_ROUNDS if self.radial.any() else 0):
            distortion = 1 + self.radial[:, None] * np.square(undistorted).sum(-1)
            undistorted = flat / np.maximum(distortion[..., None], 0.5)
        return np.asarray(undistorted * self.focal_px[..., None, None] + self.centre_px[:, None])

    def transformed(self, R: Float[Real, "3 3"], shift: Float[Real, "3"], scale: float) -> Self:
        """The same cameras and pixels in a world where X becomes scale * R @ X + shift."""
        rotation = self.view_from_world @ R.T
        return replace(
            self,
            view_from_world=rotation,
            translation=scale * self.translation - rotation @ shift,
        )

    def stepped(self, step: Float[Real, "*N V 9"]) -> Self:
        """The cameras after a solver's step: rotation vector in the camera's axes, added centre,
        log focal length, k1 and time offset. The last two are those of the first instant.
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
            radial=self.radial + shared[:, RADIAL],
            delay_s=self.delay_s + shared[:, DELAY],
        )

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

    def with_rows(self, rows: Rows, other: Self) -> Self:
        """Panning cameras with the instants `rows` replaced by those of another rig, in order."""
        arrays = {name: getattr(self, name).copy() for name in _PER_INSTANT}
        for name, array in arrays.items():
            array[rows] = getattr(other, name)
        return replace(self, **arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """One standard deviation of each camera, from the covariance of the adjustment."""

    rotation_deg: Float[Real, "V"]
    position_share: Float[Real, "V"]
    """Of the centre, over the mean distance of the person."""
    focal_share: Float[Real, "V"]
    reprojection_px: Float[Real, "V"]
    """Median reprojection error over the observed joints."""
    reprojection_share: Float[Real, "V"]
    """The same over the person's extent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A rig, the body it was estimated with, and the standard deviations."""

    rig: Rig
    body: Body
    uncertainty: Uncertainty
    instants: int  # that it was estimated from
    noise_share: float  # standard deviation of a keypoint over the person's extent
    scale_deviation_share: float | None = None  # one standard deviation of the metre; None: unknown
    world_drift_mm: float | None = None  # of panning cameras, in nine of ten takes; None: unknown
    mirrored: bool = False  # the lifter's poses are reflected in depth before use
    scale_source: str = "unit"  # unit: mean bone 1; else what made the world's unit a metre
    people: People | None = None  # None: one; else `body` is that of the first
    ambiguous: str = ""  # a sentence, if the mirror image in depth may be the right one

    def rows(self, rows: Rows) -> Self:
        """The calibration with those instants of a panning rig, or with one as still cameras."""
        return replace(self, rig=self.rig.rows(rows))

    def of_views(self, views: Sequence[int]) -> Self:
        """The calibration of the cameras with these indices; IndexError of an unknown one."""
        uncertainty = {n: getattr(self.uncertainty, n)[list(views)] for n in _UNCERTAINTY_ARRAYS}
        found = replace(self.uncertainty, **uncertainty)
        return replace(self, rig=self.rig.of_views(views), uncertainty=found)


def to_plain(calibration: Calibration) -> dict[str, Any]:
    """The content of a session's `cameras.json`, as maps, lists and numbers."""
    return {
        "schema": SCHEMA,
        "scale_source": calibration.scale_source,
        "scale_deviation_share": calibration.scale_deviation_share,
        "world_drift_mm": calibration.world_drift_mm,
        "instants": calibration.instants,
        "mirrored": calibration.mirrored,
        "noise_share": calibration.noise_share,
        "cameras": list(calibration.rig.cameras),
        "rig": {name: getattr(calibration.rig, name).tolist() for name in _RIG_ARRAYS},
        "joint_set": calibration.body.joint_set.name,
        "bones": calibration.body.bones.tolist(),
        "people": people_to_plain(calibration.people),
        "ambiguous": calibration.ambiguous,
        "sureness": {
            name: getattr(calibration.uncertainty, name).tolist() for name in _UNCERTAINTY_ARRAYS
        },
    }


def from_plain(plain: dict[str, Any]) -> Calibration:
    """The calibration that `to_plain` wrote; ValueError names what is missing or does not fit."""
    try:
        if plain["schema"] != SCHEMA:
            raise ValueError(f"cameras have schema {plain['schema']}, expected {SCHEMA}")
        rig = {name: np.array(plain["rig"][name], float) for name in _RIG_ARRAYS}
        if len(set(plain["cameras"])) != len(plain["cameras"]):
            raise ValueError("two cameras have the same name")
        _require_shapes(rig, len(plain["cameras"]))
        deviations = {
            name: np.array(plain["sureness"][name], float) for name in _UNCERTAINTY_ARRAYS
        }
        return Calibration(
            rig=Rig(cameras=tuple(plain["cameras"]), **rig),
            body=Body(
                joint_set=joint_set(plain["joint_set"]), bones=np.array(plain["bones"], float)
            ),
            uncertainty=Uncertainty(**deviations),
            instants=int(plain["instants"]),
            scale_deviation_share=None if (scale := plain.get(_SCALE)) is None else float(scale),
            world_drift_mm=None if (drift := plain.get(_DRIFT)) is None else float(drift),
            mirrored=bool(plain["mirrored"]),
            noise_share=float(plain["noise_share"]),
            scale_source=str(plain["scale_source"]),
            people=people_from_plain(plain.get("people"), joint_set(plain["joint_set"])),
            ambiguous=str(plain.get("ambiguous", "")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"cameras: {error} is missing or malformed") from error


def _require_shapes(rig: dict[str, Real], views: int) -> None:
    instants = rig["focal_px"].shape[:-1]
    if rig["focal_px"].shape[-1:] != (views,) or not (rig["focal_px"] > 0).all():
        raise ValueError(f"cameras: focal_px is {rig['focal_px'].shape}, expected {views} above 0")
    for name, per_instant, shape in (
        ("image_px", False, (views, 2)),
        ("view_from_world", True, (views, 3, 3)),
        ("translation", True, (views, 3)),
        ("focal_px", True, (views,)),
        ("centre_px", False, (views, 2)),
        ("radial", False, (views,)),
        ("delay_s", False, (views,)),
    ):
        wanted = (*instants, *shape) if per_instant else shape
        if rig[name].shape != wanted or not np.isfinite(rig[name]).all():
            raise ValueError(f"cameras: {name} is {rig[name].shape}, expected numbers {wanted}")
    rotation = rig["view_from_world"]
    if not np.allclose(rotation @ np.swapaxes(rotation, -1, -2), np.eye(3), atol=1e-3):
        raise ValueError("cameras: view_from_world is not a rotation")


_RIG_ARRAYS = (*_PER_CAMERA, *_PER_INSTANT)
_UNCERTAINTY_ARRAYS = tuple(field.name for field in fields(Uncertainty))
_SCALE, _DRIFT = "scale_deviation_share", "world_drift_mm"  # not in older files
