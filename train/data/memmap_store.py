"""Instants on disk, drawn by row: what a training run learns from, however many sessions there are.

One part is in memory while it is written, none while they are read; a batch touches only its rows.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import Array
from cvsf.system.errors import Refusal
from train.data.instants import Instants, Placement
from train.data.temporal_windows import one_clock

log = logging.getLogger(__name__)

_PLACED = tuple(f"placed_{f.name}" for f in fields(Placement))
_ARRAYS = ("keypoints_px", "confidence", "image_px", "joints_mm", *_PLACED)
_OURS = re.compile(rf"\d{{5}}-({'|'.join(_ARRAYS)})\.npy|index\.npz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some instants of a store, all with the views of its largest session."""

    keypoints_px: Array  # (B, V, J, 2)
    confidence: Array  # (B, V, J)
    image_px: Array  # (B, V, 2)
    joints_mm: Array | None  # (B, V, J, 3), where every part has a truth
    placed: Placement | None  # where every part was placed


@dataclass(slots=True)
class Store:
    """Memory-mapped instants, each seen by two views or more."""

    sessions: tuple[str, ...]
    sha256: str  # of all that is in it
    views: int
    has_truth: bool
    is_placed: bool
    clock: npt.NDArray[np.float64]  # when each instant was, takes far apart
    _parts: list[dict[str, Array]]
    _ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def rows(self, index: npt.NDArray[np.int64]) -> Rows:
        """The instants of those numbers, in that order."""
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
        return Rows(
            keypoints_px=found["keypoints_px"],
            confidence=found["confidence"],
            image_px=found["image_px"],
            joints_mm=found.get("joints_mm"),
            placed=Placement(*(found[name] for name in _PLACED)) if self.is_placed else None,
        )


def check_store(folder: Path) -> None:
    """Refusal if a folder holds what no store does: it is about to be written anew."""
    strange = [p.name for p in folder.glob("*") if not _OURS.fullmatch(p.name)]
    if strange:
        raise Refusal(
            f"{folder} holds {strange[0]}, expected nothing that training has not written there; "
            "give another --out"
        )


def write_store(parts: Iterable[Instants], folder: Path, *, labelled: bool = False) -> None:
    """Write what two views saw (and, labelled, whose truth is whole), part by part, and an index;
    Refusal if that is nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: Counter[str] = Counter()
    untrue: Counter[str] = Counter()
    lengths: list[int] = []
    takes: list[str] = []
    times: list[npt.NDArray[np.float64]] = []
    content = hashlib.sha256()
    for part in parts:
        rows = np.asarray(part.confidence > 0).any(-1).sum(-1) > 1
        if labelled and part.truth.joints_mm is not None:
            whole = np.isfinite(part.truth.joints_mm).all((-2, -1)).any(-1)
            untrue.update(part.take(rows & ~whole).session)
            rows &= whole
        seen = part.take(rows)
        found.update(dict.fromkeys(part.session, 0))
        found.update(seen.session)
        if not len(seen):
            continue
        arrays: dict[str, Array | None] = {
            "keypoints_px": seen.keypoints_px,
            "confidence": seen.confidence,
            "image_px": seen.image_px,
            "joints_mm": seen.truth.joints_mm,
        }
        if seen.placed is not None:
            arrays |= {name: getattr(seen.placed, name.removeprefix("placed_")) for name in _PLACED}
        for name, array in arrays.items():
            if array is not None:
                stored = np.ascontiguousarray(array, np.float32)
                np.save(_path(folder, len(lengths), name), stored)
                content.update(stored.data)
        lengths.append(len(seen))
        takes += seen.session
        times.append(seen.t_s)
    sessions = _named(found, untrue, labelled=labelled)
    index: dict[str, Any] = {
        "lengths": np.array(lengths, np.int64),
        "sessions": np.array(sessions, np.str_),
        "clock": one_clock(takes, np.concatenate(times)),
        "sha256": np.array(content.hexdigest()),
    }
    np.savez(folder / "index.npz", allow_pickle=False, **index)


def open_store(folder: Path) -> Store:
    """What `write_store` wrote."""
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
        all(name in part for part in parts for name in _PLACED),
        clock,
        parts,
        np.cumsum(lengths),
    )


def _named(found: Counter[str], untrue: Counter[str], *, labelled: bool) -> list[str]:
    """The sessions that are learned from; those that are not are named in the log, with why."""
    kept = [name for name, count in found.items() if count]
    if not kept:
        what = ", with a truth that is whole," if labelled else ""
        raise Refusal(
            f"no instant{what} was seen by two views; learning needs at least two cameras "
            "that see the person"
        )
    for name in found:
        if not found[name] and untrue[name]:
            log.warning("session skipped: its truth is not whole", extra={"session": name})
        elif not found[name]:
            log.warning("session skipped: no instant seen by two views", extra={"session": name})
    return kept


def _path(folder: Path, part: int, name: str) -> Path:
    return folder / f"{part:05d}-{name}.npy"
