"""A TensorRT plan: one context and one captured CUDA graph per batch bucket and shape.

Memory and streams are those of cvsf.engine.cuda, without torch. None or False from TensorRT is a
Refusal.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.engine import cuda
from cvsf.engine.tensorrt_api import (
    constructed,
    error_logger,
    require_result,
    tensorrt_module,
    version,
)
from cvsf.system.errors import Refusal

Array = npt.NDArray[Any]
_KINDS = {
    "FLOAT": np.float32, "HALF": np.float16, "INT32": np.int32, "INT64": np.int64,
    "UINT8": np.uint8, "INT8": np.int8, "BOOL": np.bool_,
}  # fmt: skip
_WARM_RUNS = 3  # before a capture, because kernels are loaded at first use; a guess, not measured
_KEPT = 12  # contexts; a rig rarely changes its number of views; a guess, not measured


class TensorrtSession:
    """A deserialised plan; a batch between two buckets is padded with zeros."""

    def __init__(
        self, plan: Path, outputs: Sequence[str], buckets: Sequence[int], precision: str
    ) -> None:
        self._trt, _ = tensorrt_module()
        self._outputs, self._buckets = list(outputs), tuple(sorted(buckets))
        self.backend = f"{version()} {precision}"
        self._log = error_logger(self._trt)  # must live as long as the engine, like the runtime
        self._runtime: Any = constructed(
            lambda: self._trt.Runtime(self._log), "start its runtime", self._log
        )
        self._plan: Any = require_result(
            self._runtime.deserialize_cuda_engine(plan.read_bytes()), f"load {plan}", self._log
        )
        names = [self._plan.get_tensor_name(i) for i in range(self._plan.num_io_tensors)]
        if missing := [name for name in self._outputs if name not in names]:
            raise Refusal(f"{plan} has no output {missing[0]}, it has {', '.join(names)}")
        self._names, self._stream, self._lock = names, cuda.Stream(), threading.Lock()
        self._slots: dict[tuple[tuple[str, tuple[int, ...]], ...], _Slot] = {}

    def run(self, fed: Mapping[str, Array]) -> list[Array]:
        """The outputs, in the order of `outputs`, for the inputs by name; axis 0 is the batch. A
        batch above the largest bucket runs in parts. Blocks; any thread may call it, one at a time
        runs. Refusal after `close` or if TensorRT or CUDA fails. A new shape takes longer: it is
        captured first.
        """
        count = len(next(iter(fed.values())))
        most = self._buckets[-1]
        with self._lock:
            if self._plan is None:
                raise Refusal("the engine was closed; load it again")
            parts = [
                self._part({name: array[at : at + most] for name, array in fed.items()})
                for at in range(0, count, most)
            ]
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def close(self) -> None:
        """Free contexts, the plan and the runtime, in this order: another one leaks memory. Waits
        for a run in progress; a second call does nothing, later runs raise Refusal.
        """
        with self._lock:
            if self._plan is None:
                return
            for slot in self._slots.values():
                slot.close()
            self._slots.clear()
            self._plan = None
            self._runtime = None
            self._stream.close()

    def _part(self, fed: Mapping[str, Array]) -> list[Array]:
        count = len(next(iter(fed.values())))
        bucket = next(size for size in self._buckets if size >= count)
        shapes = {name: (bucket, *array.shape[1:]) for name, array in fed.items()}
        key = tuple(sorted(shapes.items()))
        if key not in self._slots:
            if len(self._slots) >= _KEPT:
                self._slots.pop(next(iter(self._slots))).close()
            self._slots[key] = self._slot(shapes)
        slot = self._slots[key] = self._slots.pop(key)  # now the last to be freed
        for name, array in fed.items():
            slot.tensors[name].host[:count] = array
            slot.tensors[name].host[count:] = 0
        slot.run(self._stream)
        return [slot.tensors[name].host[:count].copy() for name in self._outputs]

    def _slot(self, shapes: Mapping[str, tuple[int, ...]]) -> "_Slot":
        """A context with its memory, after warm-up runs and the capture."""
        context = require_result(
            self._plan.create_execution_context(), "create a context", self._log
        )
        slot = _Slot(context, {}, list(shapes), self._log)
        try:
            for name, shape in shapes.items():
                what = f"take {name} of shape {shape}"
                require_result(context.set_input_shape(name, shape), what, self._log)
            self._allocate(context, slot.tensors)
            slot.capture(self._stream)
        except Refusal:
            slot.close()
            raise
        return slot

    def _allocate(self, context: Any, tensors: dict[str, cuda.Tensor]) -> None:
        """Allocate memory for all inputs and outputs, on the host and on the GPU."""
        for name in self._names:
            shape = tuple(context.get_tensor_shape(name))
            if any(side < 0 for side in shape):
                raise Refusal(
                    f"the network's {name} has the shape {shape}, which depends on data; "
                    "run it on ONNX Runtime"
                )
            kind = _KINDS[self._plan.get_tensor_dtype(name).name]
            tensors[name] = cuda.Tensor(shape, kind)
            is_set = context.set_tensor_address(name, tensors[name].device)
            require_result(is_set, f"take the memory of {name}", self._log)


class _Slot:
    """One shape of all inputs: their memory, context and captured graph."""

    def __init__(
        self, context: Any, tensors: dict[str, cuda.Tensor], inputs: list[str], log: Any
    ) -> None:
        self._context, self._inputs, self._log = context, inputs, log
        self._graph: cuda.Graph | None = None
        self.tensors = tensors

    def capture(self, stream: cuda.Stream) -> None:
        """Capture one run as a CUDA graph, after three that load the kernels; waits for these. If
        TensorRT says that the stream cannot be captured, there is none, and each run is enqueued.
        Refusal if a run fails.
        """
        for _ in range(_WARM_RUNS):
            self._enqueue(stream)
            stream.wait()
        capturable = getattr(self._context, "is_stream_capturable", None)  # tensorrt_rtx alone
        if capturable is not None and not capturable(stream.number):
            return
        stream.begin_graph()
        try:
            self._enqueue(stream)
        except Refusal:
            stream.drop_graph()  # else the stream captures all further calls
            raise
        self._graph = stream.end_graph()

    def run(self, stream: cuda.Stream) -> None:
        """Run from the host inputs to the host outputs of `tensors`, and wait for the end. Refusal
        if it fails.
        """
        if self._graph is None:
            self._enqueue(stream)
        else:
            self._graph.launch(stream)
        stream.wait()

    def close(self) -> None:
        """Free the graph, the context and the memory of all inputs and outputs, in this order."""
        if self._graph is not None:
            self._graph.close()
        self._context = None
        for tensor in self.tensors.values():
            tensor.close()

    def _enqueue(self, stream: cuda.Stream) -> None:
        for name in self._inputs:
            self.tensors[name].send(stream)
        require_result(self._context.execute_async_v3(stream.number), "run the network", self._log)
        for name, tensor in self.tensors.items():
            if name not in self._inputs:
                tensor.fetch(stream)
