"""Human3.6M in the layout of its own download: poses as CDF files, one an action and camera.

What is read: MyPoseFeatures/D2_Positions (pixels) and D3_Positions_mono (mm in the camera's axes).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cdflib
import numpy as np
import numpy.typing as npt

from cvsf.skeleton import H36M_17
from cvsf.system.errors import Refusal
from train.data.dataset_recording import (
    UNREADABLE,
    Detections,
    Split,
    check_detections,
    observations,
)
from train.data.instants import Recordings

SITE = "http://vision.imar.ro/human3.6m (free for academic use, a licence agreement is needed)"
SUBJECTS: dict[Split, tuple[str, ...]] = {
    "train": ("S1", "S5", "S6", "S7", "S8"),
    "test": ("S9", "S11"),
}
CAMERAS = {
    "54138969": (1000, 1002),
    "55011271": (1000, 1000),
    "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}
"""Names, and the size of their pictures in pixels."""
EVERY: dict[Split, int] = {"train": 5, "test": 64}
"""Which frames are taken, of 50 a second: every so manyth."""
ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases"),
    *("Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether"),
)

_RATE_HZ = 50.0
_OTHER_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
_NO_VIDEO = {("S11", "Directions", "54138969")}
"""Its video is broken in the download, so there is no detection."""
_RECORDED = 32
_USED = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Of the joints recorded, those of h36m-17 in its order; the others repeat one or lie beyond."""


def read_human36m(folder: Path, split: Split, *, truth_2d: bool = False) -> Iterator[Recordings]:
    """The performances of a split of Human3.6M, one session each: "S9/Directions 1". Joints in mm
    in each camera's axes, 2D in px; `truth_2d` takes the true 2D instead of detections. Only every
    5th frame is taken for training, every 64th for the test. Refusal at once if a file is missing,
    while reading if one is damaged.
    """
    recordings = [
        (subject, action) for subject in SUBJECTS[split] for action in _actions(folder, subject)
    ]
    for subject, action in recordings:
        for kind in ("D2_Positions", "D3_Positions_mono"):
            for camera in CAMERAS:
                _present(_pose_file(folder, subject, kind, action, camera))
        if not truth_2d:
            check_detections(_detections(folder, subject, action))
    return (_recording(folder, split, subject, action, truth_2d) for subject, action in recordings)


def action_of(session: str) -> str:
    """The action in the name of a session of Human3.6M, as tables use it, without subject and
    number: "S9/WalkingDog 1" is WalkDog. An action that is not known is returned as it is.
    """
    name = re.sub(r" \d+$", "", session.rpartition("/")[2])
    return _OTHER_NAMES.get(name, name)


def _actions(folder: Path, subject: str) -> list[str]:
    poses = folder / subject / "MyPoseFeatures" / "D3_Positions_mono"
    names = {path.name.split(".")[0] for path in poses.glob("*.cdf")} - {"_ALL"}
    if not names:
        _present(poses / f"Directions 1.{next(iter(CAMERAS))}.cdf")
    return sorted(names)


def _present(path: Path) -> None:
    if not path.is_file():
        raise Refusal(
            f"no file at {path}; it is in the archive Poses > "
            f"{path.parent.name} of subject {path.parents[2].name}, from {SITE}"
        )


def _pose_file(folder: Path, subject: str, kind: str, action: str, camera: str) -> Path:
    return folder / subject / "MyPoseFeatures" / kind / f"{action}.{camera}.cdf"


def _detections(folder: Path, subject: str, action: str) -> tuple[Detections | None, ...]:
    return tuple(
        None
        if (subject, action, camera) in _NO_VIDEO
        else Detections(
            folder / "detections" / subject / f"{action}.{camera}.json",
            f'--video "{subject}/Videos/{action}.{camera}.mp4"',
        )
        for camera in CAMERAS
    )


def _recording(folder: Path, split: Split, subject: str, action: str, truth_2d: bool) -> Recordings:
    detections = _detections(folder, subject, action)

    def read(kind: str, axes: int) -> npt.NDArray[Any]:
        views = [
            _read_poses(_pose_file(folder, subject, kind, action, camera), axes)
            for camera in CAMERAS
        ]
        shortest = min(len(view) for view in views)
        poses = np.stack([view[:shortest] for view in views], 1)[:: EVERY[split]]
        poses[:, [found is None for found in detections]] = np.nan
        return poses

    pixels, joints_mm = read("D2_Positions", 2), read("D3_Positions_mono", 3)
    frames = min(len(pixels), len(joints_mm))
    pictures = np.arange(frames) * EVERY[split]
    return observations(
        session=f"{subject}/{action}",
        subject=subject,
        joints=H36M_17.joints,
        joints_mm=joints_mm[:frames],
        keypoints_px=pixels[:frames],
        image_px=np.array(list(CAMERAS.values())),
        t_s=pictures / _RATE_HZ,
        pictures=pictures,
        detections=detections,
        truth_2d=truth_2d,
    )


def _read_poses(path: Path, axes: int) -> npt.NDArray[Any]:
    """(N, S, axes) of the joints used."""
    try:
        poses = np.asarray(cdflib.CDF(path).varget("Pose"))
    except UNREADABLE as error:
        raise Refusal(
            f"{path} holds no poses ({error}); unpack it again from the archive of {SITE}"
        ) from error
    if poses.shape[-1] != _RECORDED * axes:
        raise Refusal(
            f"{path} has {poses.shape[-1]} numbers a frame, expected {_RECORDED * axes}: "
            f"{axes} for each of {_RECORDED} joints"
        )
    return poses.reshape(-1, _RECORDED, axes)[:, _USED].astype(np.float32)
