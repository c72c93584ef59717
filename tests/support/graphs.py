"""Small ONNX networks of the published layouts that find red, green and blue spots."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """An ONNX graph written one node at a time."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, value: object, dtype: type = np.float32) -> str:
        name = f"const{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def __call__(self, kind: str, *inputs: str, name: str = "", **attributes: object) -> str:
        output = name or f"node{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def save(
        self,
        path: Path,
        image: tuple[str, list[object]],
        outputs: dict[str, list[object]],
        dtype: int = TensorProto.FLOAT,
    ) -> None:
        graph = helper.make_graph(
            self.nodes,
            "generated",
            [helper.make_tensor_value_info(image[0], dtype, image[1])],
            [
                helper.make_tensor_value_info(
                    n, TensorProto.INT64 if n == "labels" else TensorProto.FLOAT, s
                )
                for n, s in outputs.items()
            ],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))

    def places(self, image: str) -> str:
        """(B, 3, 2): where red, green and blue are brightest, as x, y of pixel centres."""
        at = []
        for along, axis in ((2, -1), (3, -1)):
            profile = self("ReduceSum", image, self.const([along], np.int64), keepdims=0)
            peak = self("ArgMax", profile, axis=axis, keepdims=0)
            whole = self("Cast", peak, to=TensorProto.FLOAT)
            at.append(
                self("Unsqueeze", self("Add", whole, self.const(0.5)), self.const([2], np.int64))
            )
        return self("Concat", *at, axis=2)

    def vivid(self, image: str, manifest: dict[str, object]) -> str:
        """Red, green and blue where they stand out, 0 on black and on any grey of a letterbox."""
        std = manifest.get("std", [1.0])
        assert isinstance(std, list)
        colour = image if manifest["colour"] == "RGB" else self.pick(image, [2, 1, 0], 1)
        grey = self("ReduceMean", colour, axes=[1], keepdims=1)
        out = self("Sub", self("Sub", colour, grey), self.const(30.0 / std[0]))
        return self("Relu", out)

    def pick(self, data: str, which: list[int], axis: int) -> str:
        return self("Gather", data, self.const(which, np.int64), axis=axis)

    def box(self, places: str) -> str:
        """(B, 4): from the red spot to the blue one."""
        corners = self.pick(places, [0, 2], 1)
        return self("Reshape", corners, self.const([0, 4], np.int64))


def _rtmdet(path: Path, manifest: dict[str, object], joints: int) -> None:
    g = Graph()
    box = g.box(g.places(g.vivid(str(manifest["input"]), manifest)))
    one = g("Concat", box, g.const([[0.9]]), axis=1)
    small = g.const([[1, 1, 9, 9, 0.8]])
    other = g.const([[0, 0, 319, 319, 0.99]])
    rows = g("Concat", one, small, other, axis=0)
    g("Unsqueeze", rows, g.const([0], np.int64), name="dets")
    g("Identity", g.const([[0, 0, 1]], np.int64), name="labels")
    outputs: dict[str, list[object]] = {"dets": [1, None, 5], "labels": [1, None]}
    g.save(path, ("input", [1, 3, 320, 320]), outputs)


