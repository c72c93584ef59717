"""Progress on standard error."""

import io
import sys
import time

import pytest

from cvsf.system.progress import reported
from train.progress import with_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_says_every_ten_seconds_what_is_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in with_progress("ab", "sessions", 2):
        for _ in reported("poses", range(5)):
            clock[0] += 6
    said = ["poses: 40%, 18 s left", "poses: 80%, 6 s left"]
    assert capsys.readouterr().err.splitlines() == said * 2
    for _ in with_progress("abcd", "sessions", 4):
        clock[0] += 6
    assert capsys.readouterr().err.splitlines() == ["sessions: 50%, 12 s left"]


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    for _ in with_progress("ab", "sessions", 2):
        assert list(reported("poses", [1, 2])) == [1, 2]
    assert "sessions" in screen.getvalue()
    assert "poses" in screen.getvalue()
