"""What many cameras saw, for training and scoring: a table of instants, whatever it was read from.

2D and confidence are what a method may use; everything true is kept apart and only scored against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import Array
from cvsf.system.errors import Refusal

MAX_VIEWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really was, in the lifter's joints; a joint the file lacks is NaN."""

    joints_mm: Array | None = None  # (N, V, J, 3) in each view's own axes
    pixels: Array | None = None  # (N, V, J, 2)
    head_px: Array | None = None  # (N, V)
    view_from_world: Array | None = None  # (N, V, 3, 3)
    translation_mm: Array | None = None  # (N, V, 3)
    focal_px: Array | None = None  # (N, V)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where every joint was as its session's own cameras tell (train.batches.pseudo_labels), no
    truth among it.

    Trunk and leg of the athlete are 1; a residual is a share of the person's extent in the picture.
    """

    joints: Array  # (N, V, J, 3) in each view's own axes
    deviation: Array  # (N, V, J) one standard deviation
    residual: Array  # (N, V, J, 2) seen minus shown, 0 where not seen
    camera: Array  # (N, V, 4) the world's up in the view's axes, and the focal length in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Instants:
    """N instants of up to V views in joint set h36m-16; an absent view is confidence 0."""

    keypoints_px: Array  # (N, V, J, 2)
    confidence: Array  # (N, V, J)
    image_px: Array  # (N, V, 2)
    session: tuple[str, ...]  # (N,) where the instant was recorded
    subject: tuple[str, ...]  # (N,) who, "" where unknown
    t_s: npt.NDArray[np.float64]  # (N,)
    cameras: tuple[str, ...] = ()  # V names; none where a file has none
    truth: Truth = Truth()
    placed: Placement | None = None

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def sessions(self) -> tuple[str, ...]:
        """Names of the recordings, each once, in order."""
        return tuple(dict.fromkeys(self.session))

    def take(self, rows: npt.NDArray[Any]) -> "Instants":
        """The instants of a mask or index array."""
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        truth = Truth(**{f.name: _rows(getattr(self.truth, f.name), index) for f in fields(Truth)})
        placed = self.placed
        if placed is not None:
            placed = Placement(*(getattr(placed, f.name)[index] for f in fields(Placement)))
        return replace(
            self,
            keypoints_px=self.keypoints_px[index],
            confidence=self.confidence[index],
            image_px=self.image_px[index],
            session=tuple(self.session[i] for i in index),
            subject=tuple(self.subject[i] for i in index),
            t_s=self.t_s[index],
            truth=truth,
            placed=placed,
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


def joined(parts: Sequence[Instants]) -> Instants:
    """All of them in one table, with the views of the largest."""
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
        cameras=max((p.cameras for p in parts), key=len),
        truth=Truth(
            **{
                f.name: stack([getattr(p.truth, f.name) for p in parts], np.nan)
                for f in fields(Truth)
            }
        ),
    )


def _padded(array: Array, views: int, fill: float) -> Array:
    width = [(0, 0)] * array.ndim
    width[1] = (0, views - array.shape[1])
    return np.pad(array, width, constant_values=fill)


def _rows(array: Array | None, index: npt.NDArray[Any]) -> Array | None:
    return None if array is None else array[index]
