"""People who walk, run, squat, lunge, jump, reach, throw, row and sit, by formula: what a lifter
must still lift well after any night.

Joint angles are typical of everyday movement, a guess, and always the same.
"""

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.geometry import rotation_about
from cvsf.skeleton import H36M_16
from train.batches.body_augmentation import ADULT_M, from_bones

PHASES = 48  # of each movement

_DOWN, _UP = (0.0, 0.0, -1.0), (0.0, 0.0, 1.0)
_TOWARDS = {
    "rhip": (0.0, -1.0, 0.0), "lhip": (0.0, 1.0, 0.0), "spine": _UP, "thorax": _UP, "head": _UP,
    "rshoulder": (0.0, -1.0, 0.0), "lshoulder": (0.0, 1.0, 0.0),
}  # fmt: skip

Angles = Mapping[str, tuple[float, float, float]]
"""Of the bone that ends in a joint, about forward, left and up, in degrees."""


def _walk(p: float) -> Angles:
    s = math.sin(p)
    return {
        "lknee": (0, -25 * s, 0), "rknee": (0, 25 * s, 0),
        "lankle": (0, 8 + 40 * max(0.0, math.sin(p + 0.9)), 0),
        "rankle": (0, 8 + 40 * max(0.0, -math.sin(p + 0.9)), 0),
        "lelbow": (4, 22 * s, 0), "relbow": (-4, -22 * s, 0),
        "lwrist": (0, -18, 0), "rwrist": (0, -18, 0), "spine": (0, 4, 6 * s),
    }  # fmt: skip


def _run(p: float) -> Angles:
    s = math.sin(p)
    return {
        "lknee": (0, -15 - 42 * s, 0), "rknee": (0, -15 + 42 * s, 0),
        "lankle": (0, 25 + 75 * max(0.0, math.sin(p + 1.1)), 0),
        "rankle": (0, 25 + 75 * max(0.0, -math.sin(p + 1.1)), 0),
        "lelbow": (8, 42 * s, 0), "relbow": (-8, -42 * s, 0),
        "lwrist": (0, -95, 0), "rwrist": (0, -95, 0), "spine": (0, 12, 10 * s),
    }  # fmt: skip


def _squat(p: float) -> Angles:
    d = (1 - math.cos(p)) / 2
    legs = {side + "knee": (0.0, -95 * d, 0.0) for side in "lr"}
    shins = {side + "ankle": (0.0, 115 * d, 0.0) for side in "lr"}
    arms = {side + "elbow": (0.0, -85 * d, 0.0) for side in "lr"}
    return {**legs, **shins, **arms, "spine": (0, 38 * d, 0)}


def _lunge(p: float) -> Angles:
    d = (1 - math.cos(p)) / 2
    return {
        "lknee": (0, -80 * d, 0), "lankle": (0, 85 * d, 0), "rknee": (0, 18 * d, 0),
        "rankle": (0, 50 * d, 0), "spine": (0, 8 * d, 12 * d), "lelbow": (12, 20 * d, 0),
        "relbow": (-12, -30 * d, 0), "rwrist": (0, -60 * d, 0), "lwrist": (0, -40 * d, 0),
    }  # fmt: skip


def _jack(p: float) -> Angles:
    d = (1 - math.cos(p)) / 2
    return {
        "lknee": (24 * d, 0, 0), "rknee": (-24 * d, 0, 0), "lelbow": (6 + 150 * d, 0, 0),
        "relbow": (-6 - 150 * d, 0, 0), "lankle": (0, 10 * d, 0), "rankle": (0, 10 * d, 0),
    }  # fmt: skip


def _reach(p: float) -> Angles:
    d, s = (1 - math.cos(p)) / 2, math.sin(p)
    return {
        "relbow": (-15, -165 * d, 0), "lelbow": (10, 25 * d, 0), "rwrist": (0, -20, 0),
        "spine": (14 * s, -8 * d, 20 * s), "rknee": (0, 6 * d, 0), "rankle": (0, 12 * d, 0),
    }  # fmt: skip


def _throw(p: float) -> Angles:
    s, c = math.sin(p), math.cos(p)
    return {
        "spine": (0, 10 + 15 * s, 40 * c), "relbow": (-80, -30 * s, 30 * c),
        "rwrist": (0, -55 - 45 * c, 0), "lelbow": (40, -40 * c, 0), "lwrist": (0, -30, 0),
        "lknee": (0, -25 - 20 * s, 0), "lankle": (0, 20, 0), "rknee": (0, 12, 0),
        "rankle": (0, 25, 0),
    }  # fmt: skip


def _row(p: float) -> Angles:
    d = (1 - math.cos(p)) / 2
    legs = {side + "knee": (0.0, -85 - 20 * d, 0.0) for side in "lr"}
    shins = {side + "ankle": (0.0, 10 + 90 * d, 0.0) for side in "lr"}
    arms = {side + "elbow": (0.0, -75 * d + 20 * (1 - d), 0.0) for side in "lr"}
    hands = {side + "wrist": (0.0, -95 * (1 - d), 0.0) for side in "lr"}
    return {**legs, **shins, **arms, **hands, "spine": (0, -20 + 50 * d, 0)}


def _sit(p: float) -> Angles:
    s = math.sin(p)
    legs = {side + "knee": (0.0, -88.0, 0.0) for side in "lr"}
    shins = {side + "ankle": (0.0, 85 + 12 * s, 0.0) for side in "lr"}
    return {
        **legs, **shins, "spine": (6 * s, 8 + 10 * s, 25 * s), "lelbow": (8, -35 - 20 * s, 0),
        "relbow": (-8, -35 + 20 * s, 0), "lwrist": (0, -60, 0), "rwrist": (0, -60, 0),
    }  # fmt: skip


MOVEMENTS: Mapping[str, Callable[[float], Angles]] = {
    "walk": _walk, "run": _run, "squat": _squat, "lunge": _lunge, "jumping jack": _jack,
    "reach": _reach, "throw": _throw, "row": _row, "sit": _sit,
}  # fmt: skip


def everyday() -> Float[Tensor, "N J 3"]:
    """Synthetic bodies in nine everyday movements of 48 phases each, one movement after another,
    always the same: joints of h36m-16 in metres, pelvis at the origin; x forward, y left, z up. The
    pelvis is never turned or raised.
    """
    bones = torch.zeros(len(H36M_16), 3)
    for joint, length in ADULT_M.items():
        bones[H36M_16.index(joint)] = length * torch.tensor(_TOWARDS.get(joint, _DOWN))
    phases = [
        angles(2 * math.pi * phase / PHASES)
        for angles in MOVEMENTS.values()
        for phase in range(PHASES)
    ]
    degrees = torch.zeros(len(phases), len(H36M_16), 3)
    for row, angles in enumerate(phases):
        for joint, about in angles.items():
            degrees[row, H36M_16.index(joint)] = torch.tensor(about, dtype=torch.float32)
    turns = [rotation_about(axis, degrees[..., axis].deg2rad()) for axis in range(3)]
    bends = turns[2] @ turns[0] @ turns[1]
    return from_bones(bones.expand(len(phases), -1, -1), H36M_16, bends)
