"""The ONNX Runtime backend: on the CPU, or with the CUDA provider where it starts.

Every backend is a `Session`: arrays by name in, arrays in the order of the wanted outputs out.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import onnxruntime

from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

Tensor = npt.NDArray[Any]
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_SEVERE = 3  # onnxruntime's log level "error"


@runtime_checkable
class Session(Protocol):
    """A loaded graph of any backend."""

    @property
    def backend(self) -> str:
        """The backend's name, with version and precision where they matter."""

    def run(self, fed: Mapping[str, Tensor]) -> list[Tensor]:
        """The outputs, in the order that was given to the constructor."""

    def close(self) -> None:
        """Free the memory; later runs raise Refusal."""


class OnnxSession:
    """A session of ONNX Runtime: one thread by default, without spinning; on the GPU if it is
    available and `gpu` is True.
    """

    def __init__(
        self,
        path: Path,
        outputs: Sequence[str],
        threads: int = 1,
        *,
        gpu: bool = True,
        is_lean: bool = False,
    ) -> None:
        self._outputs = list(outputs)
        self._session: Any = _opened(path, threads, gpu and has_cuda(), is_lean)
        device = "cuda" if self._session.get_providers()[0] == _CUDA else "cpu"
        self.backend = f"onnxruntime {device}"
        if device == "cpu" and gpu and has_cuda():
            log.warning("ONNX Runtime's CUDA provider did not start, the CPU is used")

    @property
    def inputs(self) -> list[Any]:
        """The graph's inputs in its order, each with name, type and shape. Not after `close`."""
        return list(self._session.get_inputs())

    @property
    def outputs(self) -> list[Any]:
        """All outputs of the graph, not only the wanted ones, each with name, type and shape. Not
        after `close`.
        """
        return list(self._session.get_outputs())

    def run(self, fed: Mapping[str, Tensor]) -> list[Tensor]:
        """The outputs, in the order given to the constructor (all, if it got none), for the inputs
        by name. Blocks until they are on the host. Refusal after `close`; an input that does not
        fit raises an error of ONNX Runtime.
        """
        if self._session is None:
            raise Refusal("the engine was closed; load it again")
        return [np.asarray(array) for array in self._session.run(self._outputs, dict(fed))]

    def close(self) -> None:
        """Free the session and its memory; later runs raise Refusal."""
        self._session = None


def has_cuda() -> bool:
    """Whether this ONNX Runtime was built with its CUDA provider; it may not start, as without a
    GPU.
    """
    return _CUDA in onnxruntime.get_available_providers()


def _opened(path: Path, threads: int, gpu: bool, is_lean: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if (
        is_lean and not gpu
    ):  # the graph is optimised already; doing it again is most of the loading time
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SEVERE
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = [_CPU]
    if gpu:
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        # TF32 has a third of the digits of float32; engines are compared in all of them
        providers.insert(0, (_CUDA, {"use_tf32": "0"}))
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refusal(f"{path} is not a network that ONNX Runtime can load ({first})") from error
