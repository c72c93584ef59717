"""What many cameras saw, read for training and scoring: multi-view files and recorded sessions, as
one table of instants.

2D and confidence are what a method may use; everything true is kept apart and only scored against.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.refusal import Refusal
from cvsf.session import SessionReader
from cvsf.skeleton import H36M_16, Array, joint_set, remap

_NEEDED = ("keypoints_px", "confidence", "joint_names", "image_px", "session", "t_s")
_MAX_VIEWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really was, in the lifter's joints; a joint the file lacks is NaN."""

    joints_mm: Array | None = None  # (N, V, J, 3) in each view's own axes
    pixels: Array | None = None  # (N, V, J, 2)
    head_px: Array | None = None  # (N, V)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instants:
    """N instants of up to V views in joint set h36m-16; an absent view is confidence 0."""

    keypoints_px: Array  # (N, V, J, 2)
    confidence: Array  # (N, V, J)
    image_px: Array  # (N, V, 2)
    session: tuple[str, ...]  # (N,) where the instant was recorded
    subject: tuple[str, ...]  # (N,) who, "" where unknown
    t_s: npt.NDArray[np.float64]  # (N,)
    truth: Truth = Truth()

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def sessions(self) -> tuple[str, ...]:
        """Names of the recordings, each once, in order."""
        return tuple(dict.fromkeys(self.session))

    def take(self, rows: npt.NDArray[Any]) -> "Instants":
        """The instants of a mask or index array."""
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        truth = Truth(
            joints_mm=_rows(self.truth.joints_mm, index),
            pixels=_rows(self.truth.pixels, index),
            head_px=_rows(self.truth.head_px, index),
        )
        return replace(
            self,
            keypoints_px=self.keypoints_px[index],
            confidence=self.confidence[index],
            image_px=self.image_px[index],
            session=tuple(self.session[i] for i in index),
            subject=tuple(self.subject[i] for i in index),
            t_s=self.t_s[index],
            truth=truth,
        )

    def of_subjects(self, names: Sequence[str], *, without: bool = False) -> "Instants":
        """Those of (or all but) the named subjects; Refusal if a name is unknown or nothing is
        left.
        """
        there = set(self.subject)
        if unknown := [name for name in names if name not in there]:
            raise Refusal(
                f"no instant is of subject {unknown[0]!r}, "
                f"expected some of {', '.join(sorted(there))}"
            )
        chosen = self.take(np.array([(s in names) != without for s in self.subject], bool))
        if not len(chosen):
            raise Refusal("no instant is left after the choice of subjects; name fewer or others")
        return chosen


def read_instants(paths: Sequence[Path]) -> Instants:
    """All instants of files and session folders, one after the other."""
    if not paths:
        raise Refusal("nothing to read; expected multi-view .npz files or session folders")
    return _joined([_read_session(p) if p.is_dir() else read_file(p) for p in paths])


def read_file(path: Path) -> Instants:
    """A file of make_multiview's layout, any registered joints in any order; Refusal says what is
    wrong with it.
    """
    if not path.is_file():
        raise Refusal(f"no file at {path}; expected a multi-view .npz file or a session folder")
    if not zipfile.is_zipfile(path):
        raise Refusal(f"{path} is no .npz file; expected a multi-view file or a session folder")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (ValueError, OSError, KeyError) as error:
        raise Refusal(f"{path} is not a readable .npz file ({error}); make it again") from error
    if missing := [name for name in _NEEDED if name not in found]:
        raise Refusal(
            f"{path} lacks {', '.join(missing)}; expected the layout of a multi-view file"
        )
    try:
        return _from_arrays(found, path.stem)
    except ValueError as error:
        raise Refusal(f"{path}: {error}") from error


def _from_arrays(found: dict[str, npt.NDArray[Any]], stem: str) -> Instants:
    names = [str(name) for name in found["joint_names"]]
    frames, views, joints = _checked_shape(found, len(names))
    confidence = np.nan_to_num(found["confidence"].astype(np.float32), nan=0.0)
    broken = ~np.isfinite(found["keypoints_px"]).all(-1)
    keypoints = np.where(broken[..., None], 0, found["keypoints_px"]).astype(np.float32)
    keypoints, confidence = remap(
        keypoints, np.where(broken, 0, confidence).clip(0, 1), names, H36M_16.joints
    )
    image = np.broadcast_to(found["image_px"].astype(np.float32), (frames, views, 2))
    return Instants(
        keypoints_px=keypoints,
        confidence=confidence,
        image_px=image,
        session=tuple(f"{stem}:{number}" for number in found["session"]),
        subject=_subjects(found, frames),
        t_s=found["t_s"].astype(np.float64),
        truth=_truth(found, names, (frames, views, joints)),
    )


