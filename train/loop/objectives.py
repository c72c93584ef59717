"""The loss of each variant: Eq. 7 of the paper in the weights of its stage, or the distance to a
known body.

A label-free objective gets 2D and confidences and no truth.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cvsf.model.fusion import FusedLifter
from cvsf.model.geometry import TINY
from cvsf.model.lifter import Lifter
from cvsf.model.losses import (
    BASELINE,
    STAGE1,
    STAGE2,
    StageWeights,
    pose_agreement_loss,
    refinement_loss,
    reprojection_loss,
    reprojections,
    shape_loss,
    supervised_loss,
    unit_norm,
)
from cvsf.skeleton import JointSet
from train.batches.batch import Batch
from train.config import TrainConfig

FUSED = ("s1", "s1s2")
"""Variants that train on refined 2D poses too."""


class Objective(nn.Module):
    """A lifter and a batch to a loss; a module, so that processes can average its gradients."""

    def __init__(self, lifter: Lifter, joint_set: JointSet, config: TrainConfig) -> None:
        super().__init__()
        self.canonical_norm = config.canonical_norm
        self.shape_weight = config.shape_weight
        self.rehearsal_weight = config.rehearsal_weight
        self.fusion = FusedLifter(lifter, joint_set, config.agreement_rounds)

    def forward(self, batch: Batch, weights: StageWeights) -> Float[Tensor, ""]:
        """The mean loss of a batch, a scalar that can be differentiated. With a body in the batch
        it is the supervised loss and `weights` are not used, else Eq. 7 with these weights. The
        rehearsal's loss is added at its weight.
        """
        if batch.rehearsal is None:
            return self._of(batch, weights)
        rehearsal = self._of(batch.rehearsal, weights)
        return self._of(batch, weights) + self.rehearsal_weight * rehearsal

    def _of(self, batch: Batch, weights: StageWeights) -> Tensor:
        canonical, rotation = self.fusion.lifter(batch.plane, batch.input_confidence)
        if batch.canonical is None or batch.view_from_canonical is None:
            return self._total(canonical, rotation, batch, weights)
        present = (batch.confidence.amax(-1) > 0).to(canonical.dtype)
        if present.ndim > 2:  # of a window, the middle frame
            present = present[..., present.shape[-1] // 2]
        body, true_rotation = batch.canonical, batch.view_from_canonical
        loss = supervised_loss(
            canonical, rotation, body, true_rotation, present, batch.joint_weight
        )
        if self.shape_weight:
            distance = shape_loss(canonical, body, present, batch.joint_weight)
            loss = loss + self.shape_weight * distance
        return loss

    def _total(
        self, canonical: Tensor, rotation: Tensor, batch: Batch, weights: StageWeights
    ) -> Tensor:
        """Eq. 7; with no weight on the refined poses it is Eq. 3 alone and nothing is fused."""
        plane, confidence = batch.plane, batch.confidence
        projected = reprojections(canonical, rotation)
        loss = weights.w1 * reprojection_loss(plane, projected, confidence)
        if not weights.w2:
            return loss
        with torch.no_grad():  # Eq. 2 is an argmax: a constant for the optimiser
            refined, refined_confidence = self.fusion.refined_plane(
                canonical, rotation, plane, confidence
            )
        found = (confidence > 0).to(plane.dtype)
        unit = unit_norm(plane, found), unit_norm(refined, found)
        loss = loss + weights.w1 * refinement_loss(*unit, confidence)
        loss = loss + weights.w2 * reprojection_loss(refined, projected, confidence)
        if not weights.w2_3d:
            return loss
        again, _ = self.fusion.lifter(refined, refined_confidence)
        return loss + weights.w2_3d * pose_agreement_loss(
            self.canonical_norm * _unit_size(again), found.amax(-1)
        )


def step_weights(config: TrainConfig, stage: int, step: int) -> StageWeights:
    """The weights of Eq. 7 in a variant's stage (section 3.4) at one step; those of the baseline
    for variants without refined 2D.

    In stage 1 the refined poses have a hundredth of the weight and would take more than half of the
    time: they are used at every `refine_every`-th step only, at that many times the weight. Variant
    s1 never has the weight of pose agreement.
    """
    if config.variant not in FUSED:
        return BASELINE
    weights = STAGE2 if stage == 2 else STAGE1
    if stage == 1:
        share = config.refine_every if step % config.refine_every == 0 else 0
        weights = weights._replace(w2=share * weights.w2, w2_3d=share * weights.w2_3d)
    return weights._replace(w2_3d=0.0) if config.variant == "s1" else weights


def _unit_size(canonical: Tensor) -> Tensor:
    """Poses (..., J, 3) over their Euclidean norm, so that shrinking them does not lower Eq. 6."""
    return canonical / canonical.square().sum((-2, -1), keepdim=True).clamp_min(TINY).sqrt()
