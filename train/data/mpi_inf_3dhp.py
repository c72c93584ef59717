"""MPI-INF-3DHP in the layout of its own download: one annotation file a sequence.

Training sequences have the chest-high cameras, a test sequence one; of it only the frames marked
valid count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io

from cvsf.skeleton import Array
from cvsf.system.errors import Refusal
from train.data.dataset_recording import (
    UNREADABLE,
    Detections,
    Split,
    check_detections,
    observations,
)
from train.data.instants import Recordings

SITE = "https://vcai.mpi-inf.mpg.de/3dhp-dataset (free for research, its licence must be accepted)"
CAMERAS = (0, 2, 4, 7, 8)
"""The five at chest height (`mm3d_chest` of the download's mpii_get_camera_set)."""
EVERY = 5
"""Which frames are trained on: every so manyth of 25 or 50 a second."""
TEST_SET = "mpi_inf_3dhp_test_set"


@dataclass(frozen=True, slots=True)
class Sequence:
    """How many frames have a picture, and how many a second (mpii_get_sequence_info)."""

    frames: int
    rate_hz: float


SEQUENCES = {
    "S1/Seq1": Sequence(6416, 25),
    "S1/Seq2": Sequence(12430, 50),
    "S2/Seq1": Sequence(6502, 25),
    "S2/Seq2": Sequence(6081, 25),
    "S3/Seq1": Sequence(12488, 50),
    "S3/Seq2": Sequence(12283, 50),
    "S4/Seq1": Sequence(6171, 25),
    "S4/Seq2": Sequence(6675, 25),
    "S5/Seq1": Sequence(12820, 50),
    "S5/Seq2": Sequence(12312, 50),
    "S6/Seq1": Sequence(6188, 25),
    "S6/Seq2": Sequence(6145, 25),
    "S7/Seq1": Sequence(6239, 25),
    "S7/Seq2": Sequence(6320, 25),
    "S8/Seq1": Sequence(6468, 25),
    "S8/Seq2": Sequence(6054, 25),
}
TEST_SEQUENCES = {
    **dict.fromkeys(("TS1", "TS2", "TS3", "TS4"), (2048, 2048)),
    **dict.fromkeys(("TS5", "TS6"), (1920, 1080)),
}
"""And the size of their pictures in pixels."""

_TRAIN_PX = (2048, 2048)
_TEST_RATE_HZ = 25.0
_ANNOTATED = 28
_JOINTS = {
    "hip": 4,
    "rhip": 23,
    "rknee": 24,
    "rankle": 25,
    "lhip": 18,
    "lknee": 19,
    "lankle": 20,
    "spine": 3,
    "thorax": 5,
    "neck": 6,
    "head": 7,
    "lshoulder": 9,
    "lelbow": 10,
    "lwrist": 11,
    "rshoulder": 14,
    "relbow": 15,
    "rwrist": 16,
}
"""Places in an annotation of 28; what the download calls neck, head and head_top are Human3.6M's
thorax, neck and head.
"""
_TEST_JOINTS = (
    *("head", "thorax", "rshoulder", "relbow", "rwrist", "lshoulder", "lelbow", "lwrist"),
    *("rhip", "rknee", "rankle", "lhip", "lknee", "lankle", "hip", "spine", "neck"),
)
"""The 17 of the test set in its order (`relevant` of mpii_get_joint_set)."""


def read_mpi_inf_3dhp(
    folder: Path, split: Split, *, truth_2d: bool = False
) -> Iterator[Recordings]:
    """The sequences of a split of MPI-INF-3DHP, one session each: "S1/Seq1" with five views and
    every 5th frame, or "TS1" of the test set with one view and its valid frames. Joints in mm in
    each camera's axes, 2D in px; `truth_2d` takes the true 2D instead of detections. Refusal at
    once if a file is missing, while reading if one is damaged.
    """
    names = tuple(SEQUENCES if split == "train" else TEST_SEQUENCES)
    for name in names:
        path = _annotation(folder, name)
        if not path.is_file():
            raise Refusal(
                f"no file at {path}; it is in the {'training' if split == 'train' else 'test'} "
                f"set, from {SITE}"
            )
        if not truth_2d:
            check_detections(_detections(folder, name))
    read = _train_recording if split == "train" else _test_recording
    return (read(folder, name, truth_2d) for name in names)


def _annotation(folder: Path, name: str) -> Path:
    if name in SEQUENCES:
        return folder / name / "annot.mat"
    return folder / TEST_SET / name / "annot_data.mat"


def _detections(folder: Path, name: str) -> tuple[Detections, ...]:
    if name in TEST_SEQUENCES:
        pictures = f"--indir {TEST_SET}/{name}/imageSequence"
        return (Detections(folder / "detections" / f"{name}.json", pictures),)
    return tuple(
        Detections(
            folder / "detections" / name / f"video_{camera}.json",
            f"--video {name}/imageSequence/video_{camera}.avi",
        )
        for camera in CAMERAS
    )


def _train_recording(folder: Path, name: str, truth_2d: bool) -> Recordings:
    path = _annotation(folder, name)
    pixels, joints_mm = _read_annotation(path)
    exposures = min(len(pixels), SEQUENCES[name].frames)
    pictures = np.arange(0, exposures, EVERY)
    return observations(
        session=name,
        subject=name.partition("/")[0],
        joints=tuple(_JOINTS),
        joints_mm=joints_mm[pictures],
        keypoints_px=pixels[pictures],
        image_px=np.array([_TRAIN_PX] * len(CAMERAS)),
        t_s=pictures / SEQUENCES[name].rate_hz,
        pictures=pictures,
        detections=_detections(folder, name),
        truth_2d=truth_2d,
    )


def _read_annotation(path: Path) -> tuple[Array, Array]:
    """Pixels (N, V, S, 2) and mm (N, V, S, 3) of a file whose cells are one camera each."""
    try:
        found = scipy.io.loadmat(path, variable_names=("annot2", "annot3", "cameras"))
        order = [found["cameras"].ravel().tolist().index(camera) for camera in CAMERAS]
        cells = {name: found[name].ravel()[order] for name in ("annot2", "annot3")}
        used = list(_JOINTS.values())
        pixels, joints_mm = (
            np.stack([c.reshape(-1, _ANNOTATED, axes)[:, used] for c in cells[name]], 1)
            for name, axes in (("annot2", 2), ("annot3", 3))
        )
    except (*UNREADABLE, scipy.io.matlab.MatReadError) as error:
        raise Refusal(_unreadable(path, "annot2, annot3 and cameras", error)) from error
    return pixels.astype(np.float32), joints_mm.astype(np.float32)


def _test_recording(folder: Path, name: str, truth_2d: bool) -> Recordings:
    path = _annotation(folder, name)
    try:
        with h5py.File(path) as file:
            valid = np.flatnonzero(np.asarray(file["valid_frame"]))
            pixels = _one_view(file["annot2"], 2)[valid]
            joints_mm = _one_view(file["univ_annot3"], 3)[valid]
    except UNREADABLE as error:
        raise Refusal(_unreadable(path, "annot2, univ_annot3 and valid_frame", error)) from error
    return observations(
        session=name,
        subject=name,
        joints=_TEST_JOINTS,
        joints_mm=joints_mm,
        keypoints_px=pixels,
        image_px=np.array([TEST_SEQUENCES[name]]),
        t_s=valid / _TEST_RATE_HZ,
        pictures=valid + 1,  # img_000001.jpg is the first
        detections=_detections(folder, name),
        truth_2d=truth_2d,
    )


def _one_view(stored: Any, axes: int) -> npt.NDArray[Any]:
    return np.asarray(stored, np.float32).reshape(-1, 1, len(_TEST_JOINTS), axes)


def _unreadable(path: Path, wanted: str, error: Exception) -> str:
    return f"{path} is no annotation ({error}), expected {wanted} in it; get it again from {SITE}"
