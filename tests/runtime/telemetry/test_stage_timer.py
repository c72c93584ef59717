"""Milliseconds by stage: added up in an instant, read as percentiles over instants."""

import pytest

from runtime.stats import Percentiles
from runtime.telemetry.stage_timer import StageTimer


def test_a_stage_entered_twice_in_an_instant_adds_up() -> None:
    stages = StageTimer()
    stages.add("detect", 4.0)
    stages.add("detect", 6.0)
    stages.add("lift", 1.0)
    assert stages.last == {}
    stages.end_instant()
    assert stages.last == {"detect": 10.0, "lift": 1.0}


def test_percentiles_are_of_the_instants_that_had_the_stage() -> None:
    stages = StageTimer()
    for ms in range(101):
        stages.add("detect", float(ms))
        if ms == 7:
            stages.add("lift", 3.0)
        stages.end_instant()
    assert stages.percentiles() == {
        "detect": Percentiles(p50=50.0, p95=95.0),
        "lift": Percentiles(p50=3.0, p95=3.0),
    }


def test_a_stage_that_fails_is_timed_all_the_same() -> None:
    stages = StageTimer()
    with pytest.raises(ValueError, match="no picture"), stages("decode"):
        raise ValueError("no picture")
    stages.end_instant()
    assert list(stages.last) == ["decode"]
    assert stages.last["decode"] >= 0
