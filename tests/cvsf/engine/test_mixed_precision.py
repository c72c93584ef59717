"""Wide layers of a network in half precision; what goes in and comes out stays float32."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cvsf.engine.mixed_precision import in_mixed_precision
from cvsf.system.errors import Refusal

WIDE, NARROW = 32, 4


def network(path: Path, size: int = WIDE) -> Path:
    """Two products with a sum and a rectifier between them, then a softmax."""
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.normal(0, size**-0.5, shape).astype(np.float32), name)
        for name, shape in (("w1", (size, size)), ("b1", (size,)), ("w2", (size, size)))
    ]
    x, y = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size]) for n in ("x", "y")
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("Add", ["a", "b1"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "w2"], ["d"]),
        helper.make_node("Softmax", ["d"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "layers", [x], [y], weights)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


def test_the_wide_layers_become_halves_and_inputs_and_outputs_stay_float32(tmp_path: Path) -> None:
    graph = onnx.load_model_from_string(in_mixed_precision(network(tmp_path / "wide.onnx"))).graph
    assert {w.data_type for w in graph.initializer} == {TensorProto.FLOAT16}
    assert [n.op_type for n in graph.node] == [
        "Cast", "MatMul", "Add", "Relu", "MatMul", "Cast", "Softmax",
    ]  # fmt: skip
    kinds = {t.type.tensor_type.elem_type for t in (*graph.input, *graph.output)}
    assert kinds == {TensorProto.FLOAT}


def test_a_network_in_half_precision_gives_the_numbers_of_the_whole_one_within_1_percent(
    tmp_path: Path,
) -> None:
    path = network(tmp_path / "wide.onnx")
    fed = {"x": np.random.default_rng(1).normal(size=(5, WIDE)).astype(np.float32)}
    whole, half = (
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, fed)[0]
        for model in (str(path), in_mixed_precision(path))
    )
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, whole, rtol=0.01)
    assert (half != whole).any()


def test_an_output_of_a_wide_layer_keeps_its_name_and_type(tmp_path: Path) -> None:
    model = onnx.load(str(network(tmp_path / "wide.onnx")))
    model.graph.node.pop()  # the softmax
    model.graph.output[0].name = "d"
    onnx.save(model, str(tmp_path / "bare.onnx"))
    session = onnxruntime.InferenceSession(
        in_mixed_precision(tmp_path / "bare.onnx"), providers=["CPUExecutionProvider"]
    )
    assert [(t.name, t.type) for t in session.get_outputs()] == [("d", "tensor(float)")]


def test_a_network_of_narrow_layers_alone_is_refused_by_its_path(tmp_path: Path) -> None:
    path = network(tmp_path / "narrow.onnx", NARROW)
    with pytest.raises(
        Refusal, match=r"narrow\.onnx has no wide layer for half precision; run it in"
    ):
        in_mixed_precision(path)
