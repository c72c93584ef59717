"""An ONNX graph run by ONNX Runtime on the processor."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cvsf.engine.onnx_backend import OnnxSession
from cvsf.system.errors import Refusal

FED = {"a": np.array([[1, 2, 3]], np.float32), "b": np.array([[10, 20, 30]], np.float32)}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The sum and the difference of two inputs."""
    a, b, total, apart = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3])
        for name in ("a", "b", "total", "apart")
    )
    nodes = [
        helper.make_node("Add", ["a", "b"], ["total"]),
        helper.make_node("Sub", ["a", "b"], ["apart"]),
    ]
    graph = helper.make_graph(nodes, "sums", [a, b], [total, apart])
    path = tmp_path / "sums.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


def test_outputs_come_in_the_order_they_were_asked_for(network: Path) -> None:
    session = OnnxSession(network, ["apart", "total"], gpu=False)
    apart, total = session.run(FED)
    assert apart.tolist() == [[-9, -18, -27]]
    assert total.tolist() == [[11, 22, 33]]
    (only,) = OnnxSession(network, ["total"], gpu=False).run(FED)
    assert only.tolist() == total.tolist()


def test_a_session_gives_the_names_types_and_shapes_of_its_graph(network: Path) -> None:
    session = OnnxSession(network, [], gpu=False)
    assert session.backend == "onnxruntime cpu"
    assert [(t.name, t.type, t.shape) for t in session.inputs] == [
        ("a", "tensor(float)", ["batch", 3]),
        ("b", "tensor(float)", ["batch", 3]),
    ]
    assert [tensor.name for tensor in session.outputs] == ["total", "apart"]


def test_a_network_loaded_without_optimisation_gives_the_same_numbers(network: Path) -> None:
    lean = OnnxSession(network, ["total", "apart"], gpu=False, is_lean=True)
    usual = OnnxSession(network, ["total", "apart"], threads=2, gpu=False)
    for few, many in zip(lean.run(FED), usual.run(FED), strict=True):
        np.testing.assert_array_equal(few, many)


def test_a_closed_session_refuses_to_run(network: Path) -> None:
    session = OnnxSession(network, ["total"], gpu=False)
    session.close()
    with pytest.raises(Refusal, match="the engine was closed; load it again"):
        session.run(FED)


@pytest.mark.parametrize("content", [None, b"", b"no network at all"])
def test_a_file_that_is_no_network_is_refused_in_one_line_that_names_it(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        Refusal, match=r"broken\.onnx is not a network that ONNX Runtime"
    ) as refused:
        OnnxSession(path, ["total"], gpu=False)
    assert "\n" not in str(refused.value)
