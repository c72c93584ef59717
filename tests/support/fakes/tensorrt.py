"""A stand-in for TensorRT with the names that are used of it; its plans are run by ONNX Runtime.

FAKE_TENSORRT is its version, FAKE_FAILS the call that answers None or False and logs why.
"""

import enum
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from cuda.bindings import runtime as cudart

__version__ = os.environ.get("FAKE_TENSORRT", "11.4.0.106")
_IS_10 = __version__.startswith("10.")
_KINDS = {"tensor(float)": ("FLOAT", np.float32), "tensor(uint8)": ("UINT8", np.uint8)}

BuilderFlag = enum.Enum("BuilderFlag", ["TF32", "REFIT", *(["FP16", "INT8"] if _IS_10 else [])])
_TYPED = [] if os.environ.get("FAKE_UNTYPED") else [("STRONGLY_TYPED", 1)]
NetworkDefinitionCreationFlag = enum.IntEnum(
    "NetworkDefinitionCreationFlag", [*([("EXPLICIT_BATCH", 0)] if _IS_10 else []), *_TYPED]
)


def _unless_it_fails(name: str, log: "ILogger", result: Any, failed: Any = None) -> Any:
    if name in os.environ.get("FAKE_FAILS", "").split(","):
        log.log(ILogger.Severity.WARNING, "only a warning")
        log.log(ILogger.Severity.ERROR, f"Error Code 9: {name} did not want to")
        return failed
    return result


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)

    def log(self, severity: Any, text: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    pass


class _Named:
    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape = name, shape

    def desc(self) -> str:
        return self.name


def _made(name: str, log: "ILogger") -> None:
    if _unless_it_fails(name, log, True) is None:
        raise TypeError("pybind11::init(): factory function returned nullptr")


class Builder:
    def __init__(self, log: ILogger) -> None:
        self._log = log
        _made("Builder", log)

    def create_network(self, flags: int) -> Any:
        return _unless_it_fails("create_network", self._log, _Network(flags))

    def create_builder_config(self) -> Any:
        return _unless_it_fails("create_builder_config", self._log, _Config(self._log))

    def create_optimization_profile(self) -> Any:
        return _unless_it_fails("create_optimization_profile", self._log, _Profile())

    def build_serialized_network(self, network: "_Network", config: "_Config") -> Any:
        config.progress_monitor.phase_start("Building", None, 2)
        config.progress_monitor.step_complete("Building", 0)
        config.progress_monitor.phase_finish("Building")
        card = {
            "flags": sorted(flag.name for flag in config.flags),
            "network_flags": network.flags,
            "profile": [profile.shapes for profile in config.profiles],
        }
        plan = json.dumps(card).encode() + b"\n" + network.onnx
        return _unless_it_fails("build_serialized_network", self._log, plan)


class _Network:
    def __init__(self, flags: int) -> None:
        self.flags, self.onnx, self.inputs = flags, b"", list[_Named]()

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    def get_input(self, index: int) -> _Named:
        return self.inputs[index]


class _Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, list[tuple[int, ...]]] = {}

    def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.shapes[name] = list(shapes)


class _Cache(bytes):
    def serialize(self) -> bytes:
        return bytes(self) + b"+"


class _Config:
    def __init__(self, log: ILogger) -> None:
        self.flags, self.profiles, self._log = {BuilderFlag["TF32"]}, list[_Profile](), log
        self.progress_monitor: Any = None
        self._cache = _Cache()

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag)

    def add_optimization_profile(self, profile: _Profile) -> int:
        self.profiles.append(profile)
        return int(_unless_it_fails("add_optimization_profile", self._log, 0, -1))

    def create_timing_cache(self, known: bytes) -> Any:
        return _unless_it_fails("create_timing_cache", self._log, _Cache(known))

    def set_timing_cache(self, cache: _Cache, ignore: bool) -> bool:
        self._cache = cache
        return bool(_unless_it_fails("set_timing_cache", self._log, True, False))

    def get_timing_cache(self) -> _Cache:
        return self._cache


class OnnxParser:
    def __init__(self, network: _Network, log: ILogger) -> None:
        self._network, self._log = network, log
        self.num_errors = 0

    def parse_from_file(self, path: str) -> bool:
        self._network.onnx = Path(path).read_bytes()
        for tensor in _session(self._network.onnx).get_inputs():
            shape = tuple(side if isinstance(side, int) else -1 for side in tensor.shape)
            self._network.inputs.append(_Named(tensor.name, shape))
        self.num_errors = 0 if _unless_it_fails("parse_from_file", self._log, True) else 1
        return not self.num_errors

    def get_error(self, index: int) -> _Named:
        return _Named("node 7 is of no kind that is known", ())


class Runtime:
    def __init__(self, log: ILogger) -> None:
        self._log = log
        _made("Runtime", log)

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        return _unless_it_fails("deserialize_cuda_engine", self._log, _Engine(plan, self._log))


class _Engine:
    def __init__(self, plan: bytes, log: ILogger) -> None:
        self.session, self._log = _session(plan.partition(b"\n")[2]), log
        self.inputs = {tensor.name: tensor for tensor in self.session.get_inputs()}
        self.tensors = self.inputs | {tensor.name: tensor for tensor in self.session.get_outputs()}
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_dtype(self, name: str) -> Any:
        return _Named(_KINDS[self.tensors[name].type][0], ())

    def create_execution_context(self) -> Any:
        return _unless_it_fails("create_execution_context", self._log, _Context(self, self._log))


class _Context:
    def __init__(self, engine: _Engine, log: ILogger) -> None:
        self._engine, self._log = engine, log
        self._sides: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._at: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = shape
        named = zip(self._engine.tensors[name].shape, shape, strict=True)
        self._sides |= {side: size for side, size in named if isinstance(side, str)}
        return bool(_unless_it_fails("set_input_shape", self._log, True, False))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        shape = self._engine.tensors[name].shape
        return tuple(self._sides.get(side, -1) if isinstance(side, str) else side for side in shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._at[name] = address
        return bool(_unless_it_fails("set_tensor_address", self._log, True, False))

    def execute_async_v3(self, stream: int) -> bool:
        cudart.in_order(stream, self._run)
        return bool(_unless_it_fails("execute_async_v3", self._log, True, False))

    def _run(self) -> None:
        fed = {name: self._memory(name) for name in self._engine.inputs}
        outputs = [name for name in self._engine.tensors if name not in fed]
        found = self._engine.session.run(outputs, fed)
        for name, array in zip(outputs, found, strict=True):
            self._memory(name)[...] = array

    def _memory(self, name: str) -> Any:
        kind = _KINDS[self._engine.tensors[name].type][1]
        return cudart.view(self._at[name], self.get_tensor_shape(name), kind)


def _session(onnx: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
