"""Whether a lifter trained without labels gives the body or its mirror image in depth (Necker's
reversal).

The body alone shows it: knees bend one way and elbows the other.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.geometry import cross, unit
from cvsf.model.lifter import Lifter
from cvsf.skeleton import JointSet
from train.batches.batch import Batch


def without_reflection(lifter: Lifter, batch: Batch, joint_set: JointSet) -> Lifter:
    """A copy in evaluation mode that gives bodies, not their mirror images: if knees and elbows
    bend the wrong way in its poses of the batch, its depth is mirrored. The lifter itself is not
    changed.
    """
    lifter = copy.deepcopy(lifter).eval()
    with torch.no_grad():
        canonical, _ = lifter(batch.plane, batch.confidence)
    if depth_sign(canonical, joint_set) < 0:
        lifter.mirror_depth()
    return lifter


def depth_sign(canonical: Float[Tensor, "*batch J 3"], joint_set: JointSet) -> float:
    """+1 if knees and elbows bend as a body's do on average, or not at all; -1 if the poses are
    mirrored in depth. Poses may be in any unit and right-handed frame.
    """
    at = {name: canonical[..., i, :] for i, name in enumerate(joint_set.joints)}
    left = unit(at["lhip"] - at["rhip"] + at["lshoulder"] - at["rshoulder"])
    bent = 0.0
    for side in "lr":
        for near, middle, far, sense in (
            ("hip", "knee", "ankle", 1),
            ("shoulder", "elbow", "wrist", -1),
        ):
            upper, lower = at[side + middle] - at[side + near], at[side + far] - at[side + middle]
            bent += sense * float((cross(upper, lower) * left).sum(-1).mean())
    return -1.0 if bent < 0 else 1.0
