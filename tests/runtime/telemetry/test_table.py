"""The live table fits 80 columns and says what the hub says."""

import io
from typing import Any

import pytest
from rich.console import Console

from runtime.stats import Stats, WorldState
from runtime.telemetry.table import StatsTable, duration, world_sentence
from tests.support.hub_stats import STATS


def _text(stats: dict[str, Any], width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(StatsTable(Stats.model_validate(stats)))
    return console.export_text()


def test_the_table_shows_every_figure_within_80_columns() -> None:
    text = _text(STATS)
    assert max(len(line) for line in text.splitlines()) == 80
    for said in (
        "2026-11-22T14-03-11Z-slalom",
        "19.8 instants/s",
        "98.6 % full",
        "0.4 partial/s",
        "recording",
        "123456",
        "12345",
        "12.34",
        "0.91",
        "lost",
        "exposure to skeleton",
        "31.5",
        "81.2 GB",
        "6 h 12",
        "2 bad crc",
        "lifter-4f2a91c07d3e",
        "skier-sim-8a1b22c03d4e",
    ):
        assert said in text
    assert "…" not in text


def test_a_hub_that_has_just_started_is_shown_too() -> None:
    text = _text({"t_s": 0.0})
    assert "not recorded" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_eight_cameras_in_a_narrow_terminal_fit_its_width() -> None:
    many = {f"a-camera-with-a-long-name-{i}": STATS["cameras"]["cam0"] for i in range(8)}
    text = _text(STATS | {"cameras": many}, width=60)
    assert max(len(line) for line in text.splitlines()) <= 60


def test_a_duration_is_written_in_the_units_that_people_use() -> None:
    assert [duration(s) for s in (None, 42, 600, 22340, 400_000)] == [
        "-", "42 s", "10 min", "6 h 12", "4 days",
    ]  # fmt: skip


def test_without_a_calibration_the_sentence_names_what_is_missing() -> None:
    said = world_sentence(WorldState(calibration=0, waiting_for="movement"))
    assert str(said) == "no calibration yet: movement"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "calibration 3 (refined), metres by the athlete's height"),
        ({"scale_source": "tape"}, "calibration 3 (refined), metres by tape"),
        (
            {"misfit": {"cam0": 0.012, "cam2": 0.2, "cam1": 0.1}},
            "calibration 3 (refined), metres by the athlete's height, worst camera cam2 20.0 %",
        ),
        (
            {"moved": ["cam1", "cam2"]},
            "calibration 3 (refined), metres by the athlete's height, MOVED cam1 cam2",
        ),
    ],
)
def test_the_sentence_names_the_worst_camera_and_those_that_moved(
    changes: dict[str, Any], sentence: str
) -> None:
    world = {"calibration": 3, "cause": "better", "scale_source": "height"}
    assert str(world_sentence(WorldState.model_validate(world | changes))) == sentence
