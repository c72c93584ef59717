"""How far skeletons may be, and are, from the walker that they were found from."""

import numpy as np

from cvsf.evaluation.metrics import n_mpjpe, p_mpjpe
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.triangulation import projection_of, triangulate
from cvsf.reconstruction.reconstruct import Reconstruction
from tests.support.rehearsed import Rehearsed


def limit_mm(walk: Rehearsed) -> float:
    """Of robust triangulation with the true cameras."""
    projection = projection_of(
        walk.view_from_world, walk.translation_mm, walk.focal_px, np.array([960.0, 540.0])
    )
    world = triangulate(walk.keypoints_px, walk.confidence, projection)
    return float(n_mpjpe(world, walk.world_mm).mean())


def errors_mm(walk: Rehearsed, found: Calibration, placed: Reconstruction) -> tuple[float, float]:
    """N-MPJPE in the axes of the views, and P-MPJPE."""
    joints = placed.joints[:, None] @ np.swapaxes(found.rig.view_from_world, -1, -2)
    truth = walk.in_views_mm
    return float(n_mpjpe(joints, truth).mean()), float(p_mpjpe(joints, truth).mean())
