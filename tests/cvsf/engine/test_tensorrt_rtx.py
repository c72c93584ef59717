"""TensorRT for real, as far as it goes without a GPU: it reads and builds what is shipped.

It needs the extra `rtx`; `.ci/tensorrt` installs that and runs this file.
"""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from cvsf.engine import engine
from cvsf.engine.engine import SHIPPED
from cvsf.engine.manifest import Precision, read_manifest, verified_file
from cvsf.engine.plan_cache import CARD, Plans
from cvsf.engine.tensorrt_api import (
    MODULES,
    error_logger,
    require_result,
    tensorrt_module,
    unavailable,
    version,
)
from cvsf.system.errors import Refusal
from runtime.detection import bundle
from runtime.detection.bundle import SIMULATED
from runtime.detection.network import Network

if not any(importlib.util.find_spec(name) for name in MODULES):
    pytest.skip(
        "neither tensorrt nor tensorrt-rtx is installed; .ci/tensorrt does", allow_module_level=True
    )

USED = {
    "Builder": "create_network create_builder_config create_optimization_profile "
    "build_serialized_network",
    "IBuilderConfig": "clear_flag add_optimization_profile progress_monitor create_timing_cache "
    "set_timing_cache get_timing_cache",
    "IOptimizationProfile": "set_shape",
    "INetworkDefinition": "num_inputs get_input",
    "OnnxParser": "parse_from_file num_errors get_error",
    "ParserError": "desc",
    "ITimingCache": "serialize",
    "IProgressMonitor": "phase_start step_complete phase_finish",
    "Runtime": "deserialize_cuda_engine",
    "ICudaEngine": "num_io_tensors get_tensor_name get_tensor_dtype create_execution_context",
    "IExecutionContext": "set_input_shape get_tensor_shape set_tensor_address execute_async_v3",
}
FOLDER = bundle.SHIPPED / SIMULATED


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_shipped_lifter_is_built_as_a_plan(tmp_path: Path, precision: Precision) -> None:
    manifest = read_manifest(SHIPPED)
    onnx = verified_file(SHIPPED, manifest, precision)
    phases: dict[str, float] = {}
    plan = Plans(tmp_path).plan(onnx, precision, engine._profile(manifest), phases.__setitem__)
    card = json.loads((plan.parent / CARD).read_text())
    assert card["backend"] == version()
    assert plan.stat().st_size == card["bytes"] > 3 << 20
    assert phases
    assert set(phases.values()) == {1.0}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("role", ["detector", "pose"])
def test_the_networks_of_the_simulated_skier_are_built_as_plans(
    tmp_path: Path, role: str, precision: Precision
) -> None:
    card = bundle.read_manifest(FOLDER / bundle.MANIFEST).networks[role]
    profile, halve = Network(card, FOLDER / card.file)._shapes()
    half = halve if precision == "fp16" else None
    plan = Plans(tmp_path).plan(FOLDER / card.file, precision, profile, half_range=half)
    assert plan.stat().st_size > 100 << 10
    assert [path.name for path in sorted(plan.parent.iterdir())] == ["plan", CARD]


def test_a_file_that_tensorrt_cannot_read_is_refused_with_its_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network at all")
    with pytest.raises(Refusal, match=r"TensorRT cannot read the network: .+"):
        Plans(tmp_path / "plans").plan(broken, "fp32", {})


def test_bytes_that_are_no_plan_are_refused_with_the_error_of_tensorrt() -> None:
    """It answers with None, whether for the bytes or for want of a GPU."""
    trt, _ = tensorrt_module()
    log = error_logger(trt)
    runtime = require_result(trt.Runtime(log), "start its runtime", log)
    with pytest.raises(Refusal, match=r"failed to load a plan: .*[Ee]rror"):
        require_result(runtime.deserialize_cuda_engine(b"no plan at all"), "load a plan", log)


def test_tensorrt_has_every_name_that_is_used() -> None:
    trt, _ = tensorrt_module()
    lost = [f"{of}.{n}" for of, all_ in USED.items() for n in all_.split() if not _has(trt, of, n)]
    assert not lost
    assert hasattr(trt.BuilderFlag, "TF32")


def _has(module: object, of: str, name: str) -> bool:
    return hasattr(getattr(module, of, None), name)


def test_cuda_has_every_name_that_is_used() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    used = set(re.findall(r"cudart\.(\w+)", Path(engine.__file__).with_name("cuda.py").read_text()))
    assert len(used) > 15
    assert not [name for name in used if not hasattr(runtime, name)]


def test_a_machine_without_a_gpu_is_refused_in_one_sentence() -> None:
    why = unavailable()
    if why is None:
        pytest.skip("there is a GPU")
    assert "CUDA" in why
    with pytest.raises(Refusal, match=r"TensorRT cannot run here: .*CUDA"):
        engine.choose("tensorrt")
