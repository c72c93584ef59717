"""What each variant descends on: made-up bodies with known 3D, or nothing but what the cameras of a
recording saw.

A label-free objective is handed 2D and confidences and never holds a truth.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cvsf.fusion import Aimed, FusedLifter, aim
from cvsf.geometry import TINY, cross, unit
from cvsf.lifter import Lifter
from cvsf.losses import (
    BASELINE,
    STAGE1,
    STAGE2,
    StageWeights,
    deviation,
    disagreement,
    refinement,
    reprojected,
    supervised,
)
from cvsf.refusal import Refusal
from cvsf.skeleton import H36M_16, JointSet
from train.config import TrainConfig
from train.dataset import Instants
from train.learn import Objective
from train.virtual import VirtualViews


@dataclass(frozen=True, slots=True)
class Seen:
    """Recorded 2D, ready for the lifter."""

    plane: Tensor  # (N, V, J, 2) after every camera is aimed at its person
    confidence: Tensor  # (N, V, J)


def seen_by_cameras(instants: Instants) -> Seen:
    """Instants in which two views or more saw the person; Refusal if there are none."""
    several = (instants.confidence > 0).any(-1).sum(-1) > 1
    if not several.any():
        raise Refusal("no instant was seen by two views; learning needs at least two cameras")
    chosen = instants.take(several)
    confidence = torch.tensor(chosen.confidence)
    aimed: Aimed = aim(torch.tensor(chosen.keypoints_px), confidence, torch.tensor(chosen.image_px))
    return Seen(aimed.plane, confidence)


def from_bodies(instants: Instants, config: TrainConfig, random: torch.Generator) -> Objective:
    """Full supervision on endless virtual views of the recorded bodies, bent further than anybody
    recorded.
    """
    if instants.truth.joints_mm is None:
        raise Refusal("variant supervised needs joints_mm in its files; use a label-free variant")
    bodies = torch.tensor(instants.truth.joints_mm[:, 0])
    bodies = bodies[bodies.isfinite().all((-2, -1))]
    views = VirtualViews(bodies, H36M_16, random)

    def objective(lifter: Lifter, progress: float) -> Tensor:
        drawn = views.draw(config.batch_instants, config.virtual_views)
        canonical, rotation = lifter(drawn.pose2d, drawn.confidence)
        return supervised(canonical, rotation, drawn.canonical, drawn.view_from_canonical)

    return objective


def from_views(seen: Seen, config: TrainConfig, random: torch.Generator) -> Objective:
    """Eq. 7 on random instants, in the weights of the variant's stage."""
    mirrored = list(H36M_16.mirrored)

    def objective(lifter: Lifter, progress: float) -> Tensor:
        rows = torch.randint(len(seen.plane), (config.batch_instants,), generator=random)
        plane, confidence = seen.plane[rows], seen.confidence[rows]
        flip = torch.rand(len(rows), generator=random) < config.mirror_share
        turned = plane[..., mirrored, :] * torch.tensor([-1.0, 1.0])
        plane = torch.where(flip[:, None, None, None], turned, plane)
        confidence = torch.where(flip[:, None, None], confidence[..., mirrored], confidence)
        return total_loss(lifter, plane, confidence, stage_weights(config, progress))

    return objective


def stage_weights(config: TrainConfig, progress: float) -> StageWeights:
    """The weights of Eq. 7 for a variant, this far into its run."""
    if config.variant == "baseline":
        return BASELINE
    return STAGE2 if config.variant == "s1s2" and progress >= config.stage2_from else STAGE1


def total_loss(lifter: Lifter, plane: Tensor, confidence: Tensor, weights: StageWeights) -> Tensor:
    """Eq. 7; with no weight on the refined poses it is Eq. 3 alone and no fusion is done."""
    canonical, rotation = lifter(plane, confidence)
    projected = reprojected(canonical, rotation)
    loss = weights.inputs * deviation(plane, projected, confidence)
    if not weights.refined:
        return loss
    with torch.no_grad():  # Eq. 2 is an argmax: a constant for the optimiser
        refined = FusedLifter(lifter, H36M_16).refined_plane(plane, confidence)
    present = (confidence.amax(-1) > 0).to(plane.dtype)
    again, _ = lifter(refined, confidence)
    size = _size(plane, confidence)
    loss = loss + weights.inputs * refinement(plane / size, refined / size, confidence)
    loss = loss + weights.refined * deviation(refined, projected, confidence)
    return loss + weights.refined * disagreement(again / _radius(again), present)


def lifted_sample(lifter: Lifter, seen: Seen) -> Tensor:
    """Canonical poses of the first instants."""
    with torch.no_grad():
        canonical, _ = lifter(seen.plane[:2000], seen.confidence[:2000])
    return torch.as_tensor(canonical)


def depth_sign(canonical: Tensor, joint_set: JointSet) -> float:
    """+1 if knees and elbows of what it lifts bend as a body's do, -1 if it has settled on the
    mirrored body.
    """
    at = {name: canonical[..., i, :] for i, name in enumerate(joint_set.joints)}
    left = unit(at["lhip"] - at["rhip"] + at["lshoulder"] - at["rshoulder"])
    bent = torch.zeros(())
    for side in "lr":
        for near, middle, far, sense in (
            ("hip", "knee", "ankle", 1),
            ("shoulder", "elbow", "wrist", -1),
        ):
            upper, lower = at[side + middle] - at[side + near], at[side + far] - at[side + middle]
            bent = bent + sense * (cross(upper, lower) * left).sum(-1).mean()
    return -1.0 if float(bent) < 0 else 1.0


def _size(plane: Tensor, confidence: Tensor) -> Tensor:
    """Euclidean norm of the found joints about their centre."""
    found = (confidence > 0).to(plane.dtype)[..., None]
    centre = (plane * found).sum(-2, keepdim=True) / found.sum(-2, keepdim=True).clamp_min(1)
    energy = ((plane - centre) * found).square().sum((-2, -1), keepdim=True)
    return energy.clamp_min(TINY).sqrt()


def _radius(canonical: Tensor) -> Tensor:
    """Euclidean norm of each pose, so that agreeing is not had by shrinking."""
    return canonical.square().sum((-2, -1), keepdim=True).clamp_min(TINY).sqrt()
