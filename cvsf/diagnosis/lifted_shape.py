"""Whether skeletons have the shape that the lifter sees: a sign that is independent of cameras.

Wrong cameras can explain the keypoints of a mirrored picture, or of a camera given twice, with
skeletons that no person has.
"""

import numpy as np
import numpy.typing as npt

from cvsf.evaluation.metrics import p_mpjpe
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.multiview.weak_perspective import mean_body
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

_LEARNED = 0.5  # 0.06 to 0.2 of lifters in use, 0.9 of one that has learned for a few steps


def shape_difference(
    observations: LiftedObservations, calibration: Calibration, joints: Float[Real, "N J 3"]
) -> float:
    """P-MPJPE of the lifter's mean pose against the joints, over the RMS distance of the joints
    from their centre: the median over the instants with joints. No unit. 0 without any, or if the
    lifter's poses do not even project to its own keypoints: then it has not learned to lift. The
    observations are of the rig's cameras and not time aligned.
    """
    aligned = time_aligned(observations, calibration.rig.delay_s)
    aligned = aligned.mirrored() if calibration.mirrored else aligned
    known = np.asarray(np.isfinite(joints).all((1, 2)))
    if not known.any() or not _projection_error(aligned) < _LEARNED:
        return 0.0
    body, joints = mean_body(aligned)[known], joints[known]
    size = np.sqrt(np.square(joints - joints.mean(1, keepdims=True)).sum(-1).mean(1))
    return float(np.median(p_mpjpe(body, joints) / np.maximum(size, 1e-9)))


def _projection_error(observations: LiftedObservations) -> float:
    """Distance of the keypoints from the lifter's poses, projected by the scaled orthography that
    fits best, over the keypoints' distance from their centre: RMS of the joints of a view, the
    median over the views that see at least two joints; NaN without any. No unit.
    """
    weight = observations.confidence[..., None].astype(float)
    total = np.maximum(weight.sum(2, keepdims=True), 1e-9)
    turned = observations.canonical @ np.swapaxes(observations.view_from_canonical, -1, -2)
    pose, px = (
        points - (weight * points).sum(2, keepdims=True) / total
        for points in (
            np.where(weight > 0, each, 0.0) for each in (turned[..., :2], observations.keypoints_px)
        )
    )
    size = (weight * np.square(px)).sum((2, 3))
    known = ((observations.confidence > 0).sum(-1) > 1) & (size > 0)
    if not known.any():
        return np.nan
    both = (weight * pose * px).sum((2, 3))
    explained = np.square(both) / np.maximum((weight * np.square(pose)).sum((2, 3)), 1e-9)
    error = 1 - np.where(both > 0, explained, 0)[known] / size[known]
    return float(np.sqrt(np.median(error.clip(0))))
