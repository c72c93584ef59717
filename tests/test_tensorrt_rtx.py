"""TensorRT for real, as far as it goes without a GPU: it reads and builds what is shipped.

It needs the extra `rtx`; `.ci/tensorrt` installs that and runs this file.
"""

import importlib.util
import json
from pathlib import Path

import pytest

from cvsf import engine
from cvsf.engine import SHIPPED
from cvsf.manifest import Precision, read_manifest, verified_file
from cvsf.plans import CARD, Plans
from cvsf.refusal import Refusal
from cvsf.tensorrt_api import MODULES, listener, must, tensorrt_module, version
from runtime import bundle
from runtime.bundle import SIMULATED
from runtime.network import Network

if not any(importlib.util.find_spec(name) for name in MODULES):
    pytest.skip(
        "neither tensorrt nor tensorrt-rtx is installed; .ci/tensorrt does", allow_module_level=True
    )

FOLDER = bundle.SHIPPED / SIMULATED


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_shipped_lifter_becomes_a_plan(tmp_path: Path, precision: Precision) -> None:
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
def test_the_networks_of_the_simulated_skier_become_plans(
    tmp_path: Path, role: str, precision: Precision
) -> None:
    card = bundle.read_manifest(FOLDER / bundle.MANIFEST).networks[role]
    profile, halve = Network(card, FOLDER / card.file)._shapes()
    half = halve if precision == "fp16" else None
    plan = Plans(tmp_path).plan(FOLDER / card.file, precision, profile, halve=half)
    assert plan.stat().st_size > 100 << 10
    assert [path.name for path in sorted(plan.parent.iterdir())] == ["plan", CARD]


def test_what_it_cannot_read_is_refused_with_its_own_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network at all")
    with pytest.raises(Refusal, match=r"TensorRT cannot read the network: .+"):
        Plans(tmp_path / "plans").plan(broken, "fp32", {})


def test_bytes_that_are_no_plan_are_refused_with_its_own_words() -> None:
    """It answers with None, whether for the bytes or for want of a GPU."""
    trt, _ = tensorrt_module()
    log = listener(trt)
    runtime = must(trt.Runtime(log), "start its runtime", log)
    with pytest.raises(Refusal, match=r"failed to load a plan: .*[Ee]rror"):
        must(runtime.deserialize_cuda_engine(b"no plan at all"), "load a plan", log)
