"""A stand-in for CUDA's runtime with the names that are used of it, in ordinary memory.

FAKE_GPU is the card's name, none where it is empty; FAKE_FAILS the call that reports an error.
"""

import ctypes
import enum
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

cudaStreamNonBlocking = 1
cudaMemcpyKind = enum.Enum("cudaMemcpyKind", ["cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"])
cudaStreamCaptureMode = enum.Enum("cudaStreamCaptureMode", ["cudaStreamCaptureModeThreadLocal"])
cudaError_t = enum.Enum("cudaError_t", ["cudaSuccess", "cudaErrorUnknown"])

memory: dict[int, Any] = {}
launched = 0
_writing: dict[int, list[Callable[[], None]]] = {}


def _answer(name: str, *values: Any) -> tuple[Any, ...]:
    if name in os.environ.get("FAKE_FAILS", "").split(","):
        return (cudaError_t["cudaErrorUnknown"], *(None for _ in values))
    return (cudaError_t["cudaSuccess"], *values)


def in_order(stream: int, action: Callable[[], None]) -> None:
    """Do it now, or write it down where the stream is captured."""
    if stream in _writing:
        _writing[stream].append(action)
    else:
        action()


def view(address: int, shape: tuple[int, ...], kind: Any) -> Any:
    """The array at an address."""
    count = int(np.prod(shape))
    size = max(1, count * np.dtype(kind).itemsize)
    raw = (ctypes.c_byte * size).from_address(address)
    return np.frombuffer(raw, kind, count).reshape(shape)


def cudaGetErrorString(code: Any) -> tuple[Any, bytes]:
    return cudaError_t["cudaSuccess"], b"unspecified launch failure"


def cudaGetDeviceCount() -> tuple[Any, ...]:
    return _answer("cudaGetDeviceCount", int(bool(os.environ.get("FAKE_GPU", "NVIDIA Fake"))))


def cudaGetDeviceProperties(index: int) -> tuple[Any, ...]:
    name = os.environ.get("FAKE_GPU", "NVIDIA Fake").encode()
    return _answer("cudaGetDeviceProperties", SimpleNamespace(name=name, major=9, minor=0))


def cudaMalloc(size: int) -> tuple[Any, ...]:
    room = ctypes.create_string_buffer(b"\xff" * size, size)
    address = ctypes.addressof(room)
    memory[address] = room
    return _answer("cudaMalloc", address)


cudaMallocHost = cudaMalloc


def cudaFree(address: int) -> tuple[Any, ...]:
    del memory[address]
    return _answer("cudaFree")


cudaFreeHost = cudaFree


def cudaStreamCreateWithFlags(flags: int) -> tuple[Any, ...]:
    return _answer("cudaStreamCreateWithFlags", 77)


def cudaStreamDestroy(stream: int) -> tuple[Any, ...]:
    return _answer("cudaStreamDestroy")


def cudaStreamSynchronize(stream: int) -> tuple[Any, ...]:
    return _answer("cudaStreamSynchronize")


def cudaMemcpyAsync(to: int, from_: int, size: int, kind: Any, stream: int) -> tuple[Any, ...]:
    in_order(stream, lambda: ctypes.memmove(to, from_, size) and None)
    return _answer("cudaMemcpyAsync")


def cudaStreamBeginCapture(stream: int, mode: Any) -> tuple[Any, ...]:
    _writing[stream] = []
    return _answer("cudaStreamBeginCapture")


def cudaStreamEndCapture(stream: int) -> tuple[Any, ...]:
    return _answer("cudaStreamEndCapture", _writing.pop(stream))


def cudaGraphInstantiate(graph: Any, flags: int) -> tuple[Any, ...]:
    return _answer("cudaGraphInstantiate", graph)


def cudaGraphLaunch(graph: Any, stream: int) -> tuple[Any, ...]:
    global launched
    launched += 1
    for action in graph:
        action()
    return _answer("cudaGraphLaunch")


def cudaGraphDestroy(graph: Any) -> tuple[Any, ...]:
    return _answer("cudaGraphDestroy")


cudaGraphExecDestroy = cudaGraphDestroy
