"""An engine is held to what torch says, wherever torch itself is sure."""

import copy

import numpy as np
import pytest

from cvsf.engine import SHIPPED, load_engine
from cvsf.fusion import FusedLifter
from cvsf.skeleton import H36M_16, Array
from train.checkpoint import read_checkpoint
from train.compile import PARITY, disagreement, golden_sample


@pytest.fixture(scope="module")
def graph() -> FusedLifter:
    return FusedLifter(read_checkpoint(SHIPPED).lifter(), H36M_16).eval()


def test_the_shipped_engine_says_what_torch_says(graph: FusedLifter) -> None:
    engine = load_engine()
    for views in (1, 2, 3, 4, 6):
        assert disagreement(engine, graph, golden_sample(views, H36M_16, views)) <= PARITY


@pytest.mark.parametrize("output", ["refined_px", "fused", "view_from_canonical"])
def test_an_engine_that_is_a_little_off_anywhere_is_found_out(
    graph: FusedLifter, output: str
) -> None:
    engine = copy.copy(load_engine())
    right = engine.lift_many

    def off(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        found = right(keypoints_px, confidence, image_px)
        return found | {output: found[output] * np.float32(1 + 3e-5)}

    engine.lift_many = off  # type: ignore[method-assign]  # a broken engine
    assert disagreement(engine, graph, golden_sample(4, H36M_16, 4)) > PARITY
