"""Gauge alignment: a new calibration in the world frame of the previous one, so that skeletons do
not jump.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import nearest_rotation
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]


def continued(
    new: Calibration,
    old: Calibration,
    unmoved: Sequence[str],
    joints: tuple[Float[Real, "N J 3"], Float[Real, "N J 3"]],
    *,
    final: bool,
) -> Calibration:
    """`new` in the world frame of `old`, so that skeletons do not jump.

    The rotation comes from the cameras `unmoved` (each must be in both rigs), the shift from
    `joints`: the same instants reconstructed with `new` and with `old`, in m, each in its own world
    frame; NaN is unknown, and without any joint the shift is 0. If `final`, the scale and the scale
    source of `old` are taken too; else the turn is only about the vertical, and scale and gravity
    are those of `new`. A new calibration is returned; neither input changes.
    """
    R = _rotation(new.rig, old.rig, unmoved)
    if not final:
        R = _heading(R)
    scale = _scale(new.rig, old.rig, unmoved) if final else 1.0
    a, b = joints
    differences = b - scale * a @ R.T
    differences = differences[np.isfinite(differences).all(-1)]
    t = np.median(differences, axis=0) if len(differences) else np.zeros(3)
    return replace(
        new,
        rig=new.rig.transformed(R, t, scale),
        body=replace(new.body, bones=scale * new.body.bones),
        scale_source=old.scale_source if final else new.scale_source,
    )


def _rotation(new: Rig, old: Rig, unmoved: Sequence[str]) -> Float[Real, "3 3"]:
    """Rotation old_from_new of the world frames: the chordal mean over the cameras in both."""
    total = np.zeros((3, 3))
    for camera in unmoved:
        a, b = new.cameras.index(camera), old.cameras.index(camera)
        total += old.view_from_world[b].T @ new.view_from_world[a]
    return np.asarray(nearest_rotation(total), float)


def _heading(R: Float[Real, "3 3"]) -> Float[Real, "3 3"]:
    """The rotation about the vertical that is nearest to R."""
    angle = np.arctan2(R[1, 0] - R[0, 1], R[0, 0] + R[1, 1])
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _scale(new: Rig, old: Rig, unmoved: Sequence[str]) -> float:
    """Median ratio of the distances between the cameras."""
    a = new.centres[[new.cameras.index(camera) for camera in unmoved]]
    b = old.centres[[old.cameras.index(camera) for camera in unmoved]]
    i, k = np.triu_indices(len(unmoved), 1)
    if not len(i):
        return 1.0
    lengths = np.linalg.norm(a[i] - a[k], axis=-1)
    return float(np.median(np.linalg.norm(b[i] - b[k], axis=-1) / np.maximum(lengths, 1e-9)))
