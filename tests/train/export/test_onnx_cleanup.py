"""An exported network without notes, and an exporter that is quiet."""

import logging
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from train.export.onnx_cleanup import bare, quietly

FOLDER = "/home/somebody/train/networks.py"


def noted_model() -> onnx.ModelProto:
    """A network of x + 2, in two calls of a function, noted wherever ONNX has room."""
    opset = helper.make_opsetid("", 17)
    one = helper.make_node("Constant", [], ["one"], value_float=1.0)
    add = helper.make_node("Add", ["a", "one"], ["b"], doc_string=FOLDER)
    plus = helper.make_function("ours", "Plus", ["a"], ["b"], [one, add], [opset])
    calls = [
        helper.make_node("Plus", ["x"], ["m"], domain="ours", doc_string=FOLDER),
        helper.make_node("Plus", ["m"], ["y"], domain="ours"),
    ]
    x, y, m = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xym")
    graph = helper.make_graph(calls, "graph", [x], [y], doc_string=FOLDER, value_info=[m])
    model = helper.make_model(
        graph,
        functions=[plus],
        opset_imports=[opset, helper.make_opsetid("ours", 1)],
        ir_version=10,
        doc_string=FOLDER,
    )
    inside = model.functions[0].node[1]
    for place in (model, model.graph, model.graph.node[0], inside, model.graph.value_info[0]):
        place.metadata_props.add(key="stack", value=FOLDER)
    return model


def test_a_bare_network_names_no_folder_of_the_machine_that_exported_it() -> None:
    model = noted_model()
    assert model.SerializeToString().count(FOLDER.encode()) == 9
    assert FOLDER.encode() not in bare(model)


def test_a_bare_network_computes_what_the_noted_one_did() -> None:
    session = onnxruntime.InferenceSession(bare(noted_model()), providers=["CPUExecutionProvider"])
    (found,) = session.run(["y"], {"x": np.array([1.0, -3.0], np.float32)})
    assert found.tolist() == [3.0, -1.0]


def test_warnings_of_the_exporter_are_silenced_inside_quietly_and_only_there() -> None:
    with quietly():
        warnings.warn("of the exporter", UserWarning, stacklevel=1)
        assert not logging.getLogger("torch.onnx").isEnabledFor(logging.WARNING)
        assert logging.getLogger("torch.onnx").isEnabledFor(logging.ERROR)
    with pytest.warns(UserWarning, match="of ours"):
        warnings.warn("of ours", UserWarning, stacklevel=1)
