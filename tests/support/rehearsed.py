"""What the shipped lifter sees of a walker: observations with the truth kept beside them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.engine.engine import load_engine
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations, lift_observations
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.skeleton import H36M_16
from tests.support.made_calibration import made_calibration
from tests.support.walkers import walkers

Real = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rehearsed:
    """A walker filmed by cameras that stand still, or pan and zoom."""

    t_s: Real
    world_mm: Real  # (N, J, 3)
    view_from_world: Real  # (N, V, 3, 3)
    translation_mm: Real  # (N, V, 3)
    focal_px: Real  # (N, V)
    keypoints_px: Real
    confidence: Real
    image_px: Real  # (V, 2)

    @property
    def in_views_mm(self) -> Real:
        """(N, V, J, 3)."""
        turned = self.world_mm[:, None] @ np.swapaxes(self.view_from_world, -1, -2)
        return np.asarray(turned + self.translation_mm[:, :, None])

    def exact(self) -> LiftedObservations:
        """Pixels without noise, lifted without error."""
        local = self.in_views_mm
        keypoints = self.focal_px[..., None, None] * local[..., :2] / local[..., 2:]
        body = self.world_mm - self.world_mm[:, :1]
        return replace(
            self.seen(keypoints_px=keypoints + self.image_px[:, None] / 2),
            canonical=np.repeat(body[:, None], len(self.image_px), 1).astype(np.float32),
            view_from_canonical=self.view_from_world.astype(np.float32),
        )

    def true_calibration(self, rows: int | slice) -> Calibration:
        """The true cameras, of one instant or panning over some; the mean bone is 1."""
        views, unit = len(self.image_px), float(mean_bone(self.world_mm, H36M_16).mean())
        start, end = np.array(H36M_16.bones).T
        bones = np.linalg.norm(self.world_mm[:, end] - self.world_mm[:, start], axis=-1).mean(0)
        rig = Rig(
            cameras=tuple(f"cam{view}" for view in range(views)),
            image_px=self.image_px,
            view_from_world=self.view_from_world[rows],
            translation=self.translation_mm[rows] / unit,
            focal_px=self.focal_px[rows],
            centre_px=self.image_px / 2,
            distortion=np.zeros((views, 5)),
            delay_s=np.zeros(views),
        )
        return made_calibration(rig, bones=bones / unit)

    def seen(self, **changed: Any) -> LiftedObservations:
        """Through the lifter; keypoints_px, confidence or image_px may be others."""
        keypoints = changed.get("keypoints_px", self.keypoints_px).astype(np.float32)
        confidence = changed.get("confidence", self.confidence).astype(np.float32)
        image = changed.get("image_px", self.image_px).astype(np.float32)
        names = tuple(f"cam{view}" for view in range(confidence.shape[1]))
        every = np.broadcast_to(image, (len(keypoints), *image.shape))
        lift = load_engine().lift_many
        return lift_observations(lift, H36M_16, names, self.t_s, (keypoints, confidence, every))


def rehearsed(folder: Path, *, frames: int = 45, views: int = 4, pans: bool = False) -> Rehearsed:
    """The first walker; with `pans`, cameras that follow and zoom after them."""
    with np.load(walkers(folder / "walkers.npz", frames, views)) as file:
        rows = file["session"] == 0
        found = {name: file[name][rows] for name in file.files if len(file[name]) == len(rows)}
        image = np.tile(file["image_px"].astype(float), (views, 1))
    rotation, shift = found["camera_R"].astype(float), found["camera_t_mm"].astype(float)
    local = found["joints_mm"].astype(float)
    world = (local[:, 0] - shift[:, :1]) @ rotation[:, 0]
    keypoints, focal = found["keypoints_px"].astype(float), found["focal_px"].astype(float)
    if pans:
        noise = keypoints - found["truth_px"]
        rotation, shift, focal = follow(world, rotation, shift, found["t_s"])
        local = world[:, None] @ np.swapaxes(rotation, -1, -2) + shift[:, :, None]
        keypoints = focal[..., None, None] * local[..., :2] / local[..., 2:] + [960, 540] + noise
    return Rehearsed(
        t_s=found["t_s"],
        world_mm=world,
        view_from_world=rotation,
        translation_mm=shift,
        focal_px=focal,
        keypoints_px=keypoints,
        confidence=found["confidence"],
        image_px=image,
    )


def follow(world: Real, rotation: Real, shift: Real, t_s: Real) -> tuple[Real, Real, Real]:
    """Each camera turned so that the hips stay in the middle of its picture, and zoomed."""
    centres = -np.einsum("nvji,nvj->nvi", rotation, shift)
    at = (world[:, None, 0] - centres)[..., None, :] @ np.swapaxes(rotation, -1, -2)
    x, y, z = np.moveaxis(at[..., 0, :], -1, 0)
    pan, tilt = np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))
    zero = np.zeros_like(pan)
    turned = rotation_from_vector(np.stack([tilt, zero, zero], -1)) @ rotation_from_vector(
        np.stack([zero, -pan, zero], -1)
    )
    rotation = turned @ rotation
    focal = 1500 * (1 + 0.1 * np.sin(t_s[:, None] + np.arange(rotation.shape[1])))
    return rotation, -np.einsum("nvij,nvj->nvi", rotation, centres), focal
