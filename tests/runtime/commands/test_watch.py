"""The live table fits 80 columns and says what the hub says; the command finds its hub."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from cvsf.system.errors import Refusal
from runtime.commands.watch import watch
from runtime.streaming.zmq_publisher import STATS, Streamer
from runtime.telemetry.table import lasting, stats_table

_STATS: dict[str, Any] = {
    "t_s": 42.0,
    "instants": 812,
    "instants_full": 801,
    "instants_per_s": 19.8,
    "instants_partial_per_s": 0.4,
    "skeletons": 809,
    "skeletons_predicted": 3,
    "latency_ms": {
        stage: {"p50": 21.4, "p95": 31.5}
        for stage in ("decode", "detect", "lift", "publish", "wait", "exposure_to_skeleton")
    },
    "cameras": {
        f"cam{index}": {
            "fps": 20.0,
            "received": 123456,
            "dropped": 12345,
            "clock_error_ms": None if index == 3 else 12.34,
            "confidence": 0.91,
            "state": "lost" if index == 3 else "live",
        }
        for index in range(4)
    },
    "engine": "lifter-4f2a91c07d3e",
    "detector": "skier-sim-8a1b22c03d4e",
    "session": "/home/coach/.local/share/cvsf/sessions/2026-11-22T14-03-11Z-slalom",
    "recording": True,
    "disk_free_gb": 81.2,
    "free_recording_s": 22340.0,
    "refused": {"bad crc": 2},
}


def _text(stats: dict[str, Any], width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(stats_table(stats))
    return console.export_text()


def test_the_table_says_everything_within_80_columns() -> None:
    text = _text(_STATS)
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


def test_eight_cameras_and_a_narrow_terminal_are_survived() -> None:
    many = {f"a-camera-with-a-long-name-{i}": _STATS["cameras"]["cam0"] for i in range(8)}
    text = _text(_STATS | {"cameras": many}, width=60)
    assert max(len(line) for line in text.splitlines()) <= 60


def test_time_is_said_as_people_say_it() -> None:
    assert [lasting(s) for s in (None, 42, 600, 22340, 400_000)] == [
        "-", "42 s", "10 min", "6 h 12", "4 days",
    ]  # fmt: skip


@pytest.fixture
def hub() -> Iterator[int]:
    stop, port, ready = threading.Event(), [0], threading.Event()

    def publish() -> None:
        with closing(Streamer("tcp://127.0.0.1:*")) as streamer:
            port[0] = streamer.port
            ready.set()
            heard = 0
            while not stop.wait(0.02):
                streamer.send_stats(_STATS | {"t_s": heard * 1.0, "final": heard > 20})
                heard += streamer.wants(STATS)

    thread = threading.Thread(target=publish)
    thread.start()
    assert ready.wait(5)
    yield port[0]
    stop.set()
    thread.join()


def _run(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(watch)
    return CliRunner().invoke(app, list(arguments))


def test_watching_prints_a_json_line_a_second_until_the_hub_ends(hub: int) -> None:
    result = _run("--port", str(hub), "--json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[-1]["final"]
    assert lines[-1]["cameras"]["cam0"]["fps"] == 20.0


def test_watching_ends_after_the_seconds_asked_for(hub: int) -> None:
    result = _run("--port", str(hub), "--seconds", "5")
    assert result.exit_code == 0
    assert "instants/s" in result.stdout


def test_watching_nobody_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.commands.watch._PATIENCE_S", 0.3)
    result = _run("--port", "1")
    assert isinstance(result.exception, Refusal)
    assert "start one with cvsf-capture" in str(result.exception)
