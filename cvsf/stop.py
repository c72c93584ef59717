"""How a process is told to stop: by a signal, or by standard input closing with whoever started it.

Being told sets an event and nothing else; what stopping takes is the story's own affair.
"""

import os
import signal
import sys
import threading

_PATIENCE_S = 4.0
"""An orphan that was told to stop and is still there after so long leaves without a word."""


def stop_on_signal(stop: threading.Event) -> None:
    """Let Ctrl-C and SIGTERM set the event."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def stop_with_starter(stop: threading.Event) -> None:
    """Set the event when standard input closes, as it does however the starter dies."""
    threading.Thread(target=_outlive, args=(stop,), name="lifeline", daemon=True).start()


def _outlive(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 64):
        pass
    stop.set()
    threading.Event().wait(_PATIENCE_S)
    os._exit(1)
