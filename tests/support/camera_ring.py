"""Three cameras around a few joints, and the pixels that they see."""

from dataclasses import replace

import numpy as np

from cvsf.multiview.reprojection import Real, WeightedKeypoints
from cvsf.multiview.rig import COLUMNS, Rig
from cvsf.skeleton import H36M_16
from tests.support.level_cameras import bent, rotations_around

VIEWS, INSTANTS, COUNT = 3, 6, len(H36M_16)


def ring(*, pans: bool = False) -> Rig:
    """Cameras that look at the origin from all around."""
    rotation = rotations_around(2 * np.pi * np.arange(VIEWS) / VIEWS)
    back = np.einsum("vji,j->vi", rotation, [0.0, 0, -20])
    shape = (INSTANTS, VIEWS) if pans else (VIEWS,)
    rig = Rig.pinhole(
        tuple(f"cam{view}" for view in range(VIEWS)),
        np.full((VIEWS, 2), 1000.0),
        view_from_world=np.broadcast_to(rotation, (*shape, 3, 3)),
        centres=back,
        focal_px=np.full(shape, 1200.0),
    )
    return replace(rig, distortion=bent([0.1, -0.05, 0.0]), delay_s=np.array([0.0, 0.01, -0.02]))


def keypoints_for(cameras: Rig, joints: Real) -> WeightedKeypoints:
    random = np.random.default_rng(2)
    shape = (len(joints), VIEWS, COUNT)
    velocity = random.normal(0, 300, (*shape, 2))
    late = cameras.delay_s[:, None, None] * velocity
    return WeightedKeypoints(
        keypoints_px=cameras.project(joints) + late,
        weight=random.uniform(0.3, 1, shape),
        extent_px=np.full(shape[:2], 300.0),
        noise_share=0.01,
        velocity_px_s=velocity,
    )


def some_joints() -> Real:
    return np.random.default_rng(1).normal(0, 2, (INSTANTS, COUNT, 3))


def changed(cameras: Rig, view: int, column: int, by: float) -> Rig:
    step = np.zeros((VIEWS, COLUMNS))
    step[view, column] = by
    return cameras.stepped(step)
