"""An engine is held to what torch says, wherever torch itself is sure, in both precisions."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from cvsf.engine.engine import SHIPPED, Engine, check_golden, load_engine
from cvsf.engine.manifest import (
    GOLDEN,
    LIFTER,
    LIFTER_FP16,
    LIMITS,
    MANIFEST,
    Difference,
    Precision,
    read_manifest,
    sha256_of,
)
from cvsf.engine.mixed_precision import in_mixed_precision
from cvsf.skeleton import Array
from cvsf.system.errors import Refusal
from train.checkpoint import read_checkpoint
from train.export.compile import complete_engine, require_parity


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED, tmp_path / "engine")
    return tmp_path / "engine"


def in_precision(precision: Precision) -> Engine:
    return Engine(SHIPPED, read_manifest(SHIPPED), precision=precision)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_golden_vectors_pass_on_the_shipped_engine_and_nan_outputs_are_refused(
    precision: Precision,
) -> None:
    engine = in_precision(precision)
    assert check_golden(engine, SHIPPED) <= LIMITS[precision].relative
    right = engine.lift_many

    def broken(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        return {
            name: array * np.float32(np.nan)
            for name, array in right(keypoints_px, confidence, image_px).items()
        }

    engine.lift_many = broken  # type: ignore[method-assign]  # a broken engine
    with pytest.raises(Refusal, match="golden vectors by nan"):
        check_golden(engine, SHIPPED)


def test_changed_golden_vectors_are_refused(copied: Path) -> None:
    path = copied / GOLDEN
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(Refusal, match=r"golden\.npz has sha256"):
        check_golden(load_engine(copied), copied)


def test_only_the_lifters_layers_are_in_half_precision_and_no_input_or_output() -> None:
    model = onnx.load(str(SHIPPED / LIFTER_FP16))
    border = [*model.graph.input, *model.graph.output]
    assert {t.type.tensor_type.elem_type for t in border} == {TensorProto.FLOAT}
    half = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16]
    shape = read_checkpoint(SHIPPED).lifter().shape
    assert sorted(max(t.dims) for t in half)[0] <= shape.width
    assert sum(t.dims == [shape.width, shape.width] for t in half) == 2 * shape.blocks
    whole = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]
    assert all(np.prod(t.dims) <= shape.width for t in whole)
    assert (SHIPPED / LIFTER_FP16).stat().st_size < 0.6 * (SHIPPED / LIFTER).stat().st_size


def test_a_network_without_wide_layers_is_not_put_in_half_precision(tmp_path: Path) -> None:
    model = onnx.load(str(SHIPPED / LIFTER))
    del model.graph.node[:], model.graph.output[:], model.graph.initializer[:]
    model.graph.node.append(onnx.helper.make_node("Relu", ["confidence"], ["seen"]))
    seen = onnx.helper.make_tensor_value_info("seen", TensorProto.FLOAT, None)
    model.graph.output.append(seen)
    onnx.save(model, str(tmp_path / "small.onnx"))
    with pytest.raises(Refusal, match="no wide layer"):
        in_mixed_precision(tmp_path / "small.onnx")


@pytest.mark.slow
def test_an_engine_of_format_1_is_completed_with_the_same_id_and_graph(copied: Path) -> None:
    """Its id and its graph are what others know it by: both stay."""
    card = json.loads((copied / MANIFEST).read_text())
    for name in ("sha256_fp16", "differences", "golden_sha256"):
        del card[name]
    (copied / MANIFEST).write_text(json.dumps(card | {"format": 1}))
    (copied / LIFTER_FP16).unlink()
    old = load_engine(copied)
    assert old.manifest.precisions == ("fp32",)
    check_golden(old, copied)
    before = sha256_of(copied / LIFTER)
    manifest = complete_engine(read_checkpoint(copied), copied)
    assert manifest.id == old.id
    assert manifest.sha256 == before == sha256_of(copied / LIFTER)
    assert manifest.sha256_fp16 == sha256_of(SHIPPED / LIFTER_FP16)
    assert read_manifest(copied) == manifest


@pytest.mark.slow
def test_a_graph_of_other_weights_is_refused_and_nothing_is_written(copied: Path) -> None:
    checkpoint = read_checkpoint(copied)
    weights = {name: tensor.clone() for name, tensor in checkpoint.weights.items()}
    weights["pose.bias"][20] += 1e-3
    before = {path.name: sha256_of(path) for path in copied.iterdir()}
    with pytest.raises(Refusal, match="fp32 differs from torch by"):
        complete_engine(replace(checkpoint, weights=weights), copied)
    assert {path.name: sha256_of(path) for path in copied.iterdir()} == before


def test_an_engine_over_either_limit_alone_is_refused() -> None:
    for relative, apart_mm in ((3e-3, 0.1), (1e-3, 0.6), (float("nan"), 0.1)):
        with pytest.raises(Refusal, match="fp16 differs from torch"):
            require_parity(Difference(relative=relative, n_mpjpe_mm=apart_mm), "fp16")
