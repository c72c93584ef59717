"""Distance of a person seen by one camera only.

The size in the picture alone gives an inaccurate distance. A Kalman filter of the distance and its
rate predicts it from the previous motion and corrects it by the size. Only the depth is changed.
"""

import math

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

# standard deviations; guesses, not measured
_ACCELERATION = 5.0  # m/s2 of the distance
_SIZE_SIGMA = 0.03  # of the distance by size, as a share
_AT_FIRST = (0.05, 1.0)  # m and m/s, of distance and rate after a measured skeleton
_SPEED_S = 0.1  # time constant of the velocity
_MOST_GAP_S = 1.0


class DepthFilter:
    """The filter of one person."""

    def __init__(self) -> None:
        self._t_s = -math.inf
        self._root, self._velocity = np.zeros(3), np.zeros(3)
        self._centre: Real | None = None  # of the only camera
        self._state, self._covariance = np.zeros(2), np.eye(2)

    def measured(self, root: Float[Real, "3"], t_s: float) -> None:
        """Take the root of a measured skeleton (m, world frame) at time `t_s`.

        It sets position and velocity. The velocity starts again from 0 after a gap of 1 s, where
        time does not increase, and after instants of a single view.
        """
        elapsed_s = t_s - self._t_s
        if 0 < elapsed_s < _MOST_GAP_S and self._centre is None:
            share = 1 - math.exp(-elapsed_s / _SPEED_S)
            velocity = (root - self._root) / elapsed_s
            self._velocity = self._velocity + share * (velocity - self._velocity)
        else:
            self._velocity = np.zeros(3)
        self._t_s, self._root, self._centre = t_s, root, None

    def shift(
        self, root: Float[Real, "3"], centre: Float[Real, "3"], t_s: float
    ) -> Float[Real, "3"]:
        """The vector (m, world frame) to add to a skeleton that only one view saw.

        It is along that view's ray, away from the camera where the filtered distance is larger than
        the given one. `root` is the skeleton's pelvis, `centre` the camera centre, both in the
        world frame; `t_s` is in s. Zero after a gap of 1 s or where time does not increase; then
        the filter restarts. Every call updates the filter.
        """
        elapsed_s = t_s - self._t_s
        self._t_s = t_s
        from_camera = root - centre
        by_size = max(float(np.linalg.norm(from_camera)), 1e-9)
        if not 0 < elapsed_s < _MOST_GAP_S:
            self._restart(np.array([by_size, 0.0]), np.array([_SIZE_SIGMA * by_size, 3.0]), centre)
            return np.zeros(3)
        if self._centre is None or not np.array_equal(self._centre, centre):
            ray = self._root - centre
            depth = max(float(np.linalg.norm(ray)), 1e-9)
            rate = float(self._velocity @ ray) / depth
            self._restart(np.array([depth, rate]), np.array(_AT_FIRST), centre)
        self._predict(elapsed_s)
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + (_SIZE_SIGMA * by_size) ** 2)
        self._state = self._state + gain * (by_size - self._state[0])
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        filtered = centre + from_camera * (self._state[0] / by_size)
        self._root, self._velocity = filtered, from_camera / by_size * self._state[1]
        return np.asarray(filtered - root)

    def _restart(
        self, state: Float[Real, "2"], sigma: Float[Real, "2"], centre: Float[Real, "3"]
    ) -> None:
        self._state, self._covariance, self._centre = state, np.diag(np.square(sigma)), centre

    def _predict(self, elapsed_s: float) -> None:
        step = np.array([[1.0, elapsed_s], [0.0, 1.0]])
        noise = np.array([elapsed_s**2 / 2, elapsed_s]) * _ACCELERATION
        self._state = step @ self._state
        self._covariance = step @ self._covariance @ step.T + np.outer(noise, noise)
