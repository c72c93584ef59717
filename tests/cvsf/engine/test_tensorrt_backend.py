"""TensorRT's part of the engines, against a stand-in: what is asked of it, and every way it fails.

The plans are built in real processes and really run, by ONNX Runtime behind TensorRT's names.
"""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cvsf.engine.engine import BUCKETS, SHIPPED, check_golden, choose, load_engine, open_tensorrt
from cvsf.engine.manifest import LIFTER, read_golden, read_manifest
from cvsf.system.errors import Refusal
from runtime.detection.bundle import SIMULATED, load_bundle
from runtime.detection.detector import Detector
from tests.support.plans import small

pytestmark = pytest.mark.usefixtures("faked")


def test_the_lifter_in_half_precision_gives_the_outputs_of_onnx_runtime(
    plans: Path, faked: ModuleType
) -> None:
    told: list[tuple[str, float]] = []
    engine = open_tensorrt(SHIPPED, plans, lambda phase, share: told.append((phase, share)))
    assert engine.backend == "tensorrt 11.4.0.106 fp16"
    assert told == [("Building", 0.0), ("Building", 0.5), ("Building", 1.0)]
    check_golden(engine, SHIPPED)
    right = load_engine()
    golden = read_golden(SHIPPED, right.manifest)
    assert golden is not None
    for count in (1, 3, BUCKETS[-1], BUCKETS[-1] + 3):
        rows = np.arange(count) % len(golden["confidence"])
        fed = {card.name: golden[card.name][rows] for card in right.manifest.inputs}
        known = right.lift_many(**fed)
        for name, array in engine.lift_many(**fed).items():
            assert array.shape == known[name].shape
            np.testing.assert_allclose(array, known[name], atol=4e-3 * np.abs(known[name]).max())
    assert faked.launched >= 6  # one graph launch a bucket's worth
    for views in range(1, 15):
        engine.warm(views)
    per_shape = 2 * (len(right.manifest.inputs) + len(right.manifest.outputs))
    assert len(faked.memory) == 12 * per_shape  # those used last
    engine.close()
    engine.close()
    assert not faked.memory
    with pytest.raises(Refusal, match="closed"):
        engine.warm(4)


def assert_refused(plans: Path, monkeypatch: pytest.MonkeyPatch, call: str, message: str) -> None:
    """Where this call of the runtime or of CUDA fails, a session is refused with that message."""
    from cvsf.engine.tensorrt_backend import TensorrtSession

    plan = small(plans)
    monkeypatch.setenv("FAKE_FAILS", call)
    with pytest.raises(Refusal, match=message):
        TensorrtSession(plan, ["heatmaps"], BUCKETS, "fp32").run(
            {"image": np.zeros((1, 3, 128, 128), np.float32)}
        )


@pytest.mark.parametrize(
    "call",
    [
        "Runtime", "deserialize_cuda_engine", "create_execution_context", "set_input_shape",
        "set_tensor_address", "execute_async_v3",
    ],
)  # fmt: skip
def test_a_failed_step_of_the_runtime_is_refused_with_its_error_and_frees_its_memory(
    plans: Path, monkeypatch: pytest.MonkeyPatch, faked: ModuleType, call: str
) -> None:
    assert_refused(plans, monkeypatch, call, f"Error Code 9: {call} did not want to")
    assert not faked.memory


@pytest.mark.parametrize(
    "call",
    [
        "cudaStreamCreateWithFlags", "cudaMalloc", "cudaMemcpyAsync", "cudaStreamBeginCapture",
        "cudaStreamEndCapture", "cudaGraphInstantiate", "cudaGraphLaunch", "cudaStreamSynchronize",
    ],
)  # fmt: skip
def test_a_failed_cuda_call_of_a_session_is_refused_with_the_drivers_error(
    plans: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    assert_refused(plans, monkeypatch, call, "CUDA failed to .*: unspecified launch failure")


def test_the_automatic_choice_takes_tensorrt_once_its_plan_is_built(plans: Path) -> None:
    assert choose("auto").backend == "tensorrt"
    assert choose("onnxruntime").backend == "onnxruntime"
    assert load_engine(None, kind="auto", plans=plans).backend == "onnxruntime cpu"
    assert load_engine(None, kind="tensorrt", plans=plans).backend.startswith("tensorrt ")
    assert load_engine(None, kind="auto", plans=plans).backend.startswith("tensorrt ")


def test_without_a_gpu_the_automatic_choice_gives_the_reason_and_tensorrt_is_refused(
    monkeypatch: pytest.MonkeyPatch, plans: Path
) -> None:
    monkeypatch.setenv("FAKE_GPU", "")
    choice = choose("auto")
    assert choice.backend == "onnxruntime"
    assert "CUDA finds no GPU" in choice.reason
    with pytest.raises(Refusal, match="no GPU"):
        load_engine(None, kind="tensorrt", plans=plans)


def test_an_engine_without_half_layers_runs_in_float32(plans: Path, tmp_path: Path) -> None:
    manifest = read_manifest(SHIPPED)
    old = manifest.model_copy(update={"sha256_fp16": None})
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / LIFTER).symlink_to(SHIPPED / LIFTER)
    (tmp_path / "old" / "golden.npz").symlink_to(SHIPPED / "golden.npz")
    old.write(tmp_path / "old")
    engine = open_tensorrt(tmp_path / "old", plans)
    assert engine.backend.endswith(" fp32")
    assert check_golden(engine, tmp_path / "old") < 1e-4


@pytest.mark.slow
def test_the_networks_of_an_open_detector_move_to_tensorrt(
    plans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = load_bundle(SIMULATED, tmp_path, True)
    detector = Detector(shipped, kind="auto", plans=plans)
    assert set(detector.backends.values()) == {"onnxruntime cpu"}
    detector.build_plans()
    assert set(detector.backends.values()) == {"tensorrt 11.4.0.106 fp16"}
    again = Detector(shipped, kind="auto", plans=plans)
    assert again.backends == detector.backends
    monkeypatch.setenv("FAKE_FAILS", "execute_async_v3")
    with pytest.raises(Refusal, match="execute_async_v3 did not want to") as refused:
        Detector(shipped, kind="tensorrt", plans=tmp_path / "none").build_plans()
    assert str(refused.value).count("did not want to") == 2  # each network was tried
