"""`python -m cvsf.engine.plan_builder OPTIONS`: builds the TensorRT plan of an ONNX network.

A separate process: it frees the memory of TensorRT's builder when it ends, and a crash of the
builder does not end the hub. It writes JSON lines: each phase with its share done, or the refusal.
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
from cvsf.engine.tensorrt_api import constructed, error_logger, require_result, tensorrt_module
from cvsf.system.errors import Refusal

_PICTURES = 4  # with which a network in mixed precision is checked; a guess, not measured


def build(options: dict[str, Any]) -> None:
    """Build the TensorRT plan of the network `onnx` and write it to the path `plan`; blocks for
    seconds to minutes. Progress goes to standard output as JSON lines, the timing cache to
    `timing`. With `halve` the network is put in mixed precision first. Refusal if conversion,
    parsing or building fails.
    """
    onnx = Path(options["onnx"])
    if options["halve"] is not None:
        onnx = _mixed(onnx, Path(options["plan"]).with_name("mixed.onnx"), options)
    trt, name = tensorrt_module()
    log = error_logger(trt)
    builder = constructed(lambda: trt.Builder(log), "start its builder", log)
    network = require_result(builder.create_network(_network_flags(trt)), "create a network", log)
    parser = constructed(lambda: trt.OnnxParser(network, log), "create its parser", log)
    if not parser.parse_from_file(str(onnx)):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)] or log.messages
        raise Refusal(f"TensorRT cannot read the network: {' / '.join(errors)}")
    config = require_result(builder.create_builder_config(), "create a configuration", log)
    # TF32 has a third of the digits of float32
    config.clear_flag(trt.BuilderFlag.TF32)
    _add_profile(builder, network, config, options["profile"], log)
    if hasattr(trt, "IProgressMonitor"):
        config.progress_monitor = _monitor(trt)
    timing = Path(options["timing"])
    if name == "tensorrt":  # for tensorrt_rtx a timing cache needs a GPU and has no effect
        _use_timing_cache(config, timing, log)
    plan = require_result(builder.build_serialized_network(network, config), "build the plan", log)
    _write(Path(options["plan"]), bytes(plan))
    if name == "tensorrt":
        cache = require_result(config.get_timing_cache(), "return its timing cache", log)
        _write(timing, bytes(require_result(cache.serialize(), "serialize its timing cache", log)))
    if options["halve"] is not None:
        onnx.unlink()


def _network_flags(trt: Any) -> int:
    """Strong typing, where this version of TensorRT has a flag for it."""
    flags = trt.NetworkDefinitionCreationFlag
    return 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0


def _add_profile(
    builder: Any, network: Any, config: Any, shapes: dict[str, list[list[int]]], log: Any
) -> None:
    profile = require_result(builder.create_optimization_profile(), "create a profile", log)
    dynamic = False
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        if tensor.name not in shapes:
            raise Refusal(
                f"the network has the input {tensor.name}, expected one with a given shape"
            )
        least, usual, most = (tuple(shape) for shape in shapes[tensor.name])
        if -1 in tuple(tensor.shape):
            dynamic = True
            # it returns None also on success; the next call fails for an impossible profile
            profile.set_shape(tensor.name, least, usual, most)
    if dynamic and config.add_optimization_profile(profile) < 0:
        require_result(False, f"use the profile {shapes}", log)


def _monitor(trt: Any) -> Any:
    """A progress monitor that reports each phase of the build and its share done."""

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


def _use_timing_cache(config: Any, path: Path, log: Any) -> None:
    """Use the timing cache of earlier builds, so that only new kernels are timed."""
    known = path.read_bytes() if path.is_file() else b""
    cache = require_result(config.create_timing_cache(known), "read its timing cache", log)
    require_result(config.set_timing_cache(cache, False), "use its timing cache", log)


def _mixed(onnx: Path, path: Path, options: dict[str, Any]) -> Path:
    """The network in mixed precision, its outputs on noise checked with ONNX Runtime."""
    try:
        from cvsf.engine.mixed_precision import in_mixed_precision
    except ImportError as error:
        raise Refusal(
            f"half precision needs {error.name}, which is not installed; run: pip install onnx"
        ) from error
    _report(phase="Converting", share=0.0)
    path.write_bytes(in_mixed_precision(onnx))
    before, after = (OnnxSession(file, []) for file in (onnx, path))
    random, limit = np.random.default_rng(0), LIMITS["fp16"].relative
    fed = {}
    low, high = options["halve"]
    for tensor in before.inputs:
        least, _, most = options["profile"][tensor.name]
        shape = (min(_PICTURES, most[0]), *least[1:])
        kind = np.uint8 if "uint8" in tensor.type else np.float32
        fed[tensor.name] = random.uniform(low, high, shape).astype(kind)
    for expected, found in zip(before.run(fed), after.run(fed), strict=True):
        difference = float(
            np.linalg.norm(expected - found) / max(float(np.linalg.norm(expected)), 1e-9)
        )
        if not difference <= limit:
            raise Refusal(
                f"half precision changes the network by {difference:.1e}, expected {limit:.0e}"
            )
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
    """Build the plan that the only argument, a JSON map, describes, with low priority. A Refusal is
    written to standard output as JSON, with exit 2. If the caller no longer reads, it ends without
    error.
    """
    os.nice(10)  # the hub has precedence
    with contextlib.suppress(BrokenPipeError):  # the caller no longer waits for the plan
        try:
            build(json.loads(sys.argv[1]))
        except Refusal as refusal:
            _report(refusal=str(refusal))
            sys.exit(2)


if __name__ == "__main__":
    main()
