"""Whether skeletons have the shape that the lifter sees: a sign that is independent of cameras.

Wrong cameras can explain the keypoints of a mirrored picture, or of a camera given twice, with
skeletons that no person has.
"""

import numpy as np
import numpy.typing as npt

from cvsf.evaluation.metrics import p_mpjpe
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.multiview.rig import Calibration
from cvsf.multiview.weak_perspective import mean_body
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]


def shape_difference(
    observations: LiftedObservations, calibration: Calibration, joints: Float[Real, "N J 3"]
) -> float:
    """P-MPJPE of the lifter's mean pose against the joints, over the RMS distance of the joints
    from their centre: the median over the instants with joints; 0 without any. No unit. The
    observations are of the rig's cameras and not time aligned.
    """
    aligned = time_aligned(observations, calibration.rig.delay_s)
    aligned = aligned.mirrored() if calibration.mirrored else aligned
    known = np.asarray(np.isfinite(joints).all((1, 2)))
    if not known.any():
        return 0.0
    body, joints = mean_body(aligned)[known], joints[known]
    size = np.sqrt(np.square(joints - joints.mean(1, keepdims=True)).sum(-1).mean(1))
    return float(np.median(p_mpjpe(body, joints) / np.maximum(size, 1e-9)))
