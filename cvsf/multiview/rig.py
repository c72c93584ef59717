"""The cameras of a session as they were found: where they stand, how they look, how sure that is.

A point X of the world is seen at x = R X + t by a view, at centre + focal (1 + k r^2) (x, y) / z
in its picture, r the distance of (x, y) / z from the axis (OpenCV's model with k1 alone).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import JointSet, joint_set

Real = npt.NDArray[np.float64]

SCHEMA = 1
_UNDISTORT_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """V cameras; arrays of cameras that pan and zoom have a leading axis of N instants."""

    cameras: tuple[str, ...]
    image_px: Real  # (V, 2) width, height
    view_from_world: Real  # (..., V, 3, 3)
    translation: Real  # (..., V, 3) in the world's unit
    focal_px: Real  # (..., V)
    centre_px: Real  # (V, 2) principal point
    radial: Real  # (V,) k1
    delay_s: Real  # (V,) what a camera shows happened that much later than its stamps say

    @property
    def centres(self) -> Real:
        """Where the cameras stand, (..., V, 3) in the world."""
        return np.asarray(-np.einsum("...vji,...vj->...vi", self.view_from_world, self.translation))

    @property
    def projection(self) -> Real:
        """Matrices (..., V, 3, 4) of x = K (R X + t), for pixels that `undistorted` returned."""
        inside = np.zeros((*self.focal_px.shape, 3, 3))
        inside[..., 0, 0] = inside[..., 1, 1] = self.focal_px
        inside[..., :2, 2] = self.centre_px
        inside[..., 2, 2] = 1
        outside = np.concatenate([self.view_from_world, self.translation[..., None]], -1)
        return np.asarray(inside @ outside)

    def project(self, joints: Real) -> Real:
        """Pixels (N, V, J, 2) of joints (N, J, 3) in the world."""
        local = self.in_views(joints)
        flat = local[..., :2] / np.maximum(local[..., 2:], 1e-9)
        bent = 1 + self.radial[:, None] * np.square(flat).sum(-1)
        return np.asarray(
            self.focal_px[..., None, None] * bent[..., None] * flat + self.centre_px[:, None]
        )

    def in_views(self, joints: Real) -> Real:
        """Joints (N, J, 3) of the world in the axes of each view, (N, V, J, 3)."""
        turned = joints[:, None] @ np.swapaxes(self.view_from_world, -1, -2)
        return np.asarray(turned + self.translation[..., None, :])

    def undistorted(self, keypoints_px: npt.NDArray[Any]) -> Real:
        """Where (N, V, J, 2) would have been seen through a lens without distortion."""
        flat = (keypoints_px - self.centre_px[:, None]) / self.focal_px[..., None, None]
        straight = flat
        for _ in range(_UNDISTORT_ROUNDS if self.radial.any() else 0):
            bent = 1 + self.radial[:, None] * np.square(straight).sum(-1)
            straight = flat / np.maximum(bent[..., None], 0.5)
        return np.asarray(straight * self.focal_px[..., None, None] + self.centre_px[:, None])

    def moved(self, turn: Real, shift: Real, scale: float) -> "Rig":
        """The same cameras in a world where X becomes scale * turn @ X + shift."""
        rotation = self.view_from_world @ turn.T
        return replace(
            self,
            view_from_world=rotation,
            translation=scale * self.translation - rotation @ shift,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The athlete's measures, in the unit of the rig they were found with."""

    joint_set: JointSet
    bones: Real  # (B,) lengths of joint_set.bones; left and right alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Sureness:
    """One standard deviation of each camera, from the covariance of the adjustment."""

    rotation_deg: Real  # (V,)
    position_share: Real  # (V,) of the distance between the camera and where the person was
    focal_share: Real  # (V,)
    reprojection_px: Real  # (V,) median over the joints seen
    reprojection_share: Real  # (V,) the same over the person's extent


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A rig, the body it was found from, and how sure it is."""

    rig: Rig
    body: Body
    sureness: Sureness
    instants: int  # how many it was found from
    noise_share: float  # what 2D is off by, a standard deviation over the person's extent
    mirrored: bool = False  # the lifter takes near for far: its poses are mirrored before use
    scale_source: str = "unit"  # unit: mean bone 1; else what made the world's unit a metre


def pans(rig: Rig) -> bool:
    """Whether every instant has rotations and focal lengths of its own."""
    return rig.focal_px.ndim > 1


def rows_of_rig(
    found: Calibration, rows: int | slice | npt.NDArray[np.integer[Any]]
) -> Calibration:
    """Panning cameras at one of their instants, as if they stood still, or at some of them."""
    rig = found.rig
    return replace(
        found,
        rig=replace(
            rig,
            view_from_world=rig.view_from_world[rows],
            translation=rig.translation[rows],
            focal_px=rig.focal_px[rows],
        ),
    )


def to_plain(found: Calibration) -> dict[str, Any]:
    """What `cameras.json` of a session holds."""
    return {
        "schema": SCHEMA,
        "scale_source": found.scale_source,
        "instants": found.instants,
        "mirrored": found.mirrored,
        "noise_share": found.noise_share,
        "cameras": list(found.rig.cameras),
        "rig": {name: getattr(found.rig, name).tolist() for name in _RIG_ARRAYS},
        "joint_set": found.body.joint_set.name,
        "bones": found.body.bones.tolist(),
        "sureness": {name: getattr(found.sureness, name).tolist() for name in _SURENESS_ARRAYS},
    }


def from_plain(plain: dict[str, Any]) -> Calibration:
    """What `to_plain` wrote; ValueError says what does not fit."""
    try:
        if plain["schema"] != SCHEMA:
            raise ValueError(f"cameras have schema {plain['schema']}, expected {SCHEMA}")
        rig = {name: np.array(plain["rig"][name], float) for name in _RIG_ARRAYS}
        if len(set(plain["cameras"])) != len(plain["cameras"]):
            raise ValueError("cameras have the same name twice")
        _require_shapes(rig, len(plain["cameras"]))
        sure = {name: np.array(plain["sureness"][name], float) for name in _SURENESS_ARRAYS}
        return Calibration(
            rig=Rig(cameras=tuple(plain["cameras"]), **rig),
            body=Body(
                joint_set=joint_set(plain["joint_set"]), bones=np.array(plain["bones"], float)
            ),
            sureness=Sureness(**sure),
            instants=int(plain["instants"]),
            mirrored=bool(plain["mirrored"]),
            noise_share=float(plain["noise_share"]),
            scale_source=str(plain["scale_source"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"cameras lack or garble {error}") from error


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
    turned = rig["view_from_world"]
    if not np.allclose(turned @ np.swapaxes(turned, -1, -2), np.eye(3), atol=1e-3):
        raise ValueError("cameras: view_from_world holds what is no rotation")


_RIG_ARRAYS = (
    "image_px",
    "view_from_world",
    "translation",
    "focal_px",
    "centre_px",
    "radial",
    "delay_s",
)
_SURENESS_ARRAYS = (
    "rotation_deg",
    "position_share",
    "focal_share",
    "reprojection_px",
    "reprojection_share",
)