def _simcc(path: Path, manifest: dict[str, object], joints: int) -> None:
    g = Graph()
    which = [j % 3 for j in range(joints)]
    spots = g.vivid("input", manifest)
    for name, along, cells in (("simcc_x", 2, 192), ("simcc_y", 3, 256)):
        profile = g("ReduceSum", spots, g.const([along], np.int64), keepdims=0)
        low = g("ReduceMin", profile, axes=[2], keepdims=1)
        high = g("ReduceMax", profile, axes=[2], keepdims=1)
        span = g("Add", g("Sub", high, low), g.const(1e-6))
        share = g("Div", g("Sub", profile, low), span)
        doubled = g.pick(share, [i // 2 for i in range(2 * cells)], 2)
        g("Gather", doubled, g.const(which, np.int64), axis=1, name=name)
    outputs: dict[str, list[object]] = {
        "simcc_x": ["batch", joints, 384],
        "simcc_y": ["batch", joints, 512],
    }
    g.save(path, ("input", ["batch", 3, 256, 192]), outputs)


def _rtmo(path: Path, manifest: dict[str, object], joints: int) -> None:
    g = Graph()
    places = g.places(g.vivid(str(manifest["input"]), manifest))
    one = g("Concat", g.box(places), g.const([[0.9]]), axis=1)
    rows = g("Concat", one, g.const([[3, 3, 60, 60, 0.8]]), axis=0)
    g("Unsqueeze", rows, g.const([0], np.int64), name="dets")
    body = g("Sub", g.pick(places, [j % 3 for j in range(joints)], 1), g.const(0.5))
    sure = g("Concat", body, g.const(np.full((1, joints, 1), 0.8)), axis=2)
    both = g("Concat", sure, g.const(np.full((1, joints, 3), 0.7)), axis=0)
    g("Unsqueeze", both, g.const([0], np.int64), name="keypoints")
    outputs: dict[str, list[object]] = {
        "dets": [1, None, 5],
        "keypoints": [1, None, joints, 3],
    }
    g.save(path, ("input", ["batch", 3, 640, 640]), outputs)


def _yolox(path: Path, manifest: dict[str, object], joints: int) -> None:
    """The first cell of the first grid says the person, the second one a bus."""
    g = Graph()
    box = g.box(g.places(g.vivid(str(manifest["input"]), manifest)))
    low, high = g.pick(box, [0, 1], 1), g.pick(box, [2, 3], 1)
    centre = g("Div", g("Add", low, high), g.const(16.0))
    size = g("Log", g("Div", g("Sub", high, low), g.const(8.0)))
    person = g("Concat", centre, size, g.const([[0.9, 0.9] + [0.0] * 79]), axis=1)
    bus = np.zeros((1, 85))
    bus[0, [2, 3, 4, 5 + 5]] = [3.0, 3.0, 0.99, 0.99]
    rest = g.const(np.concatenate([bus, np.zeros((3549 - 2, 85))]))
    rows = g("Concat", person, rest, axis=0)
    g("Unsqueeze", rows, g.const([0], np.int64), name="output")
    g.save(path, ("images", [1, 3, 416, 416]), {"output": [1, 3549, 85]})


def _movenet(path: Path, manifest: dict[str, object], joints: int) -> None:
    g = Graph()
    name = str(manifest["input"])
    image = g("Transpose", g("Cast", name, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    shares = g("Div", g.places(g.vivid(image, manifest)), g.const(192.0))
    picked = g.pick(g.pick(shares, [1, 0], 2), [j % 3 for j in range(joints)], 1)
    body = g("Concat", picked, g.const(np.full((1, joints, 1), 0.8)), axis=2)
    output = str(manifest["outputs"][0])  # type: ignore[index]
    g("Unsqueeze", body, g.const([0], np.int64), name=output)
    g.save(path, (name, [1, 192, 192, 3]), {output: [1, 1, joints, 3]}, TensorProto.UINT8)


def _centre_map(path: Path, manifest: dict[str, object], joints: int) -> None:
    g = Graph()
    cells = g("AveragePool", "image", kernel_shape=[8, 8], strides=[8, 8])
    green = g.pick(cells, [1], 1)
    high = g("ReduceMax", green, axes=[2, 3], keepdims=1)
    g("Div", green, g("Add", high, g.const(1e-6)), name="centre")
    box = g.box(g.places(g.vivid("image", manifest)))
    size = g("Sub", g.pick(box, [2, 3], 1), g.pick(box, [0, 1], 1))
    share = g("Div", size, g.const([[160.0, 120.0]]))
    spread = g("Unsqueeze", share, g.const([2, 3], np.int64))
    g("Add", spread, g("Mul", green, g.const(0.0)), name="size")
    outputs: dict[str, list[object]] = {
        "centre": ["batch", 1, 15, 20],
        "size": ["batch", 2, 15, 20],
    }
    g.save(path, ("image", ["batch", 3, 120, 160]), outputs)


def _heatmap(path: Path, manifest: dict[str, object], joints: int) -> None:
    g = Graph()
    cells = g("AveragePool", "image", kernel_shape=[4, 4], strides=[4, 4])
    which = g.const([j % 3 for j in range(joints)], np.int64)
    g("Gather", cells, which, axis=1, name="heatmaps")
    outputs: dict[str, list[object]] = {"heatmaps": ["batch", joints, 32, 32]}
    g.save(path, ("image", ["batch", 3, 128, 128]), outputs)


MADE: dict[str, Callable[[Path, dict[str, object], int], None]] = {
    "rtmdet": _rtmdet,
    "simcc": _simcc,
    "rtmo": _rtmo,
    "yolox": _yolox,
    "movenet": _movenet,
    "centre-map": _centre_map,
    "heatmap": _heatmap,
}
