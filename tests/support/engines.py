"""Engines for tests that load in no time."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.engine.manifest import GOLDEN, LIFTER, Manifest, read_golden, read_manifest, sha256_of


def tiny(
    folder: Path,
    id: str,
    *,
    spread: float = 0.0,
    joint_set: str = "h36m-16",
    created: str = "2026-11-23T02:00:00+00:00",
) -> Path:
    """An engine of a few nodes: one fixed body, from which every view's pose is `spread` apart."""
    folder.mkdir(parents=True)
    shipped = read_manifest(SHIPPED)
    golden = read_golden(SHIPPED, shipped)
    assert golden is not None
    onnx.save(_graph(shipped, golden["fused"][0], spread), str(folder / LIFTER))
    changes = {
        "id": id,
        "joint_set": joint_set,
        "parent": shipped.id,
        "golden": GOLDEN,
        "created": created,
    }
    sha256 = {"sha256": sha256_of(folder / LIFTER), "sha256_fp16": None, "golden_sha256": None}
    card = shipped.model_copy(update={**changes, **sha256})
    card.write(folder)
    given = {tensor.name: golden[tensor.name] for tensor in card.inputs}
    np.savez(folder / GOLDEN, allow_pickle=False, **given, **load_engine(folder).lift_many(**given))
    sworn = card.model_copy(update={"golden_sha256": sha256_of(folder / GOLDEN)})
    sworn.write(folder)
    return folder


def _graph(card: Manifest, body: np.ndarray, spread: float) -> onnx.ModelProto:
    constants = {
        "body": np.asarray(body, np.float32)[None, None],
        "apart": np.array([spread / 1000], np.float32),
        "eye": np.eye(3, dtype=np.float32)[None, None],
        "none": np.zeros(1, np.float32),
        "depth": np.array([3], np.int64),
        "views": np.array([1], np.int64),
        "square": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["confidence", "depth"], ["sure"]),
        helper.make_node("Mul", ["sure", "none"], ["flat"]),
        helper.make_node("Concat", ["keypoints_px", "flat"], ["seen"], axis=3),
        helper.make_node("Mul", ["seen", "apart"], ["shift"]),
        helper.make_node("Add", ["body", "shift"], ["canonical"]),
        helper.make_node("ReduceMean", ["canonical", "views"], ["fused"], keepdims=0),
        helper.make_node("ReduceMax", ["confidence", "views"], ["fused_confidence"], keepdims=0),
        helper.make_node("ReduceMax", ["image_px", "last"], ["wide"], keepdims=0),
        helper.make_node("Unsqueeze", ["wide", "square"], ["wide4"]),
        helper.make_node("Mul", ["wide4", "none"], ["zeros"]),
        helper.make_node("Add", ["eye", "zeros"], ["view_from_canonical"]),
        helper.make_node("Identity", ["keypoints_px"], ["refined_px"]),
    ]
    constants["last"] = np.array([2], np.int64)
    inputs, outputs = (
        [
            helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, [None] * len(tensor.axes))
            for tensor in tensors
        ]
        for tensors in (card.inputs, card.outputs)
    )
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
