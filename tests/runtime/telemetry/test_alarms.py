"""What needs a person, in one sentence each, the worst first."""

from typing import Any

import pytest

from runtime.stats import Stats
from runtime.telemetry.alarms import alarms
from tests.support.hub_stats import ALARMED


def of(**stats: Any) -> list[str]:
    return alarms(Stats.model_validate(stats))


def test_everything_at_once_is_named_with_the_worst_first() -> None:
    first_words = [alarm.partition(":")[0] for alarm in of(**ALARMED)]
    assert first_words == [
        "engine refused", "engine rolled back from lifter-2026-11-24-a1b2c3d4e5f6", "camera moved",
        "camera lost", "disk full", "not recording", "clock uncertain",
    ]  # fmt: skip


def test_a_full_disk_is_reported_with_its_cure_and_a_pause_is_no_alarm() -> None:
    full = {"recording_halted": {"space": "disk full"}, "disk_free_gb": 3.21}
    assert of(**full, disk_kept_free_gb=5.0) == [
        "disk full: 3.2 GB free, 5 GB kept free; make room: recording goes on by itself above 6 GB"
    ]
    halted = {"disk": "disk error ENOSPC"}
    assert of(recording_halted=halted, disk_free_gb=0.0, disk_kept_free_gb=0.0) == [
        "disk full: 0.0 GB free; make room, recording goes on by itself"
    ]
    assert of(recording_halted={"pause": "paused"}) == []


@pytest.mark.parametrize(("left_s", "count"), [(599, 1), (600, 0), (None, 0)])
def test_a_disk_is_nearly_full_below_ten_minutes(left_s: int | None, count: int) -> None:
    found = of(recording=True, free_recording_s=left_s, disk_free_gb=6.0)
    assert len(found) == count
    assert all(alarm.startswith("disk nearly full: 6.0 GB free, 9 min left") for alarm in found)


@pytest.mark.parametrize(
    ("camera", "alarm"),
    [
        ({"state": "live", "clock_error_ms": 10.0}, []),
        ({"state": "live", "clock_error_ms": 10.6}, ["clock uncertain: left ±11 ms"]),
        ({"state": "ended"}, []),
        ({"state": "silent"}, ["camera silent: left"]),
        ({"state": "stopped"}, ["camera stopped: left"]),
    ],
)
def test_a_camera_that_does_not_deliver_or_has_no_clock_is_named(
    camera: dict[str, Any], alarm: list[str]
) -> None:
    assert of(cameras={"left": camera}) == alarm


def test_a_calm_hub_has_no_alarm() -> None:
    assert alarms(Stats()) == []
