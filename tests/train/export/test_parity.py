"""An engine is held to what torch says, in both precisions."""

import copy

import numpy as np
import pytest
import torch

from cvsf.engine.engine import SHIPPED, Engine, load_engine
from cvsf.engine.manifest import (
    Precision,
    read_manifest,
)
from cvsf.model.fusion import FusedLifter
from cvsf.skeleton import H36M_16, Array
from train.batches.probe_inputs import golden_sample
from train.checkpoint import read_checkpoint
from train.export.compile import require_parity
from train.export.parity import (
    PARITY,
    Comparison,
    Reference,
    Torch,
    difference,
    disagreement,
    golden_instants,
)


@pytest.fixture(scope="module")
def graph() -> FusedLifter:
    return FusedLifter(read_checkpoint(SHIPPED).lifter(), H36M_16).eval()


@pytest.fixture(scope="module")
def exam(graph: FusedLifter) -> Comparison:
    return Comparison(Torch(graph))


def in_precision(precision: Precision) -> Engine:
    return Engine(SHIPPED, read_manifest(SHIPPED), precision=precision)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_shipped_engine_agrees_with_torch_within_its_limits(
    exam: Comparison, precision: Precision
) -> None:
    found = exam.worst(in_precision(precision))
    require_parity(found, precision)
    said = read_manifest(SHIPPED).differences[precision]
    assert found.relative <= 3 * said.relative
    assert found.n_mpjpe_mm <= 3 * said.n_mpjpe_mm


@pytest.mark.parametrize("output", ["refined_px", "fused", "view_from_canonical"])
def test_an_engine_with_one_output_slightly_off_exceeds_the_limit_of_parity(
    graph: FusedLifter, output: str
) -> None:
    engine = copy.copy(load_engine())
    right = engine.lift_many

    def off(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        found = right(keypoints_px, confidence, image_px)
        return found | {output: found[output] * np.float32(1 + 3e-5)}

    engine.lift_many = off  # type: ignore[method-assign]  # a broken engine
    assert disagreement(engine, graph, golden_sample(4, H36M_16, 4)) > PARITY


def reference(single: float, *, sure: bool = True) -> Reference:
    """What torch says of one output: the same exactly and in single precision."""
    value = torch.full((1, 2), single)
    still = {"out": torch.full((1, 2), sure)}
    return Reference({"out": value.double()}, {"out": value}, {"fp32": still, "fp16": still})


@pytest.mark.parametrize(("ours", "share"), [(2.0, 0.0), (2.5, 0.25), (float("nan"), np.inf)])
def test_a_difference_is_relative_to_the_size_of_the_output(ours: float, share: float) -> None:
    said = {"out": np.full((1, 2), ours, np.float32)}
    assert difference([(said, reference(2.0))], "fp32").relative == pytest.approx(share)


def test_where_torch_itself_does_not_hold_still_an_engine_may_take_either_side() -> None:
    said = {"out": np.full((1, 2), 2.5, np.float32)}
    assert difference([(said, reference(2.0, sure=False))], "fp32").relative == 0


def test_golden_instants_are_of_four_views_and_one_shows_nobody(graph: FusedLifter) -> None:
    sample, outputs = golden_instants(Torch(graph))
    assert sample["confidence"].shape == (4, 4, len(H36M_16))
    assert sample["confidence"].flatten(1).any(-1).tolist() == [True, True, True, False]
    exact = Torch(graph).exact(sample)
    for name, value in outputs.items():
        torch.testing.assert_close(value, exact[name].float())
