"""TensorRT's part of the engines, against a stand-in: what is asked of it, and every way it fails.

The plans are built in real processes and really run, by ONNX Runtime behind TensorRT's names.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import cvsf
import cvsf.engine.tensorrt_api
from cvsf.engine.engine import BUCKETS, SHIPPED, check_golden, choose, load_engine, open_tensorrt
from cvsf.engine.manifest import LIFTER, read_golden, read_manifest
from cvsf.engine.plan_cache import CARD, PLAN, TIMING, Plans
from cvsf.system.errors import Refusal
from runtime.detection import bundle
from runtime.detection.bundle import SIMULATED, load_bundle
from runtime.detection.detector import Detector
from tests.support.paths import ROOT

FAKES = ROOT / "tests" / "support" / "fakes"
FAKED = (
    "tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime", "cvsf.engine.cuda",
    "cvsf.engine.tensorrt_backend",
)  # fmt: skip
NETWORK = bundle.SHIPPED / SIMULATED / "pose.onnx"
PICTURES = {"image": ((1, 3, 128, 128), (4, 3, 128, 128), (16, 3, 128, 128))}


@pytest.fixture(autouse=True)
def faked(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The stand-ins in place of both modules, here and in the builder's process."""
    monkeypatch.syspath_prepend(str(FAKES))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), str(ROOT)]))
    _forget()
    yield importlib.import_module("cuda.bindings.runtime")
    _forget()


def _forget() -> None:
    """So that the next to import them imports them anew."""
    for name in FAKED:
        sys.modules.pop(name, None)
        vars(cvsf).pop(name.removeprefix("cvsf."), None)
    cvsf.engine.tensorrt_api.unavailable.cache_clear()


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    return tmp_path / "plans"


