"""Whether the lifter sees every view from where the rig has its camera, all the time.

The rotation of a still view against the body is known twice: from the rig and the joints, and from
the lifter. Their difference is constant; where views are exchanged, it jumps.
"""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import align, angle_between, nearest_rotation
from cvsf.multiview.weak_perspective import mean_body
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]

# guesses, not measured
_WINDOW_S = 1.0
_JUMP_DEG = 60.0
"""Of the mean rotation of a second against that of all the take."""
_ROUNDS, _ROBUST_DEG = 5, 20.0  # of the robust mean; angle of weight 1/2


def contradicted_views(
    observations: LiftedObservations, rig: Rig, joints: Float[Real, "N J 3"]
) -> Bool[npt.NDArray[np.bool_], "N V"]:
    """Views of instants in whose second the lifter sees the body from another side than the rest of
    the time. The observations are time aligned; joints are in the rig's world, NaN where unknown.
    """
    seen = np.any(observations.confidence > 0, axis=-1)
    known = np.asarray(np.isfinite(joints).all((1, 2)))
    world_from_canonical = align(mean_body(observations), np.nan_to_num(joints)).R
    lifted = observations.view_from_canonical.astype(float)
    from_rig = rig.view_from_world @ world_from_canonical[:, None]
    difference = lifted @ np.swapaxes(from_rig, -1, -2)
    weight = observations.confidence.mean(-1) * known[:, None]
    usual = nearest_rotation((weight[..., None, None] * difference).sum(0) + 1e-9 * np.eye(3))
    for _ in range(_ROUNDS):
        error = angle_between(difference, usual)
        robust = (weight / (1 + np.square(error / _ROBUST_DEG)))[..., None, None]
        usual = nearest_rotation((robust * difference).sum(0) + 1e-9 * np.eye(3))
    number = np.floor((observations.t_s - observations.t_s[0]) / _WINDOW_S).astype(int)
    found = np.zeros(seen.shape, bool)
    for second in np.unique(number):
        rows = number == second
        mean = nearest_rotation(
            (weight[rows][..., None, None] * difference[rows]).sum(0) + 1e-9 * np.eye(3)
        )
        observed = weight[rows].sum(0) > 0
        off = (angle_between(mean, usual) > _JUMP_DEG) & observed
        # if most views jump at once, the lifter does not know the pose: a handstand
        found[rows] = off & (2 * off.sum() <= observed.sum())
    return np.asarray(found & seen)
