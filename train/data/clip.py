"""A filmed clip with a calibration to score by: given 2D poses, videos, `cameras.json`.

Self-calibration is shown the 2D poses alone. The layout is that of `cvsf bench clip`; the pseudo
truth is one detector's calibrated triangulation.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvsf.multiview.rig import Real
from cvsf.skeleton import COCO_17, H36M_16, remap
from cvsf.system.errors import Refusal
from train.data.ground_truth import Cameras, Reality, joints_named
from train.data.instants import Instants

POSES = "movenet_2d_and_triangulated.npz"
CAMERAS = "cameras.json"
_LIMBS = [
    j for j in H36M_16.joints if j[1:] in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
]


def is_clip(folder: Path) -> bool:
    """Whether the folder is a clip rather than a session."""
    return (folder / POSES).is_file()


def read_clip(folder: Path) -> tuple[Instants, Reality]:
    """What the detector saw, and what the calibration says of it; Refusal if a file is amiss."""
    try:
        cameras: list[dict[str, Any]] = json.loads((folder / CAMERAS).read_text())
        with np.load(folder / POSES, allow_pickle=False) as file:
            found, world = file["kp2d"].astype(float), file["tri3d_mm"].astype(float)
        return _instants(folder, cameras, found), _reality(cameras, found, world)
    except (OSError, ValueError, KeyError) as error:
        raise Refusal(
            f"{folder} has no readable {CAMERAS} and {POSES} that fit ({error}); "
            "name a session, a multi-view file or a clip that has"
        ) from None


def _instants(folder: Path, cameras: list[dict[str, Any]], found: Real) -> Instants:
    keypoints, confidence = remap(found[..., :2], found[..., 2], COCO_17.joints, H36M_16.joints)
    sizes = [_video_size(folder, camera) for camera in cameras]
    return Instants(
        keypoints_px=keypoints,
        confidence=confidence.clip(0, 1),
        image_px=np.broadcast_to(
            np.array([s[:2] for s in sizes], np.float32), (*found.shape[:2], 2)
        ),
        session=(folder.resolve().name,) * len(found),
        subject=("",) * len(found),
        t_s=np.arange(len(found)) / sizes[0][2],
        cameras=tuple(str(camera["camera"]) for camera in cameras),
    )


def video_of(folder: Path, camera: str) -> Path:
    """The camera's video; Refusal if there is none."""
    for ending in (".mp4", ".mov", ".avi", ".mkv"):
        if (path := folder / f"{camera}{ending}").is_file():
            return path
    raise Refusal(f"{folder} has no video named {camera}; {CAMERAS} names it")


def _video_size(folder: Path, camera: dict[str, Any]) -> tuple[float, float, float]:
    """Width and height of its pictures, and how many a second."""
    video = cv2.VideoCapture(str(video_of(folder, str(camera["camera"]))))
    try:
        width, height, fps = (
            float(video.get(what))
            for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
        )
    finally:
        video.release()
    if not (width > 0 and height > 0 and fps > 0):  # -1 where OpenCV could not open it
        raise ValueError(f"the video of {camera['camera']} cannot be read")
    return width, height, fps


def _reality(cameras: list[dict[str, Any]], found: Real, world: Real) -> Reality:
    joints, known = remap(
        np.nan_to_num(world), np.asarray(np.isfinite(world).all(-1)), COCO_17.joints, H36M_16.joints
    )
    joints_mm = np.where(known[..., None] > 0, joints.astype(float), np.nan)
    rotation = np.array([camera["R"] for camera in cameras])
    shift = np.array([camera["t_mm"] for camera in cameras])
    outside = np.concatenate([rotation, shift[..., None]], -1)
    projection = np.array([camera["K"] for camera in cameras]) @ outside
    instants = len(found)

    def always(array: npt.NDArray[Any]) -> Real:
        return np.broadcast_to(array, (instants, *array.shape)).astype(float)

    keypoints, _ = remap(found[..., :2], found[..., 2], COCO_17.joints, H36M_16.joints)
    return Reality(
        joints_mm=np.einsum("vij,nkj->nvki", rotation, joints_mm) + shift[:, None],
        cameras=Cameras(
            view_from_world=always(rotation),
            translation_mm=always(shift),
            projection=always(projection),
            straight_px=_straight(keypoints.astype(float), cameras),
        ),
        joints=joints_named(_LIMBS),
    )


def _straight(keypoints: Real, cameras: list[dict[str, Any]]) -> Real:
    """Where pinholes of the same K would have shown the keypoints (N, V, J, 2)."""
    straight = np.empty_like(keypoints)
    for view, camera in enumerate(cameras):
        inside, bent = np.array(camera["K"]), np.array(camera["distortion"])
        points = keypoints[:, view].reshape(-1, 1, 2)
        flat = cv2.undistortPoints(points, inside, bent, P=inside)
        straight[:, view] = flat.reshape(keypoints[:, view].shape)
    return straight
