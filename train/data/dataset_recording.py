"""One recording of a published dataset, and how it becomes observations.

The labels are ground truth only; the 2D is a detector's, unless the labels' 2D is asked for.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Shaped

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.skeleton import H36M_16, Array, remap
from cvsf.system.errors import Refusal
from train.data.alphapose import how_to_detect, read_detections
from train.data.instants import Recordings

Split = Literal["train", "test"]

UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError),
    *(MemoryError, NotImplementedError, struct.error, zlib.error),
)
"""What the libraries that read a dataset's files raise where a file is cut short or another."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Where one view's detector results are, and what AlphaPose is to be run on for them."""

    path: Path
    pictures: str


def check_detections(found: Iterable[Detections | None]) -> None:
    """Refusal, with the command that makes it, for the first detection file that is missing; the
    content is not read. None stands for a view without a picture and is skipped.
    """
    for one in found:
        if one is not None and not one.path.is_file():
            raise Refusal(how_to_detect(one.path, one.pictures))


def observations(
    *,
    session: str,
    subject: str,
    joints: Sequence[str],
    joints_mm: Float[npt.NDArray[Any], "N V S 3"],
    keypoints_px: Float[npt.NDArray[Any], "N V S 2"],
    image_px: Int[npt.NDArray[Any], "V 2"],
    t_s: Shaped[npt.NDArray[Any], "N"],
    pictures: Int[npt.NDArray[Any], "N"],
    detections: Sequence[Detections | None],
    truth_2d: bool,
) -> Recordings:
    """N frames of V views, labelled in S joints by name, in joint set h36m-16; cameras are cam0,
    cam1, ...

    The labels `joints_mm`, in each view's own axes, and `keypoints_px` are NaN where a camera does
    not show the person; a view of which all label pixels are NaN has confidence 0. `pictures` is
    the number of each frame's picture as AlphaPose names it. `detections` has one entry a view,
    None where there is no picture: confidence 0. With `truth_2d` the labels' 2D stands for them, at
    confidence 1. Refusal if a file of detections is not as expected.
    """
    frames, views = keypoints_px.shape[:2]
    truth_px, truth_mm = (_remapped(labels, joints) for labels in (keypoints_px, joints_mm))
    if truth_2d:
        known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(truth_px).all(-1))
        confidence = np.asarray(known, np.float32)
        keypoints = np.where(known[..., None], truth_px, np.float32(0))
    else:
        confidence = np.zeros(truth_px.shape[:-1], np.float32)
        keypoints = np.zeros_like(truth_px)
        for view, found in enumerate(detections):
            if found is not None:
                keypoints[:, view], confidence[:, view] = read_detections(
                    found.path, pictures.tolist()
                )
        absent = np.isnan(truth_px).all((-2, -1))
        keypoints[absent], confidence[absent] = 0, 0
    head, thorax = (truth_px[..., H36M_16.index(joint), :] for joint in ("head", "thorax"))
    return Recordings(
        joint_set=H36M_16,
        cameras=tuple(f"cam{view}" for view in range(views)),
        keypoints_px=keypoints,
        confidence=confidence,
        image_px=np.broadcast_to(image_px.astype(np.float32), (frames, views, 2)),
        session=(session,) * frames,
        subject=(subject,) * frames,
        t_s=t_s.astype(np.float64),
        truth=GroundTruth(
            joints_mm=truth_mm,
            keypoints_px=truth_px,
            head_px=np.linalg.norm(head - thorax, axis=-1),
        ),
    )


def _remapped(labels: npt.NDArray[Any], joints: Sequence[str]) -> Array:
    found, known = remap(labels, np.ones(labels.shape[:-1], np.float32), joints, H36M_16.joints)
    found[known == 0] = np.nan
    return found
