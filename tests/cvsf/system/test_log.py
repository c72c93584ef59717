"""The log: JSON lines, or sentences on a terminal."""

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvsf.system.log import relay, relay_all, start_log, terminal

log = logging.getLogger("camera.cam0")


class Terminal(io.StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    """The log of the tests themselves is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)


def listening(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> io.StringIO:
    """What is said on standard error from now on; a fixture would be too early for pytest's own."""
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_log_line_is_one_json_object_with_its_extra_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = listening(monkeypatch, io.StringIO())
    start_log()
    log.warning("camera %s lost", "cam0", extra={"seq": 7, "file": Path("a/b")})
    log.debug("a frame")
    assert [json.loads(line) for line in said.getvalue().splitlines()] == [
        {
            "level": "warning",
            "from": "camera.cam0",
            "event": "camera cam0 lost",
            "seq": 7,
            "file": "a/b",
        }
    ]


def test_an_exception_is_logged_within_its_line_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = listening(monkeypatch, io.StringIO())
    start_log()
    try:
        raise OSError("no such device")
    except OSError:
        log.exception("camera gone")
    (line,) = said.getvalue().splitlines()
    fields = json.loads(line)
    assert fields["level"] == "error"
    assert fields["error"].startswith("Traceback")
    assert fields["error"].endswith("OSError: no such device")
    assert "exc_info" not in fields


def test_a_log_started_twice_writes_each_line_once_at_the_new_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = listening(monkeypatch, io.StringIO())
    start_log()
    start_log(logging.DEBUG)
    log.debug("a frame")
    assert [json.loads(line)["event"] for line in said.getvalue().splitlines()] == ["a frame"]


def test_a_log_line_on_a_terminal_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = listening(monkeypatch, Terminal())
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    start_log()
    log.info("camera found", extra={"seq": 7, "size": "640x480"})
    (line,) = terminal.getvalue().splitlines()
    assert line.rstrip().endswith("INFO     camera found  seq=7  size=640x480")


def test_a_line_of_another_process_is_logged_as_if_it_were_logged_here(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    relay('{"level": "error", "from": "node", "event": "camera lost", "seq": 7, "error": "Oh"}\n')
    relay("Segmentation fault\n")
    relay('{"level": 3}')
    relay("\n")
    said = [(r.name, r.levelname, r.getMessage()) for r in caplog.records]
    assert said == [
        ("node", "ERROR", "camera lost"),
        ("cvsf.system.log", "WARNING", "Segmentation fault"),
        ("cvsf.system.log", "WARNING", '{"level": 3}'),
    ]
    assert (vars(caplog.records[0])["seq"], vars(caplog.records[0])["error"]) == (7, "Oh")


def test_a_relayed_exception_is_below_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = listening(monkeypatch, Terminal())
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    start_log()
    reads, writes = os.pipe()
    os.write(
        writes, b'{"level": "error", "from": "node", "event": "lost", "error": "Trace\\nOh"}\n'
    )
    os.close(writes)
    relay_all(os.fdopen(reads, "rb")).join(10)
    first, *rest = [line.strip() for line in screen.getvalue().splitlines()]
    assert first.endswith("ERROR    lost")
    assert rest == ["Trace", "Oh"]


def test_a_table_shares_the_console_of_a_log_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = listening(monkeypatch, Terminal())
    start_log()
    console, lock = terminal()
    assert console.file is screen
    assert lock is logging.getLogger().handlers[0].lock
