"""Multi-view files of people who walk in circles, each before cameras of their own: what cameras
can be found from.
"""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from cvsf.skeleton import H36M_16
from train.batches.probe_inputs import STANDING

WALKERS = ("ann", "ben")
STEPS_HZ, RATE_HZ = 0.9, 15
_SWING = {"lknee": 1, "rknee": -1, "lelbow": -1, "relbow": 1}


def walkers(path: Path, frames: int = 45, views: int = 4, **changed: Any) -> Path:
    """One session of each walker, of make_multiview's layout."""
    parts = [_session(number, frames, views) for number in range(len(WALKERS))]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    every = np.repeat(np.arange(len(WALKERS)), frames)
    arrays |= {
        "session": every,
        "subject": every,
        "subject_names": np.array(WALKERS),
        "t_s": np.tile(np.arange(frames) / RATE_HZ, len(WALKERS)),
        "joint_names": np.array(H36M_16.joints),
        "image_px": np.array([1920, 1080]),
    }
    np.savez(path, allow_pickle=False, **arrays | changed)
    return path


def _session(seed: int, frames: int, views: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    world = _walk(frames)
    local = np.empty((frames, views, len(H36M_16), 3))
    rotation, shift = np.empty((frames, views, 3, 3)), np.zeros((frames, views, 3))
    level = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    for view in range(views):
        around = 2 * np.pi * view / views + random.uniform(-0.3, 0.3)
        down = random.uniform(0.05, 0.4)
        turn = Rotation.from_euler("zy", [around, down]).as_matrix()
        rotation[:, view], shift[:, view, 2] = level @ turn.T, random.uniform(6000, 9000)
        local[:, view] = world @ rotation[0, view].T + shift[0, view]
    pixels = 1500 * local[..., :2] / local[..., 2:] + [960, 540]
    shape = pixels.shape[:-1]
    return {
        "keypoints_px": (pixels + random.normal(0, 3, pixels.shape)).astype(np.float32),
        "confidence": random.uniform(0.7, 1, shape).astype(np.float32),
        "truth_px": pixels.astype(np.float32),
        "joints_mm": local.astype(np.float32),
        "head_px": np.full(shape[:2], 60, np.float32),
        "camera_R": rotation.astype(np.float32),
        "camera_t_mm": shift.astype(np.float32),
        "focal_px": np.full(shape[:2], 1500, np.float32),
    }


def _walk(frames: int) -> Any:
    """A body (N, J, 3) in mm that swings its limbs and walks round a circle."""
    body = np.array([STANDING[joint] for joint in H36M_16.joints]) * 1000
    phase = 2 * np.pi * STEPS_HZ * np.arange(frames) / RATE_HZ
    joints = np.repeat(body[None], frames, axis=0)
    for child, parent in enumerate(H36M_16.parents):
        if parent < 0:
            continue
        bone = body[child] - body[parent]
        swing = 0.5 * _SWING.get(H36M_16.joints[child], 0) * np.sin(phase)
        turns = Rotation.from_rotvec(swing[:, None] * [0, 1, 0])
        joints[:, child] = joints[:, parent] + turns.apply(bone)
    heading = Rotation.from_rotvec((0.8 * np.arange(frames) / RATE_HZ)[:, None] * [0, 0, 1])
    joints = joints + np.array([0, -1500, 0])
    return np.stack([turn.apply(j) for turn, j in zip(heading, joints, strict=True)])
