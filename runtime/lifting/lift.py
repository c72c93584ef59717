"""From the 2D poses of one instant to one skeleton in the canonical frame."""

import numpy as np

from cvsf.engine.engine import Engine, Lifted
from cvsf.messages import MultiviewPose, Skeleton


def lift(
    engine: Engine, pose: MultiviewPose, uncertainty_ns: int
) -> tuple[Lifted, Skeleton | None] | None:
    """The lifter's outputs and the skeleton of the instant; only None where no view saw a person.

    The skeleton is in the canonical frame, at unit scale; its arrays are those of the outputs, not
    copies. It is None where a fused joint is not finite. Its `views` are the cameras with a
    confidence above 0: from two on it is `measured`; one of a single view is the lifter's
    prediction. `uncertainty_ns` is only copied into it.
    """
    views = tuple(c for c, row in zip(pose.cameras, pose.confidence, strict=True) if row.any())
    if not views:
        return None
    lifted = engine.lift(pose)
    if not np.isfinite(lifted.fused).all():
        return lifted, None
    skeleton = Skeleton(
        t_ns=pose.t_ns,
        uncertainty_ns=uncertainty_ns,
        instant=pose.instant,
        engine=engine.id,
        joints=lifted.fused,
        confidence=lifted.fused_confidence,
        views=views,
        measured=len(views) > 1,
        joint_set=engine.joint_set.name,
        person_id=pose.person_id,
    )
    return lifted, skeleton
