"""Mixed precision: the wide layers of an ONNX network in float16, inputs and outputs in float32.

float16 is used for layers with many weights, and for sums and activations between two of them;
normalisation, rotations and cross-view fusion stay in float32.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from cvsf.system.errors import Refusal

_WIDE = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"})
_BETWEEN = frozenset({"Add", "Mul", "LeakyRelu", "Relu", "PRelu", "Clip", "MaxPool", "Concat"})
_LEAST_WEIGHTS = 400
"""Least number of weights of a wide layer; the constant tables of the geometry have fewer."""


def in_mixed_precision(path: Path) -> bytes:
    """The ONNX network of a file, as bytes, with its wide layers in float16; its inputs and outputs
    keep their types. The file stays unchanged, and the result is not compared with it. Refusal if
    it has no wide layer.
    """
    model = onnx.load(str(path))
    graph = _Converter(model.graph)
    for node in list(model.graph.node):
        graph.add(node)
    if not graph.half:
        raise Refusal(f"{path} has no wide layer for half precision; run it in float32")
    graph.replace()
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class _Converter:
    """A graph rewritten node by node, and those of its tensors that are in half precision."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._outputs = {tensor.name for tensor in graph.output}
        self._nodes: list[NodeProto] = []
        self._cast: dict[str, str] = {}
        self._half_weights: dict[str, TensorProto] = {}
        self.half: set[str] = set()

    def add(self, node: NodeProto) -> None:
        """Add a copy of a node, in half precision if it is a wide layer or between two of them;
        casts of its inputs and outputs are added where needed. Nodes come in the order of the
        graph; the graph itself stays until `replace`.
        """
        copy = NodeProto.FromString(node.SerializeToString())
        is_half = self._is_wide(node) or self._is_between(node)
        each = self._as_half if is_half else self._as_single
        del copy.input[:]
        copy.input.extend(each(name) if name else "" for name in node.input)
        self._nodes.append(copy)
        if is_half:
            self.half.update(node.output)
            self._cast_outputs(copy)

    def replace(self) -> None:
        """Replace the nodes of the graph, in place, by those added, and its weights by those that
        they use.
        """
        graph = self._graph
        _replace(graph.node, self._nodes)
        needed = {name for node in self._nodes for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in needed]
        _replace(graph.initializer, [*kept, *self._half_weights.values()])
        _replace(graph.value_info, [v for v in graph.value_info if v.name not in self.half])

    def _is_wide(self, node: NodeProto) -> bool:
        weights = [self._weights[name] for name in node.input if name in self._weights]
        return node.op_type in _WIDE and any(
            np.prod(tensor.dims) >= _LEAST_WEIGHTS for tensor in weights
        )

    def _is_between(self, node: NodeProto) -> bool:
        """Whether all inputs are in half precision already, or float constants."""
        given = [name for name in node.input if name]
        fed = [name for name in given if name not in self._weights]
        constant = [self._weights[name].data_type for name in given if name in self._weights]
        return (
            node.op_type in _BETWEEN
            and bool(fed)
            and all(name in self.half for name in fed)
            and all(kind == TensorProto.FLOAT for kind in constant)
        )

    def _as_half(self, name: str) -> str:
        if name in self._weights:
            half = f"{name}_half"
            if half not in self._half_weights:
                with np.errstate(over="ignore"):
                    array = numpy_helper.to_array(self._weights[name]).astype(np.float16)
                self._half_weights[half] = numpy_helper.from_array(array, half)
            return half
        return name if name in self.half else self._casted(name, "half", TensorProto.FLOAT16)

    def _as_single(self, name: str) -> str:
        return self._casted(name, "single", TensorProto.FLOAT) if name in self.half else name

    def _casted(self, name: str, kind: str, to: int) -> str:
        casted = f"{name}_{kind}"
        if casted not in self._cast:
            self._cast[casted] = casted
            self._nodes.append(helper.make_node("Cast", [name], [casted], to=to))
        return casted

    def _cast_outputs(self, node: NodeProto) -> None:
        """Cast outputs of the network back to float32, under their names."""
        for i, name in enumerate(node.output):
            if name not in self._outputs:
                continue
            inner = f"{name}_inner"
            node.output[i] = inner
            self.half.discard(name)
            self.half.add(inner)
            self._nodes.append(helper.make_node("Cast", [inner], [name], to=TensorProto.FLOAT))


def _replace(field: object, values: Sequence[object]) -> None:
    del field[:]  # type: ignore[attr-defined]  # protobuf's repeated fields have no public type
    field.extend(values)  # type: ignore[attr-defined]
