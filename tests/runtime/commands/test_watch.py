"""`cvsf watch` finds its hub, and says so where there is none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cvsf.system.errors import Refusal
from runtime.commands.watch import watch
from runtime.streaming.zmq_publisher import STATS as TOPIC
from runtime.streaming.zmq_publisher import ZmqPublisher
from tests.support.hub_stats import STATS
from tests.support.publishing import publishing


@contextmanager
def hub(last: int) -> Iterator[int]:
    """The port of one that ends after so many of its seconds; 50 of them pass in one."""
    heard = 0

    def publish(publisher: ZmqPublisher) -> None:
        nonlocal heard
        publisher.send_stats(STATS | {"t_s": heard * 1.0, "final": heard >= last})
        heard += publisher.wants(TOPIC)

    with publishing(publish, period_s=0.02) as port:
        yield port


def _run(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(watch)
    return CliRunner().invoke(app, list(arguments))


def test_watching_prints_a_json_line_a_second_until_the_hub_ends() -> None:
    with hub(last=20) as port:
        result = _run("--port", str(port), "--json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[-1]["final"]
    assert lines[-1]["cameras"]["cam0"]["fps"] == 20.0


def test_watching_ends_after_the_seconds_asked_for() -> None:
    with hub(last=3000) as port:
        result = _run("--port", str(port), "--seconds", "5", "--json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    passed_s = [line["t_s"] - lines[0]["t_s"] for line in lines]
    assert max(passed_s[:-1]) < 5 <= passed_s[-1]
    assert not lines[-1]["final"]


def test_a_table_is_watched_where_no_json_is_asked_for() -> None:
    with hub(last=20) as port:
        result = _run("--port", str(port))
    assert result.exit_code == 0
    assert "instants/s" in result.stdout


def test_watching_without_a_hub_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.commands.watch._PATIENCE_S", 0.3)
    result = _run("--port", "1")
    assert isinstance(result.exception, Refusal)
    assert "start one with cvsf-capture" in str(result.exception)
