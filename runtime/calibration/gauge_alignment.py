"""A better calibration in the world of the one before it, so that skeletons do not jump.

The world is one from its first skeleton on: what is found anew is turned and shifted to it, never
the other way round.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rig import Calibration, Rig
from cvsf.multiview.rotation import nearest_rotation

Real = npt.NDArray[np.float64]


def continued(
    new: Calibration,
    old: Calibration,
    held: Sequence[str],
    joints: tuple[Real, Real],
    *,
    settled: bool,
) -> Calibration:
    """`new` in the world of `old`, by the cameras that stood still and the same instants' joints.

    `joints` are (N, J, 3) placed by the one and by the other. Until the world is settled only the
    heading and the place are kept, and level and scale follow what is found; then all of it.
    """
    turn = _turn(new.rig, old.rig, held)
    if not settled:
        turn = _heading(turn)
    scale = _scale(new.rig, old.rig, held) if settled else 1.0
    there, here = joints
    apart = here - scale * there @ turn.T
    apart = apart[np.isfinite(apart).all(-1)]
    shift = np.median(apart, axis=0) if len(apart) else np.zeros(3)
    return replace(
        new,
        rig=new.rig.moved(turn, shift, scale),
        body=replace(new.body, bones=scale * new.body.bones),
        scale_source=old.scale_source if settled else new.scale_source,
    )


def _turn(new: Rig, old: Rig, held: Sequence[str]) -> Real:
    """old_from_new of the worlds, as the cameras in both see them."""
    total = np.zeros((3, 3))
    for camera in held:
        there, here = new.cameras.index(camera), old.cameras.index(camera)
        total += old.view_from_world[here].T @ new.view_from_world[there]
    return np.asarray(nearest_rotation(total), float)


def _heading(turn: Real) -> Real:
    """The part of a turn about the vertical."""
    angle = np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _scale(new: Rig, old: Rig, held: Sequence[str]) -> float:
    """Of distances between the cameras, in the median."""
    there = new.centres[[new.cameras.index(camera) for camera in held]]
    here = old.centres[[old.cameras.index(camera) for camera in held]]
    i, k = np.triu_indices(len(held), 1)
    if not len(i):
        return 1.0
    lengths = np.linalg.norm(there[i] - there[k], axis=-1)
    return float(np.median(np.linalg.norm(here[i] - here[k], axis=-1) / np.maximum(lengths, 1e-9)))
