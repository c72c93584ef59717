"""How a process is told to stop: by a signal, or by its standard input closing."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cvsf.system.shutdown import (
    die_with_parent,
    leave_on_signal,
    stop_on_signal,
    stop_with_parent,
)

STOP = leave_on_signal.__module__
PATIENCE_S = 30.0


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs the code and has said that it is ready."""
    begun = f"import os, sys, threading, time\nimport {STOP} as stop\n{code}"
    with subprocess.Popen(
        [sys.executable, "-c", begun], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert heard(process) == b"ready\n"
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[bytes]) -> bytes:
    """The line it says next; empty once nobody is left who could say anything."""
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        assert select.select([process.stdout], [], [], PATIENCE_S)[0], "it says nothing"
        if not (more := os.read(process.stdout.fileno(), 1)):
            break
        line += more
    return line


READY = "print('ready', flush=True)\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_has_not_begun_exits_with_0_at_a_signal(number: int) -> None:
    code = (
        f"stop.{leave_on_signal.__name__}()\ntry:\n {READY} time.sleep(60)\n"
        "except BaseException:\n print('raised')"  # as a library might, while it is loaded
    )
    with child(code) as process:
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert heard(process) == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event_and_nothing_else(number: int) -> None:
    code = (
        f"told = threading.Event()\nstop.{stop_on_signal.__name__}(told)\n{READY}"
        "told.wait(60)\nprint('stopping', flush=True)\nsys.stdin.read()\nsys.exit(3)"
    )
    with child(code) as process:
        process.send_signal(number)
        assert heard(process) == b"stopping\n"
        for _ in range(3):
            process.send_signal(number)  # told already
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 3


def test_lines_of_the_starter_are_passed_on_and_its_closed_pipe_stops_the_process() -> None:
    code = (
        f"told = threading.Event()\nstop.{stop_with_parent.__name__}("
        "told, lambda line: os.write(1, b'heard ' + line.encode() + bytes([10])))\n"
        f"{READY}told.wait(60)\nsys.exit(4)"
    )
    with child(code) as process:
        assert process.stdin is not None
        for word in (b"seal\n", b"rotate\n"):
            process.stdin.write(word)
            process.stdin.flush()
            assert heard(process) == b"heard " + word
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 4


def test_a_process_that_does_not_stop_after_its_starter_exits_with_1() -> None:
    code = (
        "stop._PATIENCE_S = 0.05\n"
        f"stop.{stop_with_parent.__name__}(threading.Event(), print)\n{READY}time.sleep(60)"
    )
    with child(code) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its starter's")
def test_a_process_is_killed_with_the_one_that_started_it() -> None:
    grandchild = (
        f"import time, {STOP} as stop\nstop.{die_with_parent.__name__}()\n{READY}time.sleep(60)"
    )
    code = f"import subprocess\nsubprocess.run([sys.executable, '-c', {grandchild!r}])"
    with child(code) as starter:
        starter.kill()
        starter.wait(PATIENCE_S)
        assert heard(starter) == b""  # both hold this pipe: it ends with the last of them
