"""The folder of TensorRT plans: what is built, kept, built again and refused."""

import json
import os
import sys
from pathlib import Path

import pytest

from cvsf.engine.plan_cache import CARD, PLAN, TIMING, Plans, plan_facts, verified_plan
from cvsf.system.errors import Refusal
from tests.support.plans import FAKES, NETWORK, PICTURES, built, small

pytestmark = pytest.mark.usefixtures("faked")


def test_a_plan_is_built_with_the_types_of_its_network_and_without_tf32(
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


def test_a_plan_is_built_once_and_again_for_another_gpu_shape_or_precision(
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
    Plans(plans).plan(NETWORK, "fp16", PICTURES, half_range=(0.0, 1.0))
    assert len(built(plans)) == 4
    card = json.loads((first.parent / CARD).read_text())
    assert card["backend"] == "tensorrt 11.4.0.106"
    assert card["gpu"] == "NVIDIA Fake sm_90"


def test_the_plans_used_last_are_kept_and_unfinished_ones_are_removed(plans: Path) -> None:
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
def test_a_plan_changed_on_disk_is_built_again(plans: Path, damaged: str) -> None:
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
def test_a_failed_step_of_the_builder_is_refused_with_its_error_and_leaves_no_file(
    plans: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setenv("FAKE_FAILS", call)
    with pytest.raises(Refusal, match=f"Error Code 9: {call} did not want to") as refused:
        small(plans)
    assert "only a warning" not in str(refused.value)
    assert not built(plans)
    assert not list(plans.glob(".part-*"))


def test_a_network_that_tensorrt_cannot_read_is_refused_with_the_node(
    plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILS", "parse_from_file")
    with pytest.raises(Refusal, match="cannot read the network: node 7 is of no kind"):
        small(plans)


def test_a_builder_process_that_dies_is_refused_with_its_exit_code(
    plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKES / "nowhere"))
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Refusal, match="its builder ended with 1"):
        small(plans)


def test_a_build_interrupted_by_its_progress_callback_leaves_no_plan(plans: Path) -> None:
    def enough(phase: str, share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Plans(plans).plan(NETWORK, "fp32", PICTURES, enough)
    assert not built(plans)


def test_a_folder_without_a_plan_or_with_another_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"holds no plan .*; remove it to build it again"):
        verified_plan(tmp_path)
    (tmp_path / PLAN).write_bytes(b"a plan")
    (tmp_path / CARD).write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(Refusal, match="expected that of the plan that was built"):
        verified_plan(tmp_path)


def test_the_facts_of_a_plan_name_the_network_the_gpu_and_the_shapes() -> None:
    facts = plan_facts(NETWORK, "fp16", PICTURES, half_range=(0.0, 1.0))
    assert facts["gpu"] == "NVIDIA Fake sm_90"
    assert facts["backend"] == "tensorrt 11.4.0.106"
    assert facts["halve"] == [0.0, 1.0]
    assert facts["profile"] == json.loads(json.dumps(PICTURES))
    assert facts != plan_facts(NETWORK, "fp16", PICTURES)
