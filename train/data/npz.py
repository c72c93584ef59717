"""Multi-view files (the layout of make_multiview.py): any registered joints in any order, 1 to 16
views.

What does not fit the layout is refused by name.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.evaluation.ground_truth import read_ground_truth
from cvsf.messages import MAX_VIEWS
from cvsf.skeleton import H36M_16, remap
from cvsf.system.errors import Refusal
from train.data.instants import Recordings

_NEEDED = ("keypoints_px", "confidence", "joint_names", "image_px", "session", "t_s")


def read_file(path: Path) -> Recordings:
    """A multi-view file, its joints in any order of a known joint set, in h36m-16: 2D in px, truth
    in mm. Sessions are named "stem:number"; a keypoint that is no finite number has confidence 0,
    an unknown picture size is 0. Refusal says what is wrong if the file is missing, unreadable or
    of another layout.
    """
    if not path.is_file():
        raise Refusal(f"no file at {path}; expected a multi-view .npz file or a session folder")
    if not zipfile.is_zipfile(path):
        raise Refusal(f"{path} is no .npz file; expected a multi-view file or a session folder")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise Refusal(f"{path} is not a readable .npz file ({error}); make it again") from error
    if missing := [name for name in _NEEDED if name not in found]:
        raise Refusal(
            f"{path} lacks {', '.join(missing)}; expected the layout of a multi-view file"
        )
    try:
        if strange := [name for name in _NEEDED if not isinstance(found[name], np.ndarray)]:
            raise ValueError(f"{strange[0]} is no array of numpy's; make the file again")
        return _from_arrays(found, path.stem)
    except ValueError as error:
        raise Refusal(f"{path}: {error}") from error


def _from_arrays(found: dict[str, npt.NDArray[Any]], stem: str) -> Recordings:
    names = [str(name) for name in found["joint_names"].ravel()]
    frames, views = _checked_shape(found, len(names))
    confidence = found["confidence"].astype(np.float32)
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and not observed
        keypoints = found["keypoints_px"].astype(np.float32)
    if not np.isfinite(found["t_s"].astype(np.float64)).all():
        raise ValueError("t_s holds what is no number, expected seconds; make the file again")
    broken = ~(np.isfinite(keypoints).all(-1) & np.isfinite(confidence))
    keypoints = np.where(broken[..., None], 0, keypoints)
    keypoints, confidence = remap(
        keypoints, np.where(broken, 0, confidence).clip(0, 1), names, H36M_16.joints
    )
    image = np.nan_to_num(found["image_px"].astype(np.float32), posinf=0)  # 0 is unknown
    image = np.broadcast_to(image, (frames, views, 2))
    return Recordings(
        joint_set=H36M_16,
        cameras=tuple(f"cam{view}" for view in range(views)),
        keypoints_px=keypoints,
        confidence=confidence,
        image_px=image,
        session=tuple(f"{stem}:{number}" for number in found["session"]),
        subject=_subjects(found, frames),
        t_s=found["t_s"].astype(np.float64),
        truth=read_ground_truth(found),
        given_K=_given(found, "given_K", (frames, views, 3, 3)),
        given_distortion=_given(found, "given_distortion", (frames, views, 5)),
    )


def _given(
    found: dict[str, npt.NDArray[Any]], name: str, shape: tuple[int, ...]
) -> npt.NDArray[np.float64] | None:
    """What is known of the lenses, or None if the file does not say."""
    if name not in found:
        return None
    if found[name].shape != shape:
        raise ValueError(f"{name} is {found[name].shape}, expected {shape}")
    return found[name].astype(np.float64)


def _checked_shape(found: dict[str, npt.NDArray[Any]], joints: int) -> tuple[int, int]:
    shape = found["confidence"].shape
    if len(shape) != 3 or shape[2] != joints or found["keypoints_px"].shape != (*shape, 2):
        raise ValueError(
            f"keypoints_px is {found['keypoints_px'].shape} and confidence {shape}, "
            f"expected (N, V, {joints}, 2) and (N, V, {joints})"
        )
    if not shape[0]:
        raise ValueError("keypoints_px holds no instant, expected at least one")
    if not shape[1]:
        raise ValueError("keypoints_px holds no view, expected at least one")
    if shape[1] > MAX_VIEWS:
        raise ValueError(
            f"it has {shape[1]} views, expected {MAX_VIEWS} or fewer; leave some of them out"
        )
    if found["image_px"].shape not in ((2,), (shape[1], 2)):
        raise ValueError(f"image_px is {found['image_px'].shape}, expected (2,) or ({shape[1]}, 2)")
    wanted = {"session": shape[:1], "t_s": shape[:1], "subject": shape[:1]}
    for name, expected in wanted.items():
        if name in found and found[name].shape != expected:
            raise ValueError(f"{name} is {found[name].shape}, expected {expected}")
    return shape[0], shape[1]


def _subjects(found: dict[str, npt.NDArray[Any]], frames: int) -> tuple[str, ...]:
    if "subject" not in found:
        return ("",) * frames
    if found["subject"].dtype.kind not in "iu":
        return tuple(str(name) for name in found["subject"])
    names = [str(name) for name in found.get("subject_names", np.array([]))]
    return tuple(
        names[number] if 0 <= number < len(names) else str(number) for number in found["subject"]
    )