def built(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/{PLAN}"))


def small(plans: Path) -> Path:
    """A plan that is quickly built."""
    return Plans(plans).plan(NETWORK, "fp32", PICTURES)


def test_the_lifter_runs_in_half_precision_and_says_what_it_should(
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


def test_a_plan_is_typed_as_its_network_and_tf32_is_off(
    plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, untyped, wanted in (("11.4", "", 2), ("10.16.1.11", "", 2), ("12.0", "1", 0)):
        monkeypatch.setenv("FAKE_TENSORRT", version)
        monkeypatch.setenv("FAKE_UNTYPED", untyped)
        sys.modules.pop("tensorrt", None)
        card = json.loads(small(plans).read_bytes().partition(b"\n")[0])
        assert card["flags"] == []  # neither TF32 nor any of the flags that 11 has no more
        assert card["network_flags"] == wanted
        assert card["profile"] == [json.loads(json.dumps(PICTURES))]
    assert len(built(plans)) == 3
    Plans(plans).plan(NETWORK, "fp16", PICTURES)
    learned = sorted(path.read_bytes() for path in plans.glob(TIMING))
    assert learned == [b"+", b"+", b"++"]  # from builds by the same version alone


def test_a_plan_is_built_once_and_again_when_anything_it_hangs_on_differs(
    plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = small(plans)
    stamp = first.stat().st_mtime_ns
    assert small(plans) == first
    assert first.stat().st_mtime_ns == stamp
    monkeypatch.setenv("FAKE_GPU", "NVIDIA Other")
    assert small(plans) != first
    other = dict(PICTURES, image=((1, 3, 128, 128), (1, 3, 128, 128), (2, 3, 128, 128)))
    assert not Plans(plans).is_ready(NETWORK, "fp32", other)
    Plans(plans).plan(NETWORK, "fp32", other)
    Plans(plans).plan(NETWORK, "fp16", PICTURES, halve=(0.0, 1.0))
    assert len(built(plans)) == 4
    card = json.loads((first.parent / CARD).read_text())
    assert card["backend"] == "tensorrt 11.4.0.106"
    assert card["gpu"] == "NVIDIA Fake sm_90"


def test_the_plans_used_last_are_kept_and_what_was_killed_is_cleared(plans: Path) -> None:
    places = [plans / f"old-{i}" for i in range(14)]
    for age, place in enumerate([*places, plans / ".part-killed"]):
        place.mkdir(parents=True)
        (place / CARD).write_text("{}")
        os.utime(place, (1e9 - age, 1e9 - age))
    new = small(plans).parent
    left = {path.parent for path in plans.glob(f"*/{CARD}")}
    assert left == {new, *places[:11]}
    assert not (plans / ".part-killed").exists()


@pytest.mark.parametrize("damaged", [PLAN, CARD])
def test_a_changed_plan_is_never_run_but_built_again(plans: Path, damaged: str) -> None:
    first = small(plans)
    whole = first.read_bytes()
    (first.parent / damaged).write_bytes(b"something else")
    assert not Plans(plans).is_ready(NETWORK, "fp32", PICTURES)
    assert small(plans).read_bytes() == whole


@pytest.mark.parametrize(
    "call",
    [
        "Builder", "create_network", "create_builder_config", "create_optimization_profile",
        "build_serialized_network", "add_optimization_profile", "create_timing_cache",
        "set_timing_cache",
    ],
)  # fmt: skip
def test_every_none_of_the_builder_is_refused_with_its_words_and_leaves_nothing(
    plans: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setenv("FAKE_FAILS", call)
    with pytest.raises(Refusal, match=f"Error Code 9: {call} did not want to") as refused:
        small(plans)
    assert "only a warning" not in str(refused.value)
    assert not built(plans)
    assert not list(plans.glob(".part-*"))


def test_a_network_it_cannot_read_is_refused_with_the_node(
    plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILS", "parse_from_file")
    with pytest.raises(Refusal, match="cannot read the network: node 7 is of no kind"):
        small(plans)


@pytest.mark.parametrize(
    "call",
    [
        "Runtime", "deserialize_cuda_engine", "create_execution_context", "set_input_shape",
        "set_tensor_address", "execute_async_v3",
    ],
)  # fmt: skip
def test_every_none_of_the_runtime_is_refused_with_its_words_and_takes_no_memory(
    plans: Path, monkeypatch: pytest.MonkeyPatch, faked: ModuleType, call: str
) -> None:
    from cvsf.engine.tensorrt_backend import TensorrtSession

    plan = small(plans)
    monkeypatch.setenv("FAKE_FAILS", call)
    with pytest.raises(Refusal, match=f"Error Code 9: {call} did not want to"):
        TensorrtSession(plan, ["heatmaps"], BUCKETS, "fp32").run(
            {"image": np.zeros((1, 3, 128, 128), np.float32)}
        )
    assert not faked.memory


@pytest.mark.parametrize(
    "call",
    [
        "cudaStreamCreateWithFlags", "cudaMalloc", "cudaMemcpyAsync", "cudaStreamBeginCapture",
        "cudaStreamEndCapture", "cudaGraphInstantiate", "cudaGraphLaunch", "cudaStreamSynchronize",
    ],
)  # fmt: skip
def test_every_error_of_cuda_is_refused_with_its_words(
    plans: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    from cvsf.engine.tensorrt_backend import TensorrtSession

    plan = small(plans)
    monkeypatch.setenv("FAKE_FAILS", call)
    with pytest.raises(Refusal, match=r"CUDA failed to .*: unspecified launch failure"):
        TensorrtSession(plan, ["heatmaps"], BUCKETS, "fp32").run(
            {"image": np.zeros((1, 3, 128, 128), np.float32)}
        )


def test_a_builder_that_dies_is_named_with_its_last_words(
    plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKES / "nowhere"))
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Refusal, match="its builder ended with 1"):
        small(plans)


def test_whoever_is_told_may_end_the_build(plans: Path) -> None:
    def enough(phase: str, share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Plans(plans).plan(NETWORK, "fp32", PICTURES, enough)
    assert not built(plans)


def test_auto_takes_tensorrt_once_its_plan_is_there(plans: Path) -> None:
    assert choose("auto").backend == "tensorrt"
    assert choose("onnxruntime").backend == "onnxruntime"
    assert load_engine(None, kind="auto", plans=plans).backend == "onnxruntime cpu"
    assert load_engine(None, kind="tensorrt", plans=plans).backend.startswith("tensorrt ")
    assert load_engine(None, kind="auto", plans=plans).backend.startswith("tensorrt ")


def test_without_a_gpu_auto_says_why_and_tensorrt_is_refused(
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


def test_a_bundles_networks_go_over_while_the_detector_works(
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
