"""`python -m cvsf.engine.plan_builder ORDER`: build a TensorRT plan of an ONNX
network.

A process of its own: the memory of TensorRT's builder is freed only by ending, and a crash in it
must not be the hub's. It writes JSON lines: the phase and its share done, or the refusal.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cvsf.engine.manifest import LIMITS
from cvsf.engine.onnx_backend import OnnxSession
from cvsf.engine.tensorrt_api import listener, must, started, tensorrt_module
from cvsf.system.errors import Refusal

_PICTURES = 4  # that a network in mixed precision is checked with; a guess, not measured


def build(order: dict[str, Any]) -> None:
    """Write the plan that was ordered."""
    onnx = Path(order["onnx"])
    if order["halve"] is not None:
        onnx = _mixed(onnx, Path(order["plan"]).with_name("halved.onnx"), order)
    trt, name = tensorrt_module()
    log = listener(trt)
    builder = started(lambda: trt.Builder(log), "start its builder", log)
    network = must(builder.create_network(_network_flags(trt)), "make a network", log)
    parser = started(lambda: trt.OnnxParser(network, log), "make its parser", log)
    if not parser.parse_from_file(str(onnx)):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)] or log.messages
        raise Refusal(f"TensorRT cannot read the network: {' / '.join(errors)}")
    config = must(builder.create_builder_config(), "make a configuration", log)
    # float32 means float32: with TF32 a third of the digits would go
    config.clear_flag(trt.BuilderFlag.TF32)
    _add_profile(builder, network, config, order["profile"], log)
    if hasattr(trt, "IProgressMonitor"):
        config.progress_monitor = _monitor(trt)
    timing = Path(order["timing"])
    if name == "tensorrt":  # tensorrt_rtx would need a GPU for one, and not profit
        _take_timing(config, timing, log)
    plan = must(builder.build_serialized_network(network, config), "build the plan", log)
    _write(Path(order["plan"]), bytes(plan))
    if name == "tensorrt":
        cache = must(config.get_timing_cache(), "give its timings", log)
        _write(timing, bytes(must(cache.serialize(), "write its timings down", log)))
    if order["halve"] is not None:
        onnx.unlink()


def _network_flags(trt: Any) -> int:
    """Types as the network has them, where this version has a flag for it."""
    flags = trt.NetworkDefinitionCreationFlag
    return 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0


def _add_profile(
    builder: Any, network: Any, config: Any, shapes: dict[str, list[list[int]]], log: Any
) -> None:
    profile = must(builder.create_optimization_profile(), "make a profile", log)
    dynamic = False
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        if tensor.name not in shapes:
            raise Refusal(f"the network has the input {tensor.name}, no shape was given for it")
        least, usual, most = (tuple(shape) for shape in shapes[tensor.name])
        if -1 in tuple(tensor.shape):
            dynamic = True
            # None is success here: what cannot be is refused by the next call
            profile.set_shape(tensor.name, least, usual, most)
    if dynamic and config.add_optimization_profile(profile) < 0:
        must(False, f"take the profile {shapes}", log)


def _monitor(trt: Any) -> Any:
    """Reports each phase of the build and its share done."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # known only at run time
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._steps[phase] = max(1, steps)
            _report(phase=phase, share=0.0)

        def step_complete(self, phase: str, step: int) -> bool:
            _report(phase=phase, share=min(1.0, (step + 1) / self._steps.get(phase, 1)))
            return True

        def phase_finish(self, phase: str) -> None:
            _report(phase=phase, share=1.0)

    return Monitor()


def _take_timing(config: Any, path: Path, log: Any) -> None:
    """Timings of earlier builds: the next one measures only what is new."""
    known = path.read_bytes() if path.is_file() else b""
    cache = must(config.create_timing_cache(known), "read its timings", log)
    must(config.set_timing_cache(cache, False), "take its timings", log)


def _mixed(onnx: Path, path: Path, order: dict[str, Any]) -> Path:
    """The network in mixed precision, after a check of its outputs on noise with ONNX Runtime."""
    try:
        from cvsf.engine.mixed_precision import in_mixed_precision
    except ImportError as error:
        raise Refusal(
            f"half precision needs {error.name}, which is not installed; run: pip install onnx"
        ) from error
    _report(phase="Converting", share=0.0)
    path.write_bytes(in_mixed_precision(onnx))
    before, after = (OnnxSession(place, []) for place in (onnx, path))
    random, limit = np.random.default_rng(0), LIMITS["fp16"].relative
    fed = {}
    low, high = order["halve"]
    for tensor in before.inputs:
        least, _, most = order["profile"][tensor.name]
        shape = (min(_PICTURES, most[0]), *least[1:])
        kind = np.uint8 if "uint8" in tensor.type else np.float32
        fed[tensor.name] = random.uniform(low, high, shape).astype(kind)
    for right, found in zip(before.run(fed), after.run(fed), strict=True):
        apart = float(np.linalg.norm(right - found) / max(float(np.linalg.norm(right)), 1e-9))
        if not apart <= limit:
            raise Refusal(f"half precision changes the network by {apart:.1e}, over {limit:.0e}")
    _report(phase="Converting", share=1.0)
    return path


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _report(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Build the plan of the only argument; exit 2 with a refusal where that fails."""
    os.nice(10)  # frames come first
    with contextlib.suppress(BrokenPipeError):  # the caller no longer waits for the plan
        try:
            build(json.loads(sys.argv[1]))
        except Refusal as refusal:
            _report(refusal=str(refusal))
            sys.exit(2)


if __name__ == "__main__":
    main()
