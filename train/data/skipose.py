"""Ski-PosePTZ in the layout of its own download: one labels.h5 a split, a row a picture.

Cameras pan, tilt and zoom. The rows of one frame are put together; a camera without a row did not
show the skier.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
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

SITE = "https://www.epfl.ch/labs/cvlab/data/ski-poseptz-dataset (its licence must be accepted)"
CAMERAS = range(6)
CROP_PX = 256

_RATE_HZ = 30.0
_NEEDED = ("seq", "cam", "frame", "subj", "3D", "2D")
_METRES_BELOW = 10.0
"""A head less than ten units from the hip is in metres, else in millimetres."""


def read_skipose(folder: Path, split: Split, *, truth_2d: bool = False) -> Iterator[Recordings]:
    """The runs of a split of SkiPose-PTZ, one session each: "1/seq_103". Joints in mm in each
    camera's axes, NaN where a camera has no row; 2D in px of the 256 px crop. `truth_2d` takes the
    true 2D instead of detections. All labels are read at once; Refusal then if a file is missing or
    damaged, while reading if detections are damaged.
    """
    labels = _read_labels(folder / split / "labels.h5")
    runs = sorted({(int(s), int(n)) for s, n in zip(labels["subj"], labels["seq"], strict=True)})
    recordings = {run: _rows_of(labels, *run) for run in runs}
    if not truth_2d:
        for (_, number), rows in recordings.items():
            check_detections(_detections(folder, split, number, rows["cam"]))
    return (_recording(folder, split, run, rows, truth_2d) for run, rows in recordings.items())


def _read_labels(path: Path) -> dict[str, npt.NDArray[Any]]:
    if not path.is_file():
        raise Refusal(f"no file at {path}; it is in Ski-PosePTZ-CameraDataset-png.zip, from {SITE}")
    try:
        with h5py.File(path) as file:
            labels = {name: np.asarray(file[name]) for name in _NEEDED}
        rows = len(labels["3D"])
        labels |= {
            "3D": labels["3D"].reshape(rows, len(H36M_17), 3).astype(np.float32),
            "2D": labels["2D"].reshape(rows, len(H36M_17), 2).astype(np.float32),
        }
        return labels | {n: labels[n].reshape(rows).astype(int) for n in _NEEDED[:4]}
    except UNREADABLE as error:
        raise Refusal(
            f"{path} holds no labels ({error}), expected {', '.join(_NEEDED)} in it; "
            f"get it again from {SITE}"
        ) from error


def _rows_of(
    labels: dict[str, npt.NDArray[Any]], subject: int, number: int
) -> dict[str, npt.NDArray[Any]]:
    which = (labels["subj"] == subject) & (labels["seq"] == number)
    return {name: array[which] for name, array in labels.items()}


def _detections(
    folder: Path, split: Split, number: int, with_rows: npt.NDArray[Any]
) -> tuple[Detections | None, ...]:
    def of(camera: int) -> Detections | None:
        if camera not in with_rows:
            return None
        folder_name = f"{split}/seq_{number:03d}/cam_{camera:02d}"
        return Detections(folder / "detections" / f"{folder_name}.json", f"--indir {folder_name}")

    return tuple(of(camera) for camera in CAMERAS)


def _recording(
    folder: Path,
    split: Split,
    run: tuple[int, int],
    rows: dict[str, npt.NDArray[Any]],
    truth_2d: bool,
) -> Recordings:
    subject, number = run
    frames, row = np.unique(rows["frame"], return_inverse=True)
    joints_mm = np.full((len(frames), len(CAMERAS), len(H36M_17), 3), np.nan, np.float32)
    pixels = np.full((*joints_mm.shape[:3], 2), np.nan, np.float32)
    joints_mm[row, rows["cam"]] = rows["3D"] * _mm_per_unit(rows["3D"])
    pixels[row, rows["cam"]] = rows["2D"] * CROP_PX
    return observations(
        session=f"{subject}/seq_{number:03d}",
        subject=str(subject),
        joints=H36M_17.joints,
        joints_mm=joints_mm,
        keypoints_px=pixels,
        image_px=np.full((len(CAMERAS), 2), CROP_PX),
        t_s=frames / _RATE_HZ,
        pictures=frames,
        detections=_detections(folder, split, number, rows["cam"]),
        truth_2d=truth_2d,
    )


def _mm_per_unit(poses: npt.NDArray[Any]) -> float:
    head, hip = (poses[:, H36M_17.index(joint)] for joint in ("head", "hip"))
    reach = np.nanmedian(np.linalg.norm(head - hip, axis=-1))
    return 1000.0 if reach < _METRES_BELOW else 1.0
