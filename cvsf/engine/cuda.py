"""The parts of CUDA that a plan needs (memory, streams, graphs), through cuda-bindings.

An error of a call is a Refusal with the driver's message.
"""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import runtime as cudart

from cvsf.system.errors import Refusal

Array = npt.NDArray[Any]
_TO_DEVICE = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
_TO_HOST = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost


def gpu_name() -> str:
    """Name and compute capability of GPU 0, as "NVIDIA H100 sm_90". Refusal if there is no GPU or
    CUDA cannot be used.
    """
    try:
        count = _checked(cudart.cudaGetDeviceCount(), "count the GPUs")
        if not count:
            raise Refusal("CUDA finds no GPU")
        properties = _checked(cudart.cudaGetDeviceProperties(0), "read the name of the GPU")
    except RuntimeError as error:  # cuda-bindings without the driver's library
        raise Refusal(f"CUDA cannot be used ({error})") from error
    name = properties.name.decode() if isinstance(properties.name, bytes) else properties.name
    return f"{name} sm_{properties.major}{properties.minor}"


class Stream:
    """A CUDA stream that does not wait for the default one."""

    def __init__(self) -> None:
        self.handle = _checked(
            cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking), "create a stream"
        )

    @property
    def number(self) -> int:
        """The handle of the stream as an integer, for TensorRT."""
        return int(self.handle)

    def wait(self) -> None:
        """Block until the stream has done all its work; Refusal if some of it failed."""
        _checked(cudart.cudaStreamSynchronize(self.handle), "run the network")

    def begin_graph(self) -> None:
        """Begin a CUDA graph: the next calls in this stream are recorded, not run, until
        `end_graph` or `drop_graph`. Refusal if CUDA failed.
        """
        mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _checked(cudart.cudaStreamBeginCapture(self.handle, mode), "begin a CUDA graph")

    def end_graph(self) -> "Graph":
        """End the recording that `begin_graph` began; returns the CUDA graph, ready to launch,
        which the caller closes. Refusal if a recorded call failed.
        """
        return Graph(_checked(cudart.cudaStreamEndCapture(self.handle), "end a CUDA graph"))

    def drop_graph(self) -> None:
        """End the recording, also a failed one, and free its graph; errors are ignored."""
        _, graph = cudart.cudaStreamEndCapture(self.handle)
        if graph is not None:
            cudart.cudaGraphDestroy(graph)

    def close(self) -> None:
        """Free the stream; errors are ignored. Not twice."""
        cudart.cudaStreamDestroy(self.handle)


class Graph:
    """Captured calls that are launched as one."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._ready = _checked(cudart.cudaGraphInstantiate(graph, 0), "prepare a CUDA graph")

    def launch(self, stream: Stream) -> None:
        """Start the recorded calls in a stream and return at once; `Stream.wait` waits for them.
        Refusal if CUDA cannot start them.
        """
        _checked(cudart.cudaGraphLaunch(self._ready, stream.handle), "launch a CUDA graph")

    def close(self) -> None:
        """Free the graph; errors are ignored. Not twice."""
        cudart.cudaGraphExecDestroy(self._ready)
        cudart.cudaGraphDestroy(self._graph)


class Tensor:
    """One array on the GPU and a copy of it in pinned host memory."""

    def __init__(self, shape: tuple[int, ...], kind: npt.DTypeLike) -> None:
        size = max(1, int(np.prod(shape)) * np.dtype(kind).itemsize)
        self.device: int = int(_checked(cudart.cudaMalloc(size), f"take {size} bytes of the GPU"))
        self._pinned = int(_checked(cudart.cudaMallocHost(size), f"pin {size} bytes"))
        raw = (ctypes.c_byte * size).from_address(self._pinned)
        count = int(np.prod(shape))
        self.host: Array = np.frombuffer(memoryview(raw), np.dtype(kind), count).reshape(shape)
        self.host[...] = 0
        self._bytes = size

    def send(self, stream: Stream) -> None:
        """Start to copy `host` to the GPU, in the stream's order; it must not change until
        `Stream.wait`. Refusal if CUDA failed.
        """
        self._copy(self.device, self._pinned, _TO_DEVICE, stream)

    def fetch(self, stream: Stream) -> None:
        """Start to copy from the GPU to `host`, in the stream's order; `host` is valid after
        `Stream.wait`. Refusal if CUDA failed.
        """
        self._copy(self._pinned, self.device, _TO_HOST, stream)

    def close(self) -> None:
        """Free the array on the GPU and its copy; `host` is an empty array afterwards. Call it
        once, without work in progress.
        """
        self.host = self.host[:0].copy()
        cudart.cudaFree(self.device)
        cudart.cudaFreeHost(self._pinned)

    def _copy(self, to: int, from_: int, kind: Any, stream: Stream) -> None:
        copied = cudart.cudaMemcpyAsync(to, from_, self._bytes, kind, stream.handle)
        _checked(copied, "copy to or from the GPU")


def _checked(result: tuple[Any, ...], what: str) -> Any:
    """The value that a call returned with its error code; Refusal if the code is an error."""
    code, *values = result
    if code != cudart.cudaError_t.cudaSuccess:
        _, text = cudart.cudaGetErrorString(code)
        message = text.decode() if isinstance(text, bytes) else str(text)
        raise Refusal(f"CUDA failed to {what}: {message}")
    return values[0] if values else None
