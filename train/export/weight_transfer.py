"""A child's weights in its parent's graph: what takes minutes to export takes no time to refill.

The engine made by it is compared with torch like any other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from cvsf.engine.manifest import read_manifest, verified_file
from cvsf.model.lifter import LifterShape
from cvsf.system.errors import Refusal
from train.checkpoint import Checkpoint, read_checkpoint

Values = npt.NDArray[Any]


def refitted(parent: Path, child: Checkpoint) -> bytes | None:
    """The parent's ONNX file with the child's weights, as bytes; nothing is written. None where
    they are not the same network, a weight cannot be distinguished from others, or the folder
    `parent` is no engine with its checkpoint.
    """
    try:
        taught = read_checkpoint(parent)
        model = onnx.load(str(verified_file(parent, read_manifest(parent))))
    except Refusal:
        return None
    shapes = LifterShape(**taught.shape), LifterShape(**child.shape)
    if shapes[0] != shapes[1] or taught.joint_set != child.joint_set:
        return None
    if (taught.morph is None) != (child.morph is None):
        return None
    constants = {one.name: one for one in model.graph.initializer}
    values = {name: numpy_helper.to_array(one) for name, one in constants.items()}
    for weight, tensor in child.weights.items():
        found = _place(weight, taught.weights[weight].numpy(), values)
        if found is None:
            return None
        name, turned = found
        fresh = tensor.numpy().T if turned else tensor.numpy()
        constants[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(fresh), name))
        del values[name]
    return bytes(model.SerializeToString())


def _place(weight: str, tensor: Values, values: Mapping[str, Values]) -> tuple[str, bool] | None:
    """The constant that is a weight, by its name or else by its values, and whether transposed."""
    for name, value in values.items():
        if name.endswith(f".{weight}") and np.array_equal(value, tensor):
            return name, False
    alike = [
        (name, turned)
        for turned in (False, True)
        for name, value in values.items()
        if np.array_equal(value, tensor.T if turned else tensor)
    ]
    return alike[0] if len(alike) == 1 else None
