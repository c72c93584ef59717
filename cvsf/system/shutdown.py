"""How a process is told to stop: by a signal, or by standard input closing with whoever started it.

Being told sets an event and nothing else; what stopping takes is the story's own affair.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

_SET_PARENT_DEATH_SIGNAL = 1  # of prctl
_SHOW_CURSOR = b"\x1b[?25h"  # which a progress bar hides
_PATIENCE_S = 4.0
"""An orphan that was told to stop and is still there after so long leaves without a word."""


def leave_on_signal() -> None:
    """Let Ctrl-C and SIGTERM end the process at once: nothing has begun that would need an end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    """Not by an exception: a library that is being loaded takes that for its own failure."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(0)


def stop_on_signal(stop: threading.Event) -> None:
    """Let Ctrl-C and SIGTERM set the event.

    A thread sets it: a handler runs on the main thread, which would wait for itself if it was just
    then looking at the event, whose lock it holds.
    """
    hears, says = os.pipe()
    os.set_blocking(says, False)

    def tell(number: int, frame: FrameType | None) -> None:
        with suppress(BlockingIOError):  # told so often already
            os.write(says, b"!")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    threading.Thread(target=_obey, args=(hears, stop), name="stop", daemon=True).start()


def _obey(hears: int, stop: threading.Event) -> None:
    while os.read(hears, 1):
        stop.set()


def die_with_starter() -> None:
    """Have this process killed when the one that started it dies, however it does; Linux alone."""
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def stop_with_starter(stop: threading.Event, on_line: Callable[[str], None]) -> None:
    """Set the event when standard input closes, as it does however the starter dies.

    Lines that the starter sends before go to `on_line`.
    """
    threading.Thread(target=_outlive, args=(stop, on_line), name="lifeline", daemon=True).start()


def _outlive(stop: threading.Event, on_line: Callable[[str], None]) -> None:
    rest = b""
    while sent := os.read(sys.stdin.fileno(), 65536):
        *lines, rest = (rest + sent).split(b"\n")
        for line in lines:
            on_line(line.decode(errors="replace"))
    stop.set()
    threading.Event().wait(_PATIENCE_S)
    os._exit(1)
