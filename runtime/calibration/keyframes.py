"""What the surveyor remembers: the last seconds whole, and of the time before what differs most.

It is bounded; what is nearest to something else that is kept is let go first.
"""

import math

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from runtime.calibration.observation_codec import arranged, joined

_MOST, _THINNED = 480, 360
_RECENT_S = 8.0
_PAUSE_S = 0.25  # a longer one is not time watched

Real = npt.NDArray[np.float64]


class Gallery:
    """Instants with the person in two views or more."""

    def __init__(self) -> None:
        self._kept: list[LiftedObservations] = []
        self.watched_s = 0.0  # how long the person was seen in two views or more
        self._last_s = -math.inf
        self._valid_from_s: dict[str, float] = {}  # a camera's views before it moved are worthless

    def add(self, seen: LiftedObservations) -> None:
        """Keep an instant, if it can tell anything."""
        since = self._valid_from_s
        stale = [c for c in seen.cameras if float(seen.t_s[0]) < since.get(c, -math.inf)]
        seen = arranged(seen, seen.cameras, without=stale) if stale else seen
        if _views(seen) > 1:
            self._kept.append(seen)
            self.watched_s += min(max(self.newest_s - self._last_s, 0.0), _PAUSE_S)
            self._last_s = max(self._last_s, self.newest_s)
        if len(self._kept) > _MOST:
            self._thin()

    def forget(self, camera: str, before_s: float) -> None:
        """The camera stood elsewhere until then."""
        self._valid_from_s[camera] = before_s
        known, self._kept = self._kept, []
        for seen in known:
            self.add(seen)

    def since(self, start_s: float) -> LiftedObservations | None:
        """What was seen from then on; None if nothing was."""
        rows = [seen for seen in self._kept if float(seen.t_s[0]) >= start_s]
        return joined(rows) if rows else None

    @property
    def newest_s(self) -> float:
        """Time of the newest instant."""
        return float(self._kept[-1].t_s[0]) if self._kept else -math.inf

    def _thin(self) -> None:
        old = [seen for seen in self._kept if float(seen.t_s[0]) < self.newest_s - _RECENT_S]
        recent = self._kept[len(old) :]
        room = max(_THINNED - len(recent), 0)
        if len(old) > room:
            chosen = _most_different(np.stack(_features(old)), room)
            old = [old[i] for i in chosen]
        self._kept = old + recent[-_MOST:]


def _views(seen: LiftedObservations) -> int:
    return int(seen.confidence.any(-1).sum())


def _features(instants: list[LiftedObservations]) -> list[Real]:
    """Where the person was in every picture and how he stood, about the same size each."""
    cameras = tuple(sorted({camera for seen in instants for camera in seen.cameras}))
    rows = []
    for seen in instants:
        views = arranged(seen, cameras)
        weight = views.confidence[0]
        size = np.maximum(views.size_px.max(1), 1.0)[:, None]
        mean = (weight[..., None] * views.keypoints_px[0]).sum(1) / np.maximum(weight.sum(1), 1e-6)[
            :, None
        ]
        turned = views.view_from_canonical[0].reshape(len(cameras), -1)
        rows.append(np.concatenate([4 * mean / size, 0.3 * turned], 1).ravel().astype(np.float64))
    return rows


def _most_different(features: Real, count: int) -> list[int]:
    """Indices in order: the farthest from those chosen is chosen next, from the first on."""
    if not count:
        return []
    chosen = [0]
    nearest = np.linalg.norm(features - features[0], axis=1)
    nearest[0] = -1.0
    while len(chosen) < min(count, len(features)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(features - features[chosen[-1]], axis=1))
        nearest[chosen] = -1.0  # where all else is alike, none is chosen twice
    return sorted(chosen)
