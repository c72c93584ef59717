"""How far away a person is whom one camera alone sees: his size there tells it poorly.

So it goes on as he moved before, and his size corrects it (a Kalman filter of distance and its
rate); across the picture nothing is changed.
"""

import math

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]

_ACCELERATION = 5.0  # m/s2 of the distance, one sigma
_SIZE_SIGMA = 0.03  # of the distance, as the size tells it
_AT_FIRST = (0.05, 1.0)  # m and m/s: how well a measured skeleton tells both
_SPEED_S = 0.1
_FORGOTTEN_S = 1.0


class Depth:
    """Of one person, from instant to instant."""

    def __init__(self) -> None:
        self._t_s = -math.inf
        self._root, self._velocity = np.zeros(3), np.zeros(3)
        self._centre: Real | None = None  # of the camera that is alone
        self._state, self._spread = np.zeros(2), np.eye(2)

    def note(self, root: Real, t_s: float) -> None:
        """Where the person was measured to be, (3,)."""
        passed_s = t_s - self._t_s
        if 0 < passed_s < _FORGOTTEN_S and self._centre is None:
            share = 1 - math.exp(-passed_s / _SPEED_S)
            seen = (root - self._root) / passed_s
            self._velocity = self._velocity + share * (seen - self._velocity)
        else:
            self._velocity = np.zeros(3)
        self._t_s, self._root, self._centre = t_s, root, None

    def shift(self, root: Real, centre: Real, t_s: float) -> Real:
        """By how much (3,) to move a skeleton along the ray of the camera at `centre`."""
        passed_s = t_s - self._t_s
        self._t_s = t_s
        away = root - centre
        told = max(float(np.linalg.norm(away)), 1e-9)
        if not 0 < passed_s < _FORGOTTEN_S:
            self._begin(np.array([told, 0.0]), np.array([_SIZE_SIGMA * told, 3.0]), centre)
            return np.zeros(3)
        if self._centre is None or not np.array_equal(self._centre, centre):
            ray = self._root - centre
            depth = max(float(np.linalg.norm(ray)), 1e-9)
            rate = float(self._velocity @ ray) / depth
            self._begin(np.array([depth, rate]), np.array(_AT_FIRST), centre)
        self._go_on(passed_s)
        gain = self._spread[:, 0] / (self._spread[0, 0] + (_SIZE_SIGMA * told) ** 2)
        self._state = self._state + gain * (told - self._state[0])
        self._spread = self._spread - np.outer(gain, self._spread[0])
        steady = centre + away * (self._state[0] / told)
        self._root, self._velocity = steady, away / told * self._state[1]
        return np.asarray(steady - root)

    def _begin(self, state: Real, sigma: Real, centre: Real) -> None:
        self._state, self._spread, self._centre = state, np.diag(np.square(sigma)), centre

    def _go_on(self, passed_s: float) -> None:
        step = np.array([[1.0, passed_s], [0.0, 1.0]])
        push = np.array([passed_s**2 / 2, passed_s]) * _ACCELERATION
        self._state = step @ self._state
        self._spread = step @ self._spread @ step.T + np.outer(push, push)
