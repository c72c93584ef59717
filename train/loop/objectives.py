"""What each variant descends on: Eq. 7 of the paper in the weights of its stage, or the distance to
a known body.

A label-free objective is handed 2D and confidences and never holds a truth.
"""

import torch
from torch import Tensor, nn

from cvsf.model.fusion import FusedLifter
from cvsf.model.geometry import TINY
from cvsf.model.lifter import Lifter
from cvsf.model.losses import (
    BASELINE,
    STAGE1,
    STAGE2,
    StageWeights,
    deviation,
    disagreement,
    misshapen,
    refinement,
    reprojected,
    supervised,
    unit_norm,
)
from cvsf.skeleton import JointSet
from train.batches.batch import Sample
from train.config import TrainConfig

FUSED = ("s1", "s1s2")
"""Variants that learn from refined 2D poses too."""


class Objective(nn.Module):
    """A lifter and a batch to a loss; a module, so that processes can average its gradients."""

    def __init__(self, lifter: Lifter, joint_set: JointSet, config: TrainConfig) -> None:
        super().__init__()
        self.canonical_norm = config.canonical_norm
        self.shape_weight = config.shape_weight
        self.rehearsal_weight = config.rehearsal_weight
        self.fusion = FusedLifter(lifter, joint_set, config.agreement_rounds)

    def forward(self, sample: Sample, weights: StageWeights) -> Tensor:
        """The mean loss of a batch, what is rehearsed beside it included."""
        if sample.rehearsed is None:
            return self._of(sample, weights)
        known = self._of(sample.rehearsed, weights)
        return self._of(sample, weights) + self.rehearsal_weight * known

    def _of(self, sample: Sample, weights: StageWeights) -> Tensor:
        canonical, rotation = self.fusion.lifter(sample.plane, sample.shown)
        if sample.canonical is None or sample.view_from_canonical is None:
            return self._total(canonical, rotation, sample, weights)
        present = (sample.confidence.amax(-1) > 0).to(canonical.dtype)
        if present.ndim > 2:  # a window: what its middle shows
            present = present[..., present.shape[-1] // 2]
        body, turn = sample.canonical, sample.view_from_canonical
        loss = supervised(canonical, rotation, body, turn, present, sample.sure)
        if self.shape_weight:
            apart = misshapen(canonical, body, present, sample.sure)
            loss = loss + self.shape_weight * apart
        return loss

    def _total(
        self, canonical: Tensor, rotation: Tensor, sample: Sample, weights: StageWeights
    ) -> Tensor:
        """Eq. 7; with no weight on the refined poses it is Eq. 3 alone and nothing is fused."""
        plane, confidence = sample.plane, sample.confidence
        projected = reprojected(canonical, rotation)
        loss = weights.inputs * deviation(plane, projected, confidence)
        if not weights.refined:
            return loss
        with torch.no_grad():  # Eq. 2 is an argmax: a constant for the optimiser
            refined, sure = self.fusion.refined_plane(canonical, rotation, plane, confidence)
        found = (confidence > 0).to(plane.dtype)
        unit = unit_norm(plane, found), unit_norm(refined, found)
        loss = loss + weights.inputs * refinement(*unit, confidence)
        loss = loss + weights.refined * deviation(refined, projected, confidence)
        if not weights.agreement:
            return loss
        again, _ = self.fusion.lifter(refined, sure)
        return loss + weights.agreement * disagreement(
            self.canonical_norm * _unit_size(again), found.amax(-1)
        )


def step_weights(config: TrainConfig, stage: int, step: int) -> StageWeights:
    """The weights of Eq. 7 in a variant's stage (section 3.4) at one step.

    Stage 1 gives the refined poses a hundredth of the weight and more than half of the time: it
    takes them at every few steps only, at as many times the weight.
    """
    if config.variant not in FUSED:
        return BASELINE
    weights = STAGE2 if stage == 2 else STAGE1
    if stage == 1:
        share = config.refine_every if step % config.refine_every == 0 else 0
        weights = weights._replace(
            refined=share * weights.refined, agreement=share * weights.agreement
        )
    return weights._replace(agreement=0.0) if config.variant == "s1" else weights


def _unit_size(canonical: Tensor) -> Tensor:
    """Each pose by its Euclidean norm, so that agreeing is not had by shrinking."""
    return canonical / canonical.square().sum((-2, -1), keepdim=True).clamp_min(TINY).sqrt()
