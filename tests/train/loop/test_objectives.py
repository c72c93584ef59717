"""What each variant descends on: which terms of Eq. 7 weigh what, and the distance to a known body.

Eq. 7 itself is held to the paper's formulas in tests/cvsf/model/test_losses.py.
"""

import pytest
import torch

from cvsf.model.lifter import Lifter, LifterShape
from cvsf.model.losses import BASELINE, STAGE1, STAGE2, reprojection_loss, reprojections
from cvsf.skeleton import H36M_16
from train.batches.batch import Batch
from train.config import TrainConfig
from train.loop.objectives import Objective, step_weights

JOINTS = len(H36M_16)


@pytest.fixture
def lifter() -> Lifter:
    torch.manual_seed(0)
    return Lifter(LifterShape(joints=JOINTS, width=16, blocks=1)).eval()


def seen(instants: int = 3, views: int = 2) -> Batch:
    random = torch.Generator().manual_seed(1)
    plane = torch.randn(instants, views, JOINTS, 2, generator=random)
    confidence = torch.rand(instants, views, JOINTS, generator=random) + 0.1
    return Batch(plane, confidence, confidence)


def known(lifter: Lifter, sample: Batch) -> Batch:
    """The lifter's own answer in the first view as the body that really was there."""
    with torch.no_grad():
        canonical, turn = lifter(sample.plane, sample.confidence)
    first = sample.each(lambda part: part[:, :1])
    return first._replace(canonical=canonical[:, 0], view_from_canonical=turn[:, :1])


@pytest.mark.parametrize("variant", ["baseline", "stage3", "supervised"])
def test_variants_without_fusion_weigh_their_input_alone(variant: str) -> None:
    config = TrainConfig(variant=variant)  # type: ignore[arg-type]
    assert step_weights(config, 1, 0) == step_weights(config, 2, 7) == BASELINE


def test_stage_1_takes_the_refined_poses_at_every_few_steps_at_as_many_times_the_weight() -> None:
    config = TrainConfig(variant="s1s2", refine_every=5)
    refined = [step_weights(config, 1, step).w2 for step in range(10)]
    assert refined == [5 * STAGE1.w2, 0, 0, 0, 0] * 2
    assert sum(refined) == pytest.approx(10 * STAGE1.w2)
    assert step_weights(config, 2, 3) == STAGE2


def test_variant_s1_asks_for_no_agreement_of_the_views() -> None:
    config = TrainConfig(variant="s1", refine_every=1)
    assert step_weights(config, 1, 0) == STAGE1._replace(w2_3d=0.0)


def test_the_baselines_loss_is_eq_3_alone(lifter: Lifter) -> None:
    sample = seen()
    with torch.no_grad():
        canonical, rotation = lifter(sample.plane, sample.input_confidence)
        wanted = reprojection_loss(
            sample.plane, reprojections(canonical, rotation), sample.confidence
        )
        ours = Objective(lifter, H36M_16, TrainConfig())(sample, BASELINE)
    torch.testing.assert_close(ours, wanted)


def test_a_known_body_equal_to_the_lifters_output_has_no_loss(lifter: Lifter) -> None:
    sample = known(lifter, seen())
    objective = Objective(lifter, H36M_16, TrainConfig(variant="supervised", shape_weight=1.0))
    with torch.no_grad():
        assert float(objective(sample, BASELINE)) < 1e-3
        assert sample.canonical is not None
        off = sample._replace(canonical=sample.canonical + torch.tensor([0.3, 0.0, 0.0]))
        assert float(objective(off, BASELINE)) == pytest.approx(0.3, rel=0.01)


def test_what_is_rehearsed_is_added_at_its_weight(lifter: Lifter) -> None:
    sample = seen()
    objective = Objective(lifter, H36M_16, TrainConfig(rehearsal_weight=2.0))
    other = known(lifter, seen(2))
    assert other.canonical is not None
    other = other._replace(canonical=other.canonical + torch.tensor([0.0, 0.1, 0.0]))
    with torch.no_grad():
        alone = objective(sample, BASELINE)
        both = objective(sample._replace(rehearsal=other), BASELINE)
    assert float(both - alone) == pytest.approx(2 * 0.1, rel=0.01)
