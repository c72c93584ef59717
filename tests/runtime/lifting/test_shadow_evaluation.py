"""A lifter that does worse than the one before it, on the same instants, is rolled back."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cvsf.hub_config import HubConfig
from cvsf.registry.registry import Registry, shipped_id
from runtime.lifting.hot_swap import HotSwap
from runtime.lifting.shadow_evaluation import QUALITY, ShadowEvaluation
from tests.support.engines import tiny
from tests.support.material import random_pose
from tests.support.product import until

FAST = HubConfig(drift_hz=500, drift_window_s=0.08)  # 40 instants


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "models")
    spreads = {"good": 0.2, "bad": 0.9, "better": 0.1}
    for day, (id, spread) in enumerate(spreads.items(), 24):
        created = f"2026-11-{day}T02:00:00+00:00"
        registry.add(tiny(tmp_path / id, id, spread=spread, created=created))
    registry.promote("good", "for a test")
    return registry


class Hub:
    """Instants for a drift, as the hub's main thread gives them."""

    def __init__(self, registry: Registry, config: HubConfig) -> None:
        self.hot_swap = HotSwap(registry.models, registry.models / "plans")
        self.shadow = ShadowEvaluation(self.hot_swap, config)
        self.random = np.random.default_rng(1)
        self.hot_swap.start()
        self.shadow.start()

    def instant(self) -> None:
        if before := self.hot_swap.take(calm=True):
            self.shadow.engine_swapped(before)
        pose = random_pose(self.random)
        self.shadow.add(pose, self.hot_swap.engine.lift(pose))
        time.sleep(0.002)

    def until(self, happened: Callable[[], bool]) -> bool:
        def goes_on() -> bool:
            for _ in range(20):
                self.instant()
            return happened()

        return until(goes_on, 30)

    @property
    def quality(self) -> dict[str, object]:
        found: dict[str, object] = self.shadow.stats().to_map()["quality"]
        return found

    def close(self) -> None:
        self.hot_swap.close()
        self.shadow.close()


@pytest.fixture
def hub(registry: Registry) -> Iterator[Hub]:
    found = Hub(registry, FAST)
    yield found
    found.close()


def test_a_bad_engine_is_rolled_back_once_and_stays_when_promoted_again_by_hand(
    registry: Registry, hub: Hub
) -> None:
    registry.promote("bad", "the night was wrong")
    assert hub.until(lambda: registry.history()[-1].rolled_back)
    last = registry.history()[-1]
    assert (last.before, last.engine) == ("bad", "good")
    assert "agreement" in last.why
    assert hub.until(lambda: hub.hot_swap.engine.id == "good")
    assert hub.until(lambda: hub.quality["engine"] == "good")
    told = hub.quality["rolled_back"]
    assert isinstance(told, dict)
    assert (told["from"], told["to"]) == ("bad", "good")
    registry.promote("bad", "by hand, all the same")
    assert hub.until(lambda: hub.quality["engine"] == "bad" and hub.quality["instants"] == 40)
    for _ in range(60):
        hub.instant()
    assert registry.live_id() == "bad"


def test_a_better_engine_stays_and_its_quality_is_written_to_a_file(
    registry: Registry, hub: Hub
) -> None:
    registry.promote("better", "the night was right")
    assert hub.until(lambda: hub.quality.get("engine") == "better" and hub.shadow._window.is_full)
    assert until(lambda: hub.quality["before"] is not None)
    before = hub.quality["before"]
    assert isinstance(before, dict)
    assert before["engine"] == "good"
    assert float(str(hub.quality["agreement"])) < before["agreement"]
    hub.shadow.close()
    hub.shadow._note_minute()
    assert registry.live_id() == "better"
    lines = (registry.models / QUALITY).read_text().splitlines()
    engines = [json.loads(line)["engine"] for line in lines]
    assert engines[-1] == "better"


def test_a_worse_engine_is_only_reported_where_that_is_wanted(registry: Registry) -> None:
    registry.promote("bad", "the night was wrong")
    hub = Hub(registry, FAST.model_copy(update={"roll_back": False}))
    try:
        assert hub.until(lambda: hub.quality.get("instants") == 40)
        for _ in range(40):
            hub.instant()
        assert registry.live_id() == "bad"
        before = hub.quality["before"]
        assert isinstance(before, dict)
        assert (hub.quality["engine"], before["engine"]) == ("bad", "good")
        assert float(str(hub.quality["agreement"])) > before["agreement"]
        assert hub.quality["rolled_back"] is None
    finally:
        hub.close()


def test_an_older_engine_promoted_by_hand_is_not_taken_back_to_a_newer_one(
    registry: Registry, hub: Hub
) -> None:
    registry.promote("better", "the night was right")
    assert hub.until(lambda: hub.quality.get("engine") == "better")
    registry.promote("good", "a person thinks otherwise")
    assert hub.until(lambda: hub.quality == hub.quality | {"engine": "good", "instants": 40})
    for _ in range(40):
        hub.instant()
    assert hub.quality["before"] is None
    assert registry.live_id() == "good"


def test_without_an_engine_before_it_quality_is_published_all_the_same(tmp_path: Path) -> None:
    hub = Hub(Registry(tmp_path / "models"), FAST)
    try:
        assert hub.until(lambda: hub.quality.get("instants") == 40)
        assert hub.quality["engine"] == shipped_id()
        assert hub.quality["before"] is None
        assert hub.quality["bones"] is not None
    finally:
        hub.close()
