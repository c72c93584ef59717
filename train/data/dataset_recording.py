"""One recording of a published dataset, and how it becomes instants.

What its labels say is truth only; the 2D is a detector's, unless the labels' own was asked for.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import H36M_16, Array, remap
from cvsf.system.errors import Refusal
from train.data.alphapose import how_to_detect, read_detections
from train.data.instants import Instants, Truth

Split = Literal["train", "test"]

UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError),
    *(MemoryError, NotImplementedError, struct.error, zlib.error),
)
"""What the libraries raise that read a dataset's files, where a file is cut short or another."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Where one view's detector results are, and what AlphaPose is to be run on for them."""

    path: Path
    pictures: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """N frames seen by V cameras, S joints by name; a camera without the person is NaN."""

    session: str
    subject: str
    joints: tuple[str, ...]
    joints_mm: npt.NDArray[Any]  # (N, V, S, 3) in each view's own axes
    pixels: npt.NDArray[Any]  # (N, V, S, 2)
    image_px: npt.NDArray[Any]  # (V, 2)
    t_s: npt.NDArray[Any]  # (N,)
    pictures: npt.NDArray[Any]  # (N,) the number of each frame's picture, as AlphaPose names it
    detections: tuple[Detections | None, ...]  # one a view; None where there is no picture


def check_detections(found: Iterable[Detections | None]) -> None:
    """Refusal with the way to make the first that is not there."""
    for one in found:
        if one is not None and not one.path.is_file():
            raise Refusal(how_to_detect(one.path, one.pictures))


def instants(takes: Iterable[Take], *, truth_2d: bool) -> Iterator[Instants]:
    """Every take in the lifter's joints, one at a time."""
    for take in takes:
        yield _instants(take, truth_2d)


def _instants(take: Take, truth_2d: bool) -> Instants:
    frames, views = take.pixels.shape[:2]
    pixels, joints_mm = _truth(take, take.pixels), _truth(take, take.joints_mm)
    if truth_2d:
        known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(pixels).all(-1))
        confidence = np.asarray(known, np.float32)
        keypoints = np.where(known[..., None], pixels, np.float32(0))
    else:
        keypoints, confidence = _detected(take)
        nobody = np.isnan(pixels).all((-2, -1))
        keypoints[nobody], confidence[nobody] = 0, 0
    head = H36M_16.index("head")
    thorax = H36M_16.index("thorax")
    return Instants(
        keypoints_px=keypoints,
        confidence=confidence,
        image_px=np.broadcast_to(take.image_px.astype(np.float32), (frames, views, 2)),
        session=(take.session,) * frames,
        subject=(take.subject,) * frames,
        t_s=take.t_s.astype(np.float64),
        truth=Truth(
            joints_mm=joints_mm,
            pixels=pixels,
            head_px=np.linalg.norm(pixels[..., head, :] - pixels[..., thorax, :], axis=-1),
        ),
    )


def _truth(take: Take, values: npt.NDArray[Any]) -> Array:
    there = np.ones(values.shape[:-1], np.float32)
    read, known = remap(values, there, take.joints, H36M_16.joints)
    read[known == 0] = np.nan
    return read


def _detected(take: Take) -> tuple[Array, Array]:
    shape = (*take.pixels.shape[:2], len(H36M_16))
    keypoints, confidence = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)
    for view, found in enumerate(take.detections):
        if found is not None:
            keypoints[:, view], confidence[:, view] = read_detections(
                found.path, take.pictures.tolist()
            )
    return keypoints, confidence
