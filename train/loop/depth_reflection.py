"""Whether a lifter that never saw a label has settled on the body or on its mirror image in depth.

Told by the body alone: knees bend one way and elbows the other.
"""

import copy

import torch
from torch import Tensor

from cvsf.model.geometry import cross, unit
from cvsf.model.lifter import Lifter
from cvsf.skeleton import JointSet
from train.batches.batch import Sample


def righted(lifter: Lifter, sample: Sample, joint_set: JointSet) -> Lifter:
    """A copy that gives bodies, not their mirror images, as told by what it makes of a sample."""
    lifter = copy.deepcopy(lifter).eval()
    with torch.no_grad():
        canonical, _ = lifter(sample.plane, sample.confidence)
    if depth_sign(canonical, joint_set) < 0:
        lifter.turn_depth_over()
    return lifter


def depth_sign(canonical: Tensor, joint_set: JointSet) -> float:
    """+1 if knees and elbows bend as a body's do, -1 if it has settled on the mirrored body."""
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