def _checked_shape(found: dict[str, npt.NDArray[Any]], joints: int) -> tuple[int, int, int]:
    shape = found["confidence"].shape
    if len(shape) != 3 or shape[2] != joints or found["keypoints_px"].shape != (*shape, 2):
        raise ValueError(
            f"keypoints_px is {found['keypoints_px'].shape} and confidence {shape}, "
            f"expected (N, V, {joints}, 2) and (N, V, {joints})"
        )
    if not 1 <= shape[1] <= _MAX_VIEWS:
        raise ValueError(f"views is {shape[1]}, expected 1 to {_MAX_VIEWS}")
    if found["image_px"].shape not in ((2,), (shape[1], 2)):
        raise ValueError(f"image_px is {found['image_px'].shape}, expected (2,) or ({shape[1]}, 2)")
    for name in ("session", "t_s"):
        if found[name].shape != shape[:1]:
            raise ValueError(f"{name} is {found[name].shape}, expected {shape[:1]}")
    return shape[0], shape[1], shape[2]


def _subjects(found: dict[str, npt.NDArray[Any]], frames: int) -> tuple[str, ...]:
    if "subject" not in found:
        return ("",) * frames
    names = [str(name) for name in found.get("subject_names", np.array([]))]
    return tuple(
        names[number] if 0 <= number < len(names) else str(number) for number in found["subject"]
    )


def _truth(
    found: dict[str, npt.NDArray[Any]], names: list[str], shape: tuple[int, int, int]
) -> Truth:
    def read(name: str, last: int) -> Array | None:
        if name not in found:
            return None
        if found[name].shape != (*shape, last):
            raise ValueError(f"{name} is {found[name].shape}, expected {(*shape, last)}")
        values, known = remap(found[name], np.ones(shape, np.float32), names, H36M_16.joints)
        values[known == 0] = np.nan
        return values

    head = found.get("head_px")
    return Truth(
        joints_mm=read("joints_mm", 3),
        pixels=read("truth_px", 2),
        head_px=None if head is None else head.astype(np.float32),
    )


def _read_session(folder: Path) -> Instants:
    """The 2D poses a hub recorded; cameras that come and go keep their place on the view axis."""
    poses = list(SessionReader(folder).poses())
    if not poses:
        raise Refusal(f"{folder} holds no 2D poses; record with --record frames or poses")
    cameras = sorted({camera for pose in poses for camera in pose.cameras})
    if len(cameras) > _MAX_VIEWS:
        raise Refusal(f"{folder} has {len(cameras)} cameras, expected at most {_MAX_VIEWS}")
    shape = (len(poses), len(cameras), len(H36M_16))
    keypoints, confidence = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)
    image = np.zeros((*shape[:2], 2), np.float32)
    for row, pose in enumerate(poses):
        place = [cameras.index(camera) for camera in pose.cameras]
        source = joint_set(pose.joint_set).joints
        keypoints[row, place], confidence[row, place] = remap(
            pose.keypoints_px, pose.confidence, source, H36M_16.joints
        )
        image[row, place] = pose.image_px
    return Instants(
        keypoints_px=keypoints,
        confidence=confidence,
        image_px=image,
        session=(folder.name,) * len(poses),
        subject=("",) * len(poses),
        t_s=np.array([pose.t_ns for pose in poses]) / 1e9,
    )


def _joined(parts: list[Instants]) -> Instants:
    if len(parts) == 1:
        return parts[0]
    views = max(part.confidence.shape[1] for part in parts)

    def stack(arrays: list[Array | None], fill: float = 0.0) -> Array | None:
        if any(array is None for array in arrays):
            return None
        return np.concatenate([_padded(a, views, fill) for a in arrays if a is not None])

    keypoints = stack([p.keypoints_px for p in parts])
    confidence = stack([p.confidence for p in parts])
    image = stack([p.image_px for p in parts])
    assert keypoints is not None
    assert confidence is not None
    assert image is not None
    return Instants(
        keypoints_px=keypoints,
        confidence=confidence,
        image_px=image,
        session=tuple(s for p in parts for s in p.session),
        subject=tuple(s for p in parts for s in p.subject),
        t_s=np.concatenate([p.t_s for p in parts]),
        truth=Truth(
            joints_mm=stack([p.truth.joints_mm for p in parts], np.nan),
            pixels=stack([p.truth.pixels for p in parts], np.nan),
            head_px=stack([p.truth.head_px for p in parts], np.nan),
        ),
    )


def _padded(array: Array, views: int, fill: float) -> Array:
    width = [(0, 0)] * array.ndim
    width[1] = (0, views - array.shape[1])
    return np.pad(array, width, constant_values=fill)


def _rows(array: Array | None, index: npt.NDArray[Any]) -> Array | None:
    return None if array is None else array[index]
