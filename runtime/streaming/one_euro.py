"""The One Euro filter (Casiez et al., CHI 2012) for skeletons.

Clients subscribe to the smoothed topic; recordings and calibration are never smoothed.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.messages import Skeleton
from cvsf.skeleton import joint_set

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneEuroConfig:
    """Cut-off frequencies; guesses, not measured."""

    min_cutoff_hz: float = 1.0  # of a joint at rest; lower is steadier
    beta_hz: float = 6.0  # added per unit/s (m/s) of the joint's own speed
    speed_cutoff_hz: float = 1.0  # of the speed estimate
    forget_ms: float = 500.0  # after a longer gap the filter restarts


class OneEuro:
    """Smooths one stream; restarts after a gap, for another person or frame of reference."""

    def __init__(self, config: OneEuroConfig | None = None) -> None:
        self._config = config or OneEuroConfig()
        self._stream: tuple[Any, ...] | None = None
        self._t_ns = 0
        self._raw: Points = np.zeros((0, 3))
        self._speed: Points = np.zeros((0, 3))
        self._steady: Points = np.zeros((0, 3))

    def __call__(self, skeleton: Skeleton) -> Skeleton:
        # The root is filtered apart from the limbs; else at 15 m/s nothing would be smoothed.
        names = joint_set(skeleton.joint_set).joints
        root = skeleton.joints[names.index("hip") if "hip" in names else 0].astype(np.float64)
        steady = self._follow(skeleton, np.vstack([root, skeleton.joints - root]))
        joints = (steady[1:] + steady[0]).astype(np.float32)
        return replace(skeleton, joints=joints, smoothed=True)

    def _follow(self, skeleton: Skeleton, points: Points) -> Points:
        stream = (
            skeleton.joint_set,
            skeleton.person_id,
            skeleton.frame_of_reference,
            skeleton.scale_source,
        )
        elapsed_s = (skeleton.t_ns - self._t_ns) * 1e-9
        fresh = stream != self._stream or not 0 < elapsed_s <= self._config.forget_ms * 1e-3
        self._stream, self._t_ns = stream, skeleton.t_ns
        if fresh:
            self._raw, self._speed, self._steady = points, np.zeros_like(points), points
            return points
        speed = (points - self._raw) / elapsed_s
        self._raw = points
        self._speed = self._speed + _share(self._config.speed_cutoff_hz, elapsed_s) * (
            speed - self._speed
        )
        pace = np.linalg.norm(self._speed, axis=-1, keepdims=True)
        cutoff_hz = self._config.min_cutoff_hz + self._config.beta_hz * pace
        self._steady = self._steady + _share(cutoff_hz, elapsed_s) * (points - self._steady)
        return self._steady


def _share(cutoff_hz: Any, elapsed_s: float) -> Any:
    """Weight of the new value in a low-pass filter of that cut-off."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * elapsed_s))
