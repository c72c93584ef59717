"""The engine that serves is exchanged between two instants, or keeps serving."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from cvsf.client import skeletons
from cvsf.engine.engine import SHIPPED, Choice, Engine, Progress, load_engine
from cvsf.engine.manifest import LIFTER, MANIFEST
from cvsf.registry.registry import Registry, shipped_id
from cvsf.session.reader import read_manifest as read_session
from cvsf.system.errors import Refusal
from runtime.bench.fault_injection import SPOILT, put_live
from runtime.lifting.hot_swap import HotSwap
from tests.support.engines import tiny
from tests.support.product import CAPTURE, running, until


@pytest.fixture
def promote(registry: Registry, tmp_path: Path) -> Callable[[str], None]:
    def act(id: str) -> None:
        registry.add(tiny(tmp_path / "compiled" / id, id))
        registry.promote(id, "for a test")

    return act


@pytest.fixture
def serving(registry: Registry, promote: Callable[[str], None]) -> Iterator[HotSwap]:
    promote("good")
    found = HotSwap(registry.models, registry.models / "plans", views=4)
    found.start()
    yield found
    found.close()


def serves(serving: HotSwap, id: str) -> bool:
    """Whether it comes to that, instants going by."""

    def changed() -> bool:
        if before := serving.take(calm=True):
            serving.retire(before)
        return serving.engine.id == id

    return until(changed, 20)


def test_a_promoted_engine_serves_and_so_does_the_one_gone_back_to(
    registry: Registry, serving: HotSwap, promote: Callable[[str], None]
) -> None:
    assert serving.engine.id == "good"
    promote("better")
    assert serves(serving, "better")
    registry.roll_back("after all")
    assert serves(serving, "good")
    assert serving.stats().to_map()["engine_swaps"] == 2
    assert serving.stats().to_map()["engine_trouble"] is None


def test_the_engine_stays_until_the_promoted_one_is_taken(
    serving: HotSwap, promote: Callable[[str], None]
) -> None:
    promote("better")
    assert until(lambda: serving._ready is not None, 20)
    assert serving.engine.id == "good"
    assert serves(serving, "better")


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_engine_is_refused_once_and_the_old_one_serves(
    registry: Registry,
    serving: HotSwap,
    tmp_path: Path,
    case: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoilt = registry.add(tiny(tmp_path / "spoilt", "spoilt"))
    SPOILT[case](spoilt)
    for _ in range(2):
        put_live(registry.models, "spoilt")
        assert until(lambda: serving.trouble is not None, 20)
        assert serving.take(calm=True) is None
        assert serving.engine.id == "good"
        put_live(registry.models, "good")
        assert until(lambda: serving.trouble is None, 20)
    refusals = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(refusals) == 1
    shutil.rmtree(spoilt)
    promoted = registry.add(tiny(tmp_path / "mended", "spoilt"))
    put_live(registry.models, promoted.name)
    assert serves(serving, "spoilt")


def test_an_engine_for_too_few_views_is_refused(
    registry: Registry, serving: HotSwap, tmp_path: Path
) -> None:
    narrow = tiny(tmp_path / "narrow", "narrow")
    card = json.loads((narrow / MANIFEST).read_text())
    (narrow / MANIFEST).write_text(json.dumps(card | {"max_views": 3}))
    golden = registry.add(narrow)
    put_live(registry.models, golden.name)
    assert until(lambda: serving.trouble is not None, 20)
    assert serving.engine.id == "good"


@pytest.mark.parametrize("harm", ["damaged", "gone", "no link"])
def test_a_hub_whose_live_engine_is_broken_starts_with_the_one_before(
    registry: Registry, promote: Callable[[str], None], harm: str
) -> None:
    promote("first")
    promote("second")
    if harm == "damaged":
        (registry.models / "second" / LIFTER).write_bytes(b"not a network")
    else:
        shutil.rmtree(registry.models / "second")
    if harm == "no link":
        (registry.models / "live").unlink()
        (registry.models / "live").mkdir()
    serving = HotSwap(registry.models, registry.models / "plans")
    assert serving.engine.id == (shipped_id() if harm == "no link" else "first")
    assert serving.trouble


def test_a_hub_without_any_good_engine_serves_the_shipped_one(
    registry: Registry, promote: Callable[[str], None]
) -> None:
    promote("only")
    for folder in ("only", shipped_id()):
        (registry.models / folder / LIFTER).write_bytes(b"not a network")
    serving = HotSwap(registry.models, registry.models / "plans")
    assert serving.engine.id == shipped_id()
    serving.engine.warm(2)
    assert serving.trouble


def test_tensorrt_is_refused_where_it_cannot_run(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="TensorRT"):
        HotSwap(tmp_path / "models", tmp_path / "plans", "tensorrt")


def test_a_running_hub_takes_a_promoted_engine_and_loses_no_instant_of_its_order(
    tmp_path: Path, ports: list[str]
) -> None:
    words = ["--cams", "2", "--source", "sim", "--size", "160x120", "--fps", "10", "--headless"]
    registry = Registry(tmp_path / "models")
    registry.add(tiny(tmp_path / "compiled", "fresh"))
    with running([*CAPTURE, *words, "--record", "poses", "--data", str(tmp_path), *ports]) as run:
        seen = skeletons("127.0.0.1", int(ports[3]), newest=False, timeout_s=60)
        instants = [next(seen)]
        assert instants[0].engine == shipped_id()
        for id in ("fresh", shipped_id(), "fresh"):
            registry.promote(id, "for a test")
            while instants[-1].engine != id:
                instants.append(next(seen))
        put_live(registry.models, "nobody")
        assert until(lambda: bool(run.lines[-1]["engine_trouble"]), 20)
        assert next(seen).engine == "fresh"
        run.ask_to_end()
        assert run.process.returncode == 0, run.said
    assert all(a.t_ns < b.t_ns for a, b in pairwise(instants))
    final = run.lines[-1]
    assert (final["engine"], final["engine_swaps"]) == ("fresh", 3)
    assert read_session(Path(final["session"])).engines == sorted(["fresh", shipped_id()])
    assert (SHIPPED / LIFTER).exists()


@pytest.fixture
def planning(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders a plan was asked for, on a machine that can build none: a stand-in serves."""
    asked: list[Path] = []

    def build(folder: Path, plans: Path, told: Progress) -> Engine:
        asked.append(folder)
        told("building", 0.5)
        if folder.name == "unbuildable":
            raise Refusal("TensorRT: Unsupported SM: 0x900")
        return load_engine(folder)

    monkeypatch.setattr(
        "runtime.lifting.hot_swap.choose", lambda kind: Choice("tensorrt", "for a test")
    )
    monkeypatch.setattr("runtime.lifting.hot_swap.open_tensorrt", build)
    return asked


def test_the_plan_takes_over_from_onnx_runtime_and_one_that_fails_changes_nothing(
    registry: Registry,
    planning: list[Path],
    promote: Callable[[str], None],
    serving: HotSwap,
) -> None:
    first = serving.engine
    assert until(lambda: serving.take(calm=True) is first, 20)
    assert serving.engine.id == "good"
    assert [folder.name for folder in planning] == ["good"]
    promote("unbuildable")
    assert serves(serving, "unbuildable")
    assert until(lambda: "Unsupported SM" in (serving.trouble or ""), 20)
    assert serving.stats().to_map()["engine_plan"] is None
    serving.engine.warm(2)
