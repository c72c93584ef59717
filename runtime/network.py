"""An ONNX network run on the CPU, held to what its manifest says of it.

A graph that does not fit its manifest is refused before the first picture, by one empty batch.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from cvsf.refusal import Refusal
from runtime.bundle import NetworkManifest

log = logging.getLogger(__name__)

Batch = npt.NDArray[Any]
_TYPES = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}


class Network:
    """A session, its input buffers and the batch size its graph allows."""

    def __init__(self, manifest: NetworkManifest, path: Path, threads: int = 1) -> None:
        self.manifest = manifest
        self._session = _session(path, threads)
        self.one_by_one = _checked(self._session, manifest, path)
        self._buffer = self._empty(1)

    def buffer(self, count: int) -> Batch:
        """Room for that many pictures, valid until the next call."""
        if len(self._buffer) < count:
            self._buffer = self._empty(count)
        return self._buffer[:count]

    def run(self, batch: Batch) -> list[Batch]:
        """The outputs in the manifest's order, axis 0 being the picture."""
        if not self.one_by_one or len(batch) == 1:
            return self._outputs(batch)
        each = [self._outputs(batch[i : i + 1]) for i in range(len(batch))]
        return [_stacked(parts) for parts in zip(*each, strict=True)]

    def _outputs(self, batch: Batch) -> list[Batch]:
        outputs = list(self.manifest.outputs)
        return list(self._session.run(outputs, {self.manifest.input: batch}))

    def _empty(self, count: int) -> Batch:
        width, height = self.manifest.size_px
        planes = self.manifest.channels
        one = (height, width, planes) if self.manifest.layout == "NHWC" else (planes, height, width)
        return np.zeros((count, *one), self.manifest.dtype)


def _stacked(parts: Sequence[Batch]) -> Batch:
    """One array of all pictures, padded with nobody where they hold different numbers of people."""
    most = max(part.shape[1] for part in parts)
    padded = [
        np.pad(part, [(0, 0), (0, most - part.shape[1])] + [(0, 0)] * (part.ndim - 2))
        for part in parts
    ]
    return np.concatenate(padded)


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types of its own
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refusal(f"{path} is not a network ONNX Runtime can load ({first})") from error


def _checked(session: onnxruntime.InferenceSession, manifest: NetworkManifest, path: Path) -> bool:
    """Whether it takes one picture at a time; a Refusal where it does not fit the manifest."""
    inputs = {i.name: i for i in session.get_inputs()}
    if list(inputs) != [manifest.input]:
        found = ", ".join(inputs) or "none"
        raise Refusal(f"{path} has the inputs {found}, its manifest says {manifest.input}")
    outputs = [o.name for o in session.get_outputs()]
    if missing := [name for name in manifest.outputs if name not in outputs]:
        raise Refusal(
            f"{path} has the outputs {', '.join(outputs)}, its manifest says {', '.join(missing)}"
        )
    graph = inputs[manifest.input]
    if graph.type != _TYPES[manifest.dtype]:
        raise Refusal(f"{path} takes {graph.type}, its manifest says {manifest.dtype}")
    width, height = manifest.size_px
    planes = manifest.channels
    nhwc = manifest.layout == "NHWC"
    wanted = [height, width, planes] if nhwc else [planes, height, width]
    fixed = list(graph.shape)
    fits = len(fixed) == 1 + len(wanted) and all(
        not isinstance(have, int) or have == want
        for have, want in zip(fixed[1:], wanted, strict=True)
    )
    if not fits or (isinstance(fixed[0], int) and fixed[0] != 1):
        raise Refusal(f"{path} takes pictures of {fixed}, its manifest says [batch, {wanted}]")
    if fixed[0] == 1 and manifest.batch == "dynamic":
        log.warning("network takes one picture at a time", extra={"network": str(path)})
    return fixed[0] == 1 or manifest.batch == "one"
