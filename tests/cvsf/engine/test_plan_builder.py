"""A TensorRT plan built in a process of its own, against a stand-in for TensorRT."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cvsf.engine.plan_builder import main
from tests.support import disks

FAKES = Path(disks.__file__).with_name("fakes")
SHAPES = {"x": [[1, 32], [4, 32], [16, 32]]}


def network(path: Path, weight: float = 0.1) -> Path:
    """One wide layer: every number is the sum of all, times the weight."""
    weights = numpy_helper.from_array(np.full((32, 32), weight, np.float32), "w")
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 32]) for name in ("x", "y")
    )
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "wide", [x], [y], [weights]
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


def built(folder: Path, onnx_path: Path, **order: Any) -> tuple[int, list[dict[str, Any]]]:
    """How the builder ended, and the lines that it said."""
    order = {
        "onnx": str(onnx_path),
        "plan": str(folder / "plan"),
        "timing": str(folder / "timing"),
        "profile": SHAPES,
        "halve": None,
    } | order
    done = subprocess.run(
        [sys.executable, "-m", main.__module__, json.dumps(order)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FAKES), str(FAKES.parents[1])])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_plan_is_built_for_its_network_and_shapes_and_every_phase_is_reported(
    tmp_path: Path,
) -> None:
    path = network(tmp_path / "wide.onnx")
    code, said = built(tmp_path, path)
    assert code == 0
    assert said == [{"phase": "Building", "share": share} for share in (0.0, 0.5, 1.0)]
    card, _, rest = (tmp_path / "plan").read_bytes().partition(b"\n")
    assert rest == path.read_bytes()
    facts = json.loads(card)
    assert facts["profile"] == [SHAPES]
    assert "TF32" not in facts["flags"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan", "timing", "wide.onnx"]


def test_timings_of_earlier_builds_are_used_by_the_next(tmp_path: Path) -> None:
    path = network(tmp_path / "wide.onnx")
    for number in (1, 2):
        assert built(tmp_path, path)[0] == 0
        assert (tmp_path / "timing").read_bytes() == b"+" * number  # of the stand-in, one a build


def test_a_network_in_half_precision_has_half_weights_and_leaves_no_scratch_file(
    tmp_path: Path,
) -> None:
    path = network(tmp_path / "wide.onnx")
    code, said = built(tmp_path, path, halve=[0.0, 1.0])
    assert code == 0
    assert said[:2] == [{"phase": "Converting", "share": share} for share in (0.0, 1.0)]
    _, _, rest = (tmp_path / "plan").read_bytes().partition(b"\n")
    weights = onnx.load_model_from_string(rest).graph.initializer
    assert [w.data_type for w in weights] == [TensorProto.FLOAT16]
    assert not (tmp_path / "mixed.onnx").exists()


@pytest.mark.parametrize(
    ("weight", "order", "why"),
    [
        (0.1, {"profile": {}}, "the network has the input x, expected one with a given shape"),
        (1e5, {"halve": [-1.0, 1.0]}, "half precision changes the network by"),
    ],
)
def test_a_plan_that_cannot_be_built_ends_with_a_reason_exit_code_2_and_no_file(
    tmp_path: Path, weight: float, order: dict[str, Any], why: str
) -> None:
    path = network(tmp_path / "wide.onnx", weight)
    code, said = built(tmp_path, path, **order)
    assert code == 2
    assert said[-1]["refusal"].startswith(why)
    assert not (tmp_path / "plan").exists()
