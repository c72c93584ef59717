"""Monitors whether every camera still has the pose of the calibration.

A camera is reported as moved when its reprojection error is high for half a second and the others
agree without it; it is used again as soon as it fits.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rig import Calibration
from cvsf.shapes import Float
from runtime.calibration.observation_codec import LiftedPose, stack
from runtime.calibration.reprojection_error import find_moved_view, reprojection_errors

Real = npt.NDArray[np.float64]

# guesses, not measured; errors are shares of the person's extent
_WINDOW_S, _LEAST = 0.6, 4
_MANY_IN_WINDOW, _SLOW_WINDOW_S = 7, 1.5  # where instants are few, the window is longer
_USUAL = 200  # instants whose median is a camera's usual error
_USUAL_AT_FIRST, _LEAST_USUAL = 0.015, 0.008
_APART, _LEAST_APART = 4.0, 0.04  # times the usual error
_AGREE = 2.0
_CHECK_EVERY_S = 0.2
_MANY = 60
"""Instants of a calibration with full precision; one of fewer gets wider limits."""
_NEW_PLACE_S, _NEW_PLACE = 6.0, 3.0
"""How long after a camera was found in a new place its limits are wider, and by how much."""


@dataclass(frozen=True, slots=True)
class _Errors:
    seen: LiftedPose
    by_view: Float[Real, "V"]


class ExtrinsicsMonitor:
    """Of one rig; a new one begins with every calibration."""

    def __init__(
        self, calibration: Calibration, moved_s: Mapping[str, float] | None = None
    ) -> None:
        """`moved_s` is when a camera was found in a new place (s)."""
        self._moved_s = moved_s or {}
        self._rig = rig = calibration.rig
        self._wider = max(1.0, (_MANY / max(calibration.instants, 1)) ** 2)
        self._window: deque[_Errors] = deque()
        self._usual: list[deque[float]] = [deque(maxlen=_USUAL) for _ in rig.cameras]
        self._checked_s = -np.inf
        self.unclear_s = 0.0  # how long views have disagreed without one that explains it

    def add(
        self, seen: LiftedPose, joints: Float[Real, "J 3"], excluded: Collection[str]
    ) -> tuple[str, float] | None:
        """A camera that has moved, and since when (s); views are in the rig's order.

        `excluded` are the cameras that were reported before, `joints` the skeleton without them.
        """
        now_s = seen.t_s
        errors = reprojection_errors(self._rig, joints[None], stack([seen], self._rig.cameras))
        self._window.append(_Errors(seen, errors[0]))
        window_s = _WINDOW_S if len(self._window) > _MANY_IN_WINDOW else _SLOW_WINDOW_S
        while self._window[0].seen.t_s < now_s - window_s:
            self._window.popleft()
        apart = [v for v, error in enumerate(self.recent()) if error > self._limit(v)]
        used = [v for v, c in enumerate(self._rig.cameras) if c not in excluded]
        if not set(apart) & set(used):
            self._learn(used)
            self.unclear_s = 0.0
            return None
        if now_s - self._checked_s < _CHECK_EVERY_S:
            return None
        passed_s, self._checked_s = min(now_s - self._checked_s, 2 * _CHECK_EVERY_S), now_s
        usual = float(np.median([self._usual_of(v) for v in used]))
        view = find_moved_view(
            self._rig,
            stack([errors.seen for errors in self._window], self._rig.cameras),
            used,
            agree=_AGREE * usual * self._wider,
            apart=max(_LEAST_APART * self._wider, _APART * usual),
        )
        if view is None:
            self.unclear_s += passed_s
            return None
        self.unclear_s = 0.0
        return self._rig.cameras[view], self._since(view)

    def recent(self) -> Float[Real, "V"]:
        """Median error of every view in the window; 0 where too little was seen."""
        if not self._window:
            return np.zeros(len(self._usual))
        ordered = np.sort([errors.by_view for errors in self._window], axis=0)  # NaN comes last
        known = np.isfinite(ordered).sum(0)
        middle = ordered[np.maximum(known - 1, 0) // 2, np.arange(len(known))]
        return np.where(known >= _LEAST, middle, 0.0)

    def fits(self, camera: str) -> bool:
        """Whether an excluded camera has had a low error throughout the window."""
        view = self._rig.cameras.index(camera)
        errors = np.array([errors.by_view[view] for errors in self._window])
        long = self._window[-1].seen.t_s - self._window[0].seen.t_s > 0.8 * _WINDOW_S
        return bool(
            long
            and np.isfinite(errors).sum() >= _LEAST
            and np.nanmax(errors) < max(_LEAST_APART / 2, 2 * self._usual_of(view))
        )

    def _since(self, view: int) -> float:
        """The first instant of the window from which on the view was apart."""
        limit = self._limit(view)
        since = self._window[-1].seen.t_s
        for errors in reversed(self._window):
            error = errors.by_view[view]
            if np.isfinite(error) and error < limit:
                break
            since = errors.seen.t_s
        return since

    def _limit(self, view: int) -> float:
        return max(_LEAST_APART * self._wider_of(view), _APART * self._usual_of(view))

    def _wider_of(self, view: int) -> float:
        """How much wider a view's limit is."""
        found_s = self._moved_s.get(self._rig.cameras[view], -np.inf)
        is_new = self._window[-1].seen.t_s < found_s + _NEW_PLACE_S
        return max(self._wider, _NEW_PLACE) if is_new else self._wider

    def _usual_of(self, view: int) -> float:
        known = self._usual[view]
        return max(float(np.median(known)) if len(known) > 20 else _USUAL_AT_FIRST, _LEAST_USUAL)

    def _learn(self, views: Collection[int]) -> None:
        for view in views:
            error = self._window[-1].by_view[view]
            if np.isfinite(error):
                self._usual[view].append(float(error))
