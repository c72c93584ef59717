"""One instant's 2D poses to one skeleton in the body's own frame, with where it came from."""

import numpy as np

from cvsf.engine.engine import Engine, Lifted
from cvsf.messages import MultiviewPose, Skeleton


def lift(
    engine: Engine, pose: MultiviewPose, uncertainty_ns: int
) -> tuple[Lifted, Skeleton | None] | None:
    """Every view's pose and the skeleton of this very instant, None when no view saw anybody; no
    skeleton either where the engine gives what is no number.

    `measured` from two views on; a single view gives the lifter's guess, flagged as predicted.
    """
    seen = tuple(c for c, row in zip(pose.cameras, pose.confidence, strict=True) if row.any())
    if not seen:
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
        views=seen,
        measured=len(seen) > 1,
        joint_set=engine.joint_set.name,
        person_id=pose.person_id,
    )
    return lifted, skeleton
