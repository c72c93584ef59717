"""A parent's graph refilled with a child's weights says what the child says in torch, or is not
made.
"""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.model.fusion import FusedLifter
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.batches.probe_inputs import golden_sample
from train.checkpoint import Checkpoint, read_checkpoint
from train.export.compile import compile_engine
from train.export.parity import disagreement
from train.export.weight_transfer import refitted


def child() -> Checkpoint:
    """The shipped lifter after one step in a random direction."""
    parent = read_checkpoint(SHIPPED)
    random = torch.Generator().manual_seed(0)
    moved = {
        name: weight + 0.01 * weight.std() * torch.randn(weight.shape, generator=random)
        for name, weight in parent.weights.items()
    }
    return replace(parent, weights=moved, parent=parent.engine, engine=None)


@pytest.mark.slow
def test_an_engine_refilled_with_a_childs_weights_lifts_as_the_child_does(tmp_path: Path) -> None:
    fresh = child()
    manifest = compile_engine(fresh, tmp_path / "engine")
    engine = load_engine(tmp_path / "engine")
    sample = golden_sample(3, H36M_16, 5)
    graph = FusedLifter(fresh.lifter(), H36M_16).eval()
    assert disagreement(engine, graph, sample) < 1e-5
    arrays = {name: tensor.numpy() for name, tensor in sample.items()}
    ours, theirs = (e.lift_many(**arrays)["fused"] for e in (engine, load_engine(SHIPPED)))
    assert abs(ours - theirs).max() > 1e-3
    assert manifest.parent == read_checkpoint(SHIPPED).engine


def test_an_engine_of_another_shape_or_joint_set_is_not_refilled(
    tmp_path: Path,
) -> None:
    fresh = child()
    assert refitted(SHIPPED, fresh)
    assert refitted(SHIPPED, replace(fresh, shape=asdict(fresh.lifter().shape)))
    assert refitted(SHIPPED, replace(fresh, shape=fresh.shape | {"width": 32})) is None
    assert refitted(SHIPPED, replace(fresh, joint_set="coco-17")) is None
    assert refitted(tmp_path, fresh) is None


def test_compiling_over_an_installed_engine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "live").symlink_to("one")
    with pytest.raises(Refusal, match="never changed"):
        compile_engine(child(), tmp_path / "one")
