"""The extrinsics monitor: detects a camera whose pose is not that of the calibration any more.

A camera has moved if its reprojection error is high for half a second and the other cameras agree
without it; it is used again when its error is low.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.multiview.calibration import Calibration
from cvsf.shapes import Float
from runtime.calibration.observation_codec import LiftedPose, stack
from runtime.calibration.reprojection_error import find_moved_view, reprojection_errors

Real = npt.NDArray[np.float64]

# guesses, not measured; errors are shares of the person's extent
_WINDOW_S, _LEAST = 0.6, 4
_MANY_IN_WINDOW, _SLOW_WINDOW_S = 7, 1.5  # where instants are few, the window is longer
_USUAL = 200  # instants over which the median is the usual error
_USUAL_AT_FIRST, _LEAST_USUAL = 0.015, 0.008
_MOVED_RATIO, _LEAST_MOVED_ERROR = (
    4.0,
    0.04,
)  # of a moved camera: times the usual error, and at least
_AGREE_RATIO = 2.0  # of the other cameras: at most so many times the usual error
_CHECK_EVERY_S = 0.2
_PRECISE_INSTANTS = 60
"""Calibrations from fewer instants have wider limits."""
_RECOVERED_S, _RECOVERED_FACTOR = 6.0, 3.0
"""Limits of a recovered camera are wider: for how long, and by which factor."""


@dataclass(frozen=True, slots=True)
class _Errors:
    instant: LiftedPose
    by_view: Float[Real, "V"]


class ExtrinsicsMonitor:
    """The monitor of one rig; every calibration has a new one."""

    def __init__(
        self, calibration: Calibration, moved_s: Mapping[str, float] | None = None
    ) -> None:
        """`moved_s` is the time (s) at which a camera was recovered in a new pose."""
        self._moved_s = moved_s or {}
        self._rig = rig = calibration.rig
        self._limit_factor = max(1.0, (_PRECISE_INSTANTS / max(calibration.instants, 1)) ** 2)
        self._window: deque[_Errors] = deque()
        self._usual: list[deque[float]] = [deque(maxlen=_USUAL) for _ in rig.cameras]
        self._checked_s = -np.inf
        self.unclear_s = 0.0  # how long views have disagreed without a single moved camera

    def add(
        self, instant: LiftedPose, joints: Float[Real, "J 3"], excluded: Collection[str]
    ) -> tuple[str, float] | None:
        """Add an instant; returns a camera that has just been found to have moved, and since when.

        Instants must come in order of time. `joints` (m, world frame) is the skeleton made without
        `excluded`, the cameras reported before; these are never returned again. The time (s, hub
        clock) is that of the first instant in the window since which the camera's error is high.
        None if all fit, if no single camera explains the errors (then `unclear_s` grows), and
        within 0.2 s of the last search.
        """
        now_s = instant.t_s
        errors = reprojection_errors(self._rig, joints[None], stack([instant], self._rig.cameras))
        self._window.append(_Errors(instant, errors[0]))
        window_s = _WINDOW_S if len(self._window) > _MANY_IN_WINDOW else _SLOW_WINDOW_S
        while self._window[0].instant.t_s < now_s - window_s:
            self._window.popleft()
        high = [v for v, error in enumerate(self.recent()) if error > self._limit(v)]
        used = [v for v, c in enumerate(self._rig.cameras) if c not in excluded]
        if not set(high) & set(used):
            self._update_usual(used)
            self.unclear_s = 0.0
            return None
        if now_s - self._checked_s < _CHECK_EVERY_S:
            return None
        elapsed_s, self._checked_s = min(now_s - self._checked_s, 2 * _CHECK_EVERY_S), now_s
        usual = float(np.median([self._usual_of(v) for v in used]))
        view = find_moved_view(
            self._rig,
            stack([errors.instant for errors in self._window], self._rig.cameras),
            used,
            most_others=_AGREE_RATIO * usual * self._limit_factor,
            least_own=max(_LEAST_MOVED_ERROR * self._limit_factor, _MOVED_RATIO * usual),
        )
        if view is None:
            self.unclear_s += elapsed_s
            return None
        self.unclear_s = 0.0
        return self._rig.cameras[view], self._since(view)

    def recent(self) -> Float[Real, "V"]:
        """Median reprojection error of every view over the last 0.6 s (1.5 s if instants are few).

        It is a share of the person's extent, in the rig's order of views; 0 for a view with fewer
        than four errors.
        """
        if not self._window:
            return np.zeros(len(self._usual))
        ordered = np.sort([errors.by_view for errors in self._window], axis=0)  # NaN comes last
        known = np.isfinite(ordered).sum(0)
        middle = ordered[np.maximum(known - 1, 0) // 2, np.arange(len(known))]
        return np.where(known >= _LEAST, middle, 0.0)

    def fits(self, camera: str) -> bool:
        """Whether the reprojection error of a camera was low throughout the window.

        The window must last about half a second and hold four errors of this camera, else False.
        ValueError for a camera that is not in the rig; IndexError before the first `add`.
        """
        view = self._rig.cameras.index(camera)
        errors = np.array([errors.by_view[view] for errors in self._window])
        is_long_enough = (
            self._window[-1].instant.t_s - self._window[0].instant.t_s > 0.8 * _WINDOW_S
        )
        return bool(
            is_long_enough
            and np.isfinite(errors).sum() >= _LEAST
            and np.nanmax(errors) < max(_LEAST_MOVED_ERROR / 2, 2 * self._usual_of(view))
        )

    def _since(self, view: int) -> float:
        """Time (s) of the first instant since which the view's error is high."""
        limit = self._limit(view)
        since = self._window[-1].instant.t_s
        for errors in reversed(self._window):
            error = errors.by_view[view]
            if np.isfinite(error) and error < limit:
                break
            since = errors.instant.t_s
        return since

    def _limit(self, view: int) -> float:
        return max(
            _LEAST_MOVED_ERROR * self._limit_factor_of(view), _MOVED_RATIO * self._usual_of(view)
        )

    def _limit_factor_of(self, view: int) -> float:
        """Factor of the limit of a view."""
        recovered_s = self._moved_s.get(self._rig.cameras[view], -np.inf)
        is_new = self._window[-1].instant.t_s < recovered_s + _RECOVERED_S
        return max(self._limit_factor, _RECOVERED_FACTOR) if is_new else self._limit_factor

    def _usual_of(self, view: int) -> float:
        known = self._usual[view]
        return max(float(np.median(known)) if len(known) > 20 else _USUAL_AT_FIRST, _LEAST_USUAL)

    def _update_usual(self, views: Collection[int]) -> None:
        for view in views:
            error = self._window[-1].by_view[view]
            if np.isfinite(error):
                self._usual[view].append(float(error))
