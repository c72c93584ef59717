"""The door of cvsf-capture: what it prints, and the code it leaves with."""

import importlib.metadata
import logging
import signal
import sys
from collections.abc import Iterator

import pytest

from capture.__main__ import main


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Signal handlers and log handlers are this process's again afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    root = logging.getLogger()
    logs, level = root.handlers[:], root.level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    root.handlers[:], root.level = logs, level


def left_with(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["cvsf-capture", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


def test_the_version_is_one_line_and_exit_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"cvsf-capture {importlib.metadata.version('cvsf')}\n"


def test_a_refused_option_is_one_sentence_on_standard_error_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(monkeypatch, "--cams", "1", "--source", "sim", "--size", "huge") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "size is 'huge', expected WIDTHxHEIGHT in pixels, such as 1280x720\n"


def test_an_option_that_does_not_exist_is_named_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(monkeypatch, "--cams", "1", "--colour") == 2
    assert "--colour" in capsys.readouterr().err
