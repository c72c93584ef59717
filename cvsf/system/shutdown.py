"""Requests to stop a process: a signal, or the end of its parent, which closes standard input.

A request only sets an event; the process itself ends in order.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

_PR_SET_PDEATHSIG = 1  # of prctl: the signal at the end of the parent
_SHOW_CURSOR = b"\x1b[?25h"  # which a progress bar hides
_GRACE_S = 4.0
"""Time that a process without a parent has to end in order; then it exits. A guess, not measured.
"""


def leave_on_signal() -> None:
    """Make Ctrl-C and SIGTERM end the process at once with exit 0, without cleanup, while it has
    nothing to finish. Main thread only; `stop_on_signal` replaces it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    """Exit without an exception, which a library that is being loaded may catch."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(0)


def stop_on_signal(stop: threading.Event) -> None:
    """Make Ctrl-C and SIGTERM set the event and do nothing else; each further signal sets it again.
    Call it on the main thread.

    A daemon thread sets it: a handler runs on the main thread, which may hold the lock of the event
    at that moment, and would wait for itself.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def write(number: int, frame: FrameType | None) -> None:
        with suppress(BlockingIOError):  # the pipe is full of earlier signals
            os.write(writer, b"!")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, write)
    threading.Thread(target=_set_on_byte, args=(reader, stop), name="stop", daemon=True).start()


def _set_on_byte(reader: int, stop: threading.Event) -> None:
    while os.read(reader, 1):
        stop.set()


def die_with_parent() -> None:
    """Let the kernel kill (SIGKILL) this process when the thread that started it ends in any way.
    Only on Linux; elsewhere nothing happens.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def stop_with_parent(stop: threading.Event, on_line: Callable[[str], None]) -> None:
    """Set the event when standard input closes, as it does when the parent ends in any way; 4 s
    later the process exits with 1, if it still runs. Returns at once: a daemon thread reads.

    Lines that the parent sends before are passed to `on_line`, on that thread.
    """
    threading.Thread(
        target=_read_lifeline, args=(stop, on_line), name="lifeline", daemon=True
    ).start()


def _read_lifeline(stop: threading.Event, on_line: Callable[[str], None]) -> None:
    rest = b""
    while data := os.read(sys.stdin.fileno(), 65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            on_line(line.decode(errors="replace"))
    stop.set()
    threading.Event().wait(_GRACE_S)
    os._exit(1)
