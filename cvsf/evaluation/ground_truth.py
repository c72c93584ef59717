"""Ground truth of the instants of a session: joints in the axes of each view, their 2D, and
cameras.

Skeletons and cameras are scored with it. Self-calibration does not use it; of the variants of
training only `supervised` does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rig import Rig
from cvsf.shapes import Float
from cvsf.skeleton import COCO_17, H36M_16, Array, remap

Real = npt.NDArray[np.floating[Any]]
Index = npt.NDArray[Any] | slice

_LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
CLIP_JOINTS = tuple(j for j, name in enumerate(H36M_16.joints) if name[1:] in _LIMBS)
"""Joints of h36m-16 that COCO-17 defines in the same way: a clip is scored on these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """Ground truth of N instants and V views, joint set h36m-16; unknown joints are NaN."""

    joints_mm: Float[Real, "N V J 3"] | None = None
    """In the axes of each view."""
    keypoints_px: Float[Array, "N V J 2"] | None = None
    """Projections of the true joints."""
    head_px: Float[Array, "N V"] | None = None
    """From thorax to head, the unit of the joint detection rate."""
    rig: Rig | None = None
    """In mm, with rotations, translations and focal lengths of every instant."""
    undistorted_px: Float[Real, "N V J 2"] | None = None
    """The observed keypoints as the rig without distortion shows them; None: as observed."""
    scored: tuple[int, ...] = tuple(range(len(H36M_16)))  # joints that are scored

    def take(self, rows: Index) -> "GroundTruth":
        """The instants of a mask, an index array or a slice, with the rig at them if there is one.
        With a slice the arrays share memory with these.
        """
        return self._changed(self.rig and self.rig.rows(rows), lambda array: array[rows])

    def of_views(self, views: Sequence[int]) -> "GroundTruth":
        """The ground truth of the views with these indices, in this order, with the rig of these
        cameras if there is one. The arrays are copies; IndexError of an unknown index.
        """
        index = list(views)
        return self._changed(self.rig and self.rig.of_views(index), lambda array: array[:, index])

    @property
    def world_mm(self) -> Float[npt.NDArray[np.float64], "N J 3"]:
        """Joints (mm) in the rig's world, mean over the views that know them, else NaN; ValueError
        without a rig or joints.
        """
        if self.rig is None or self.joints_mm is None:
            raise ValueError("the ground truth has no cameras or no joints, expected both")
        local = self.joints_mm - self.rig.translation[:, :, None]
        world = np.einsum("nvji,nvkj->nvki", self.rig.view_from_world, local)
        known = np.isfinite(world).all(-1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(known, world, 0).sum(1) / known.sum(1), float)

    def _changed(self, rig: Rig | None, change: Callable[[Any], Any]) -> "GroundTruth":
        """With another rig, and `change` applied to the known arrays."""
        found = {name: getattr(self, name) for name in PER_VIEW}
        arrays: dict[str, Any] = {n: change(a) for n, a in found.items() if a is not None}
        return replace(self, rig=rig, **arrays)


PER_VIEW = ("joints_mm", "keypoints_px", "head_px", "undistorted_px")
"""Fields of GroundTruth with axes of instants and views."""


def read_ground_truth(file: Mapping[str, Any], rows: Index = slice(None)) -> GroundTruth:
    """The ground truth in the arrays of a multi-view file, at some rows, in joint set h36m-16.

    The file has joint_names and confidence at least, with cameras also image_px, else KeyError;
    missing arrays are None, missing joints NaN. Without all of rotation, translation and focal
    length there is no rig. Principal points are in the middle of the pictures. ValueError names an
    array whose shape does not fit.
    """
    shape = file["confidence"].shape
    names = [str(name) for name in file["joint_names"].ravel()]

    def read(name: str, *axes: int) -> npt.NDArray[Any]:
        array = np.asarray(file[name])
        if array.shape != axes:
            raise ValueError(f"{name} is {array.shape}, expected {axes}")
        return array[rows]

    def joints(name: str, last: int) -> Array | None:
        if name not in file:
            return None
        values = read(name, *shape, last)
        found, known = remap(values, np.ones(values.shape[:-1], np.float32), names, H36M_16.joints)
        found[known == 0] = np.nan
        return found if np.isfinite(found).any() else None

    joints_mm, rig, views = joints("joints_mm", 3), None, shape[1]
    if all(name in file for name in ("camera_R", "camera_t_mm", "focal_px")):
        image = np.nan_to_num(np.asarray(file["image_px"], float), posinf=0)
        image = np.broadcast_to(image, (views, 2))
        rig = Rig(
            cameras=tuple(f"cam{view}" for view in range(views)),
            image_px=image,
            view_from_world=read("camera_R", *shape[:2], 3, 3).astype(float),
            translation=read("camera_t_mm", *shape[:2], 3).astype(float),
            focal_px=read("focal_px", *shape[:2]).astype(float),
            centre_px=image / 2,
            distortion=np.zeros((views, 5)),
            delay_s=np.zeros(views),
        )
    return GroundTruth(
        joints_mm=None if joints_mm is None else joints_mm.astype(float),
        keypoints_px=joints("truth_px", 2),
        head_px=read("head_px", *shape[:2]).astype(np.float32) if "head_px" in file else None,
        rig=rig,
    )


def clip_ground_truth(
    cameras: Sequence[Mapping[str, Any]], world_mm: Float[Real, "N 17 3"]
) -> GroundTruth:
    """The pseudo ground truth of a clip: triangulated keypoints of a detector turned into the axes
    of each calibrated camera (mm), in joint set h36m-16.

    `cameras` are the entries of its `cameras.json` (K, R, t_mm), `world_mm` its joints in joint set
    coco-17. The focal length is that along x; distortion is left to the caller. The rig gives
    picture sizes as twice the principal point.
    """
    joints, known = remap(
        np.nan_to_num(world_mm),
        np.asarray(np.isfinite(world_mm).all(-1)),
        COCO_17.joints,
        H36M_16.joints,
    )
    joints_mm = np.where(known[..., None] > 0, joints.astype(float), np.nan)
    K, rotation, translation = (
        np.array([camera[name] for camera in cameras], float) for name in ("K", "R", "t_mm")
    )
    count, views = len(world_mm), len(cameras)

    def repeated(array: Real) -> Any:
        return np.broadcast_to(array, (count, *array.shape))

    return GroundTruth(
        joints_mm=np.einsum("vij,nkj->nvki", rotation, joints_mm) + translation[:, None],
        rig=Rig(
            cameras=tuple(str(camera["camera"]) for camera in cameras),
            image_px=2 * K[:, :2, 2],
            view_from_world=repeated(rotation),
            translation=repeated(translation),
            focal_px=repeated(K[:, 0, 0]),
            centre_px=K[:, :2, 2],
            distortion=np.zeros((views, 5)),
            delay_s=np.zeros(views),
        ),
        scored=CLIP_JOINTS,
    )
