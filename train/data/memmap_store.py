"""Recordings on disk, drawn by row: what a training run learns from, of any number of sessions.

One part is in memory while it is written, none while they are read; a batch reads only its rows.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.skeleton import H36M_16, Array
from cvsf.system.errors import Refusal
from train.data.instants import PseudoLabels, Recordings
from train.data.temporal_windows import one_clock

log = logging.getLogger(__name__)

_LABELS = ("placed_joints", "placed_deviation", "placed_residual", "placed_camera")
_ARRAYS = ("keypoints_px", "confidence", "image_px", "joints_mm", *_LABELS)
_OURS = re.compile(rf"\d{{5}}-({'|'.join(_ARRAYS)})\.npy|index\.npz")


@dataclass(slots=True)
class Store:
    """Memory-mapped recordings of N instants, each observed by two views or more."""

    sessions: tuple[str, ...]
    sha256: str  # of all arrays
    views: int  # of the session with the most; others are padded with confidence 0
    has_truth: bool  # every part has joints_mm
    has_pseudo_labels: bool
    clock: Float[npt.NDArray[np.float64], "N"]  # seconds, rising; sessions are far apart
    _parts: list[dict[str, Array]]
    _ends: Int[npt.NDArray[np.int64], "parts"]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def rows(self, index: Int[npt.NDArray[np.int64], "B"]) -> Recordings:
        """The instants of those numbers (at least one), 0 to the length less 1, in that order;
        IndexError beyond.

        All have the store's number of views; views that a session lacks are zero in every array.
        Arrays are copies. True joints are None if no part drawn from has them, 0 for parts without.
        `t_s` is the store's clock (s); sessions, subjects and the names of cameras are not kept.
        """
        part_of = np.searchsorted(self._ends, index, side="right")
        found: dict[str, Array] = {}
        for number in np.unique(part_of):
            at = np.flatnonzero(part_of == number)
            part = self._parts[number]
            inside = index[at] - (self._ends[number] - len(part["confidence"]))
            for name, stored in part.items():
                taken = stored[inside]
                if name not in found:
                    shape = (len(index), self.views, *taken.shape[2:])
                    found[name] = np.zeros(shape, np.float32)
                found[name][at, : taken.shape[1]] = taken
        return Recordings(
            joint_set=H36M_16,
            cameras=tuple(f"cam{view}" for view in range(self.views)),
            keypoints_px=found["keypoints_px"],
            confidence=found["confidence"],
            image_px=found["image_px"],
            t_s=self.clock[index],
            session=("",) * len(index),
            subject=("",) * len(index),
            truth=GroundTruth(joints_mm=found.get("joints_mm")),
            pseudo_labels=_labels_from(found) if self.has_pseudo_labels else None,
        )


def check_store(folder: Path) -> None:
    """Refusal if a folder holds files that are not a store's, for it is about to be overwritten.
    Only names are looked at; a folder that is empty or missing is accepted, and nothing is changed.
    """
    strange = [p.name for p in folder.glob("*") if not _OURS.fullmatch(p.name)]
    if strange:
        raise Refusal(
            f"{folder} holds {strange[0]}, expected nothing that training has not written there; "
            "give another --out"
        )


def write_store(parts: Iterable[Recordings], folder: Path, *, labelled: bool = False) -> None:
    """Write the instants in which two views or more see the person, part by part, and an index.
    With `labelled`, parts with a truth keep only instants of which a view has all true joints.

    The folder is made; files of a former store are overwritten, not deleted. Sessions without such
    instants are named in the log; Refusal at the end if none is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: Counter[str] = Counter()
    without_truth: Counter[str] = Counter()
    lengths: list[int] = []
    names: list[str] = []
    times: list[npt.NDArray[np.float64]] = []
    content = hashlib.sha256()
    for part in parts:
        rows = np.asarray(part.confidence > 0).any(-1).sum(-1) > 1
        if labelled and part.truth.joints_mm is not None:
            whole = np.isfinite(part.truth.joints_mm).all((-2, -1)).any(-1)
            without_truth.update(part.take(rows & ~whole).session)
            rows &= whole
        kept = part.take(rows)
        found.update(dict.fromkeys(part.session, 0))
        found.update(kept.session)
        if not len(kept):
            continue
        arrays: dict[str, Array | None] = {
            "keypoints_px": kept.keypoints_px,
            "confidence": kept.confidence,
            "image_px": kept.image_px,
            "joints_mm": kept.truth.joints_mm,
        }
        if kept.pseudo_labels is not None:
            arrays |= _stored(kept.pseudo_labels)
        for name, array in arrays.items():
            if array is not None:
                stored = np.ascontiguousarray(array, np.float32)
                np.save(_path(folder, len(lengths), name), stored)
                content.update(stored.data)
        lengths.append(len(kept))
        names += kept.session
        times.append(kept.t_s)
    sessions = _named(found, without_truth, labelled=labelled)
    index: dict[str, Any] = {
        "lengths": np.array(lengths, np.int64),
        "sessions": np.array(sessions, np.str_),
        "clock": one_clock(names, np.concatenate(times)),
        "sha256": np.array(content.hexdigest()),
    }
    np.savez(folder / "index.npz", allow_pickle=False, **index)


def open_store(folder: Path) -> Store:
    """The store in a folder that `write_store` wrote, memory-mapped: arrays stay on disk until rows
    are drawn. FileNotFoundError if the folder has no index.
    """
    with np.load(folder / "index.npz", allow_pickle=False) as index:
        lengths, sessions = index["lengths"], tuple(map(str, index["sessions"]))
        sha256, clock = str(index["sha256"]), index["clock"]
    parts = [
        {
            name: np.load(path, mmap_mode="r", allow_pickle=False)
            for name in _ARRAYS
            if (path := _path(folder, number, name)).exists()
        }
        for number in range(len(lengths))
    ]
    return Store(
        sessions,
        sha256,
        max(part["confidence"].shape[1] for part in parts),
        all("joints_mm" in part for part in parts),
        all(name in part for part in parts for name in _LABELS),
        clock,
        parts,
        np.cumsum(lengths),
    )


def _stored(labels: PseudoLabels) -> dict[str, Array]:
    """Pseudo-labels by the names they have on disk."""
    camera = np.concatenate([labels.up, labels.focal_px[..., None]], -1)
    arrays = labels.joints, labels.deviation, labels.residual, camera
    return dict(zip(_LABELS, arrays, strict=True))


def _labels_from(found: Mapping[str, Array]) -> PseudoLabels:
    """What `_stored` gave."""
    joints, deviation, residual, camera = (found[name] for name in _LABELS)
    return PseudoLabels(
        joints=joints,
        deviation=deviation,
        residual=residual,
        up=camera[..., :3],
        focal_px=camera[..., 3],
    )


def _named(found: Counter[str], without_truth: Counter[str], *, labelled: bool) -> list[str]:
    """The sessions to train on; the log names the others, with the reason."""
    kept = [name for name, count in found.items() if count]
    if not kept:
        what = ", with a truth that is whole," if labelled else ""
        raise Refusal(
            f"no instant{what} was observed by two views; learning needs at least two cameras "
            "that observe the person"
        )
    for name in found:
        if not found[name] and without_truth[name]:
            log.warning("session skipped: its truth is not whole", extra={"session": name})
        elif not found[name]:
            log.warning(
                "session skipped: no instant observed by two views", extra={"session": name}
            )
    return kept


def _path(folder: Path, part: int, name: str) -> Path:
    return folder / f"{part:05d}-{name}.npy"
