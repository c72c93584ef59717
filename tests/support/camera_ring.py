"""Three cameras around a few joints, and the pixels that they see."""

from dataclasses import replace

import numpy as np

from cvsf.multiview.reprojection import (
    CENTRE,
    COLUMNS,
    DELAY,
    FOCAL,
    RADIAL,
    ROTATION,
    Cameras,
    Pixels,
    Real,
)
from cvsf.multiview.rotation import turn
from cvsf.skeleton import H36M_16

VIEWS, INSTANTS, COUNT = 3, 6, len(H36M_16)


def ring(*, pans: bool = False) -> Cameras:
    """Cameras that look at the origin from all around."""
    angle = 2 * np.pi * np.arange(VIEWS) / VIEWS
    look = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    rotation = look @ turn(np.stack([0 * angle, 0 * angle, -angle], -1))
    back = np.einsum("vji,j->vi", rotation, [0.0, 0, -20])
    rows = INSTANTS if pans else 1
    return Cameras(
        view_from_world=np.repeat(rotation[None], rows, 0),
        centres=back,
        log_focal=np.full((rows, VIEWS), np.log(1200.0)),
        centre_px=np.full((VIEWS, 2), 500.0),
        radial=np.array([0.1, -0.05, 0.0]),
        delay_s=np.array([0.0, 0.01, -0.02]),
    )


def pixels_for(cameras: Cameras, joints: Real) -> Pixels:
    random = np.random.default_rng(2)
    shape = (len(joints), VIEWS, COUNT)
    velocity = random.normal(0, 300, (*shape, 2))
    late = cameras.delay_s[:, None, None] * velocity
    return Pixels(
        keypoints_px=cameras.project(joints) + late,
        trust=random.uniform(0.3, 1, shape),
        extent_px=np.full(shape[:2], 300.0),
        noise=0.01,
        velocity_px_s=velocity,
    )


def some_joints() -> Real:
    return np.random.default_rng(1).normal(0, 2, (INSTANTS, COUNT, 3))


def changed(cameras: Cameras, view: int, column: int, by: float) -> Cameras:
    step = np.zeros((VIEWS, COLUMNS))
    step[view, column] = by
    return replace(
        cameras,
        view_from_world=turn(step[:, ROTATION]) @ cameras.view_from_world,
        centres=cameras.centres + step[:, CENTRE],
        log_focal=cameras.log_focal + step[:, FOCAL],
        radial=cameras.radial + step[:, RADIAL],
        delay_s=cameras.delay_s + step[:, DELAY],
    )
