"""Watches whether every camera still stands where the calibration says.

A camera is doubted when its picture parts from what the others make of it for half a second and
the others agree without it; it is believed again as soon as it fits.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration
from runtime.calibration.observation_codec import joined
from runtime.calibration.reprojection_error import blamed, misfit

Real = npt.NDArray[np.float64]

_WINDOW_S, _LEAST = 0.6, 4
_MANY_LOOKS, _SLOW_S = 7, 1.5  # where instants are few, the window is longer
_USUAL = 200  # instants that say what is usual for a camera
_USUAL_AT_FIRST, _LEAST_USUAL = 0.015, 0.008
_APART, _LEAST_APART = 4.0, 0.04
_AGREE = 2.0
_LOOK_EVERY_S = 0.2
_MANY = 60
"""Instants of a calibration that is all it can be; one of fewer is held to less."""
_YOUNG_S, _YOUNG = 6.0, 3.0
"""So long after it was found in a new place a camera may be so much worse."""


@dataclass(frozen=True, slots=True)
class _Look:
    t_s: float
    off: Real  # (V,)
    seen: LiftedObservations


class Vigil:
    """Of one rig; a new one begins with every calibration."""

    def __init__(
        self, calibration: Calibration, moved_s: Mapping[str, float] | None = None
    ) -> None:
        """`moved_s` is when a camera was found in a new place (s)."""
        self._moved_s = moved_s or {}
        self._rig = rig = calibration.rig
        self._patience = max(1.0, (_MANY / max(calibration.instants, 1)) ** 2)
        self._looks: deque[_Look] = deque()
        self._usual: list[deque[float]] = [deque(maxlen=_USUAL) for _ in rig.cameras]
        self._looked_s = -np.inf
        self.unclear_s = 0.0  # how long cameras have parted with nobody to blame

    def see(
        self, seen: LiftedObservations, joints: Real, doubted: Collection[str]
    ) -> tuple[str, float] | None:
        """A camera that has come to be doubted, and since when (s); the joints are (1, J, 3)."""
        now_s = float(seen.t_s[0])
        self._looks.append(_Look(now_s, misfit(self._rig, joints, seen)[0], seen))
        while self._looks[0].t_s < now_s - (
            _WINDOW_S if len(self._looks) > _MANY_LOOKS else _SLOW_S
        ):
            self._looks.popleft()
        apart = [v for v, off in enumerate(self.recent()) if off > self._limit(v)]
        believed = [v for v, c in enumerate(self._rig.cameras) if c not in doubted]
        if not set(apart) & set(believed):
            self._learn(believed)
            self.unclear_s = 0.0
            return None
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return None
        passed_s, self._looked_s = min(now_s - self._looked_s, 2 * _LOOK_EVERY_S), now_s
        usual = float(np.median([self._usual_of(v) for v in believed]))
        window = joined([look.seen for look in self._looks])
        view = blamed(
            self._rig,
            window,
            believed,
            _AGREE * usual * self._patience,
            max(_LEAST_APART * self._patience, _APART * usual),
        )
        if view is None:
            self.unclear_s += passed_s
            return None
        self.unclear_s = 0.0
        return self._rig.cameras[view], self._since(view)

    def recent(self) -> Real:
        """Misfit of every view in the median of the window, (V,); 0 where too little was seen."""
        if not self._looks:
            return np.zeros(len(self._usual))
        off = np.sort([look.off for look in self._looks], axis=0)  # what is not known comes last
        known = np.isfinite(off).sum(0)
        middle = off[np.maximum(known - 1, 0) // 2, np.arange(len(known))]
        return np.where(known >= _LEAST, middle, 0.0)

    def fits(self, camera: str) -> bool:
        """Whether a doubted camera's pictures are again where they should be, all the window."""
        view = self._rig.cameras.index(camera)
        off = np.array([look.off[view] for look in self._looks])
        long = self._looks[-1].t_s - self._looks[0].t_s > 0.8 * _WINDOW_S
        return bool(
            long
            and np.isfinite(off).sum() >= _LEAST
            and np.nanmax(off) < max(_LEAST_APART / 2, 2 * self._usual_of(view))
        )

    def _since(self, view: int) -> float:
        """The first look of the window from which on the view was apart."""
        limit = self._limit(view)
        since = self._looks[-1].t_s
        for look in reversed(self._looks):
            if np.isfinite(look.off[view]) and look.off[view] < limit:
                break
            since = look.t_s
        return since

    def _limit(self, view: int) -> float:
        return max(_LEAST_APART * self._patience_with(view), _APART * self._usual_of(view))

    def _patience_with(self, view: int) -> float:
        """How much worse than usual a view may be, the less there is it was found from."""
        found_s = self._moved_s.get(self._rig.cameras[view], -np.inf)
        is_young = self._looks[-1].t_s < found_s + _YOUNG_S
        return max(self._patience, _YOUNG) if is_young else self._patience

    def _usual_of(self, view: int) -> float:
        known = self._usual[view]
        return max(float(np.median(known)) if len(known) > 20 else _USUAL_AT_FIRST, _LEAST_USUAL)

    def _learn(self, views: Collection[int]) -> None:
        for view in views:
            off = self._looks[-1].off[view]
            if np.isfinite(off):
                self._usual[view].append(float(off))
