"""Keyframes of the online calibrator: all instants of the last seconds, and earlier ones that
differ most.

Their number is bounded; an old instant that is like another one is dropped first.
"""

import math
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.shapes import Float
from runtime.calibration.observation_codec import LiftedPose, stack

# guesses, not measured
_MOST, _THINNED = 480, 360
_RECENT_S = 8.0
_PAUSE_S = 0.25  # a longer one does not count as time watched

Real = npt.NDArray[np.float64]


class Keyframes:
    """Instants with the person in two views or more."""

    def __init__(self) -> None:
        self._kept: list[LiftedPose] = []
        self.watched_s = 0.0  # how long the person was seen in two views or more
        self._last_s = -math.inf
        self._valid_from_s: dict[str, float] = {}  # a moved camera's earlier views are dropped

    def add(self, instant: LiftedPose) -> None:
        """Keep an instant if two views or more saw the person; else nothing is kept.

        Views of a camera before the time given to `forget` do not count. Above 480 keyframes the
        number is reduced to 360: of those older than 8 s, the ones that differ most from each other
        stay.
        """
        since = self._valid_from_s
        stale = [c for c in instant.pose.cameras if instant.t_s < since.get(c, -math.inf)]
        instant = instant.arranged(instant.pose.cameras, without=stale)
        if instant.views > 1:
            self._kept.append(instant)
            self.watched_s += min(max(self.newest_s - self._last_s, 0.0), _PAUSE_S)
            self._last_s = max(self._last_s, self.newest_s)
        if len(self._kept) > _MOST:
            self._thin()

    def forget(self, camera: str, before_s: float) -> None:
        """Drop the camera's views before `before_s` (s, hub clock), when it had other extrinsics.

        Its views of that time are not taken later either. Keyframes with fewer than two views left
        are dropped.
        """
        self._valid_from_s[camera] = before_s
        known, self._kept = self._kept, []
        for instant in known:
            self.add(instant)

    def since(
        self, start_s: float, cameras: tuple[str, ...] | None = None, without: Collection[str] = ()
    ) -> LiftedObservations | None:
        """The keyframes from `start_s` (s, hub clock) on, in order of time; None if there are none.

        The views are `cameras`, or all cameras that these keyframes have, by name. Confidence is 0
        where a camera is absent, and for those in `without`.
        """
        rows = [instant for instant in self._kept if instant.t_s >= start_s]
        return stack(rows, cameras, without) if rows else None

    @property
    def newest_s(self) -> float:
        """Time (s, hub clock) of the last keyframe; minus infinity without any."""
        return self._kept[-1].t_s if self._kept else -math.inf

    def _thin(self) -> None:
        old = [instant for instant in self._kept if instant.t_s < self.newest_s - _RECENT_S]
        recent = self._kept[len(old) :]
        room = max(_THINNED - len(recent), 0)
        if len(old) > room:
            old = [old[i] for i in _most_different(_features(old), room)]
        self._kept = old + recent[-_MOST:]


def _features(instants: list[LiftedPose]) -> Float[Real, "N F"]:
    """Centroid of the person in every picture and rotation in every view, at similar scale."""
    observations = stack(instants)
    weight = observations.confidence[..., None]
    size = np.maximum(observations.image_px.max(-1), 1.0)[..., None]
    centroid = (weight * observations.keypoints_px).sum(2) / np.maximum(weight.sum(2), 1e-6)
    rotations = observations.view_from_canonical.reshape(*size.shape[:2], 9)
    features = np.concatenate([4 * centroid / size, 0.3 * rotations], -1)
    return features.reshape(len(observations), -1).astype(np.float64)


def _most_different(features: Float[Real, "N F"], count: int) -> list[int]:
    """Sorted indices of a farthest-point sampling that begins with the first row."""
    if not count:
        return []
    chosen = [0]
    nearest = np.linalg.norm(features - features[0], axis=1)
    nearest[0] = -1.0
    while len(chosen) < min(count, len(features)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(features - features[chosen[-1]], axis=1))
        nearest[chosen] = -1.0  # so that none is chosen twice
    return sorted(chosen)
