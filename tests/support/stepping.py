"""Someone who walks with feet that stand still in turn, and slow errors of a place."""

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import H36M_16
from tests.support.level_cameras import standing_body

Real = npt.NDArray[np.float64]

ANKLES = [H36M_16.index(f"{side}ankle") for side in "lr"]
_STEP_S, _STEP_M, _HIP_M = 0.5, 0.6, 0.9
_ROLL = 0.055  # speed of a standing ankle over that of the body


def walk(t_s: Real) -> Real:
    """Joints (N, J, 3) in metres, z up, along x at 1.2 m/s; an ankle swings for half a second."""
    body = 0.27 * standing_body(symmetric=True)
    speed = _STEP_M / _STEP_S
    joints = body + np.stack([speed * t_s, 0 * t_s, 0 * t_s + _HIP_M], -1)[:, None]
    for number, ankle in enumerate(ANKLES):
        phase = (t_s / _STEP_S - number) / 2  # cycles of a step of both feet
        swing = np.clip(2 * (phase % 1.0), 0, 1)
        forward = 2 * _STEP_M * (np.floor(phase) + swing - np.sin(2 * np.pi * swing) / 2 / np.pi)
        forward += number * _STEP_M - _STEP_M / 2
        joints[:, ankle, 0] = body[ankle, 0] + (1 - _ROLL) * forward + _ROLL * speed * t_s
        joints[:, ankle, 2] = 0.08 + 0.1 * np.sin(np.pi * swing) * (swing < 1)
    return joints


def wandering(t_s: Real, by_m: float = 0.2) -> Real:
    """Slow errors (N, 3) of the place, level."""
    return by_m * np.stack([np.sin(1.3 * t_s), np.cos(0.9 * t_s + 1), 0 * t_s], -1)
