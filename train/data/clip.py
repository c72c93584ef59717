"""A clip with a calibration for scores: 2D poses, videos, `cameras.json`.

Self-calibration uses the 2D poses alone. The layout is that of `cvsf bench clip`; the pseudo
truth is one detector's calibrated triangulation.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cvsf.evaluation.ground_truth import clip_ground_truth
from cvsf.messages import MAX_VIEWS
from cvsf.multiview.rig import Real
from cvsf.skeleton import COCO_17, H36M_16, remap
from cvsf.system.errors import Refusal
from train.data.instants import Recordings

POSES = "movenet_2d_and_triangulated.npz"
CAMERAS = "cameras.json"


def is_clip(folder: Path) -> bool:
    """Whether the folder holds a clip's 2D poses, the file `POSES`; its videos and cameras are not
    looked for. False if there is no such folder, OSError if it may not be searched.
    """
    return (folder / POSES).is_file()


def read_clip(folder: Path) -> Recordings:
    """A clip as one session with the folder's name: the detector's keypoints (px), and pseudo
    ground truth (mm) with its cameras. Time is the frame number over the first video's rate.
    Refusal if poses, `cameras.json` or a camera's video is missing or cannot be read, or there are
    more than 16 cameras.
    """
    try:
        cameras: list[dict[str, Any]] = json.loads((folder / CAMERAS).read_text())
        if len(cameras) > MAX_VIEWS:
            raise ValueError(f"{len(cameras)} cameras, expected at most {MAX_VIEWS}")
        with np.load(folder / POSES, allow_pickle=False) as file:
            found, world = file["kp2d"].astype(float), file["tri3d_mm"].astype(float)
        observations = _observations(folder, cameras, found)
        undistorted = _undistorted(observations.keypoints_px.astype(float), cameras)
        truth = replace(clip_ground_truth(cameras, world), undistorted_px=undistorted)
        return replace(observations, truth=truth)
    except (OSError, ValueError, KeyError) as error:
        raise Refusal(
            f"{folder} has no readable {CAMERAS} and {POSES} that fit ({error}); "
            "name a session, a multi-view file or a clip that has"
        ) from None


def _observations(folder: Path, cameras: list[dict[str, Any]], found: Real) -> Recordings:
    keypoints, confidence = remap(found[..., :2], found[..., 2], COCO_17.joints, H36M_16.joints)
    sizes = [_video_size(folder, camera) for camera in cameras]
    return Recordings(
        joint_set=H36M_16,
        cameras=tuple(str(camera["camera"]) for camera in cameras),
        keypoints_px=keypoints,
        confidence=confidence.clip(0, 1),
        image_px=np.broadcast_to(
            np.array([s[:2] for s in sizes], np.float32), (*found.shape[:2], 2)
        ),
        session=(folder.resolve().name,) * len(found),
        subject=("",) * len(found),
        t_s=np.arange(len(found)) / sizes[0][2],
    )


def video_of(folder: Path, camera: str) -> Path:
    """The path of the camera's video in a clip, CAMERA.mp4, .mov, .avi or .mkv, the first that
    exists; it is not opened. Refusal if there is none.
    """
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


def _undistorted(keypoints_px: Real, cameras: list[dict[str, Any]]) -> Real:
    """Where pinholes of focal length K[0, 0] would project keypoints (N, V, J, 2)."""
    found = np.empty_like(keypoints_px)
    for view, camera in enumerate(cameras):
        inside, distortion = np.array(camera["K"]), np.array(camera["distortion"])
        pinhole = inside.copy()
        pinhole[1, 1] = inside[0, 0]
        points = keypoints_px[:, view].reshape(-1, 1, 2)
        flat = cv2.undistortPoints(points, inside, distortion, P=pinhole)
        found[:, view] = flat.reshape(keypoints_px[:, view].shape)
    return found
