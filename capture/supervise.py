"""Child processes that are kept running, and all end when their supervisor does.

A child that crashes is started anew; one that refuses ends everything, its sentence being on
standard error already.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)

_RESTART_S, _RESTART_MAX_S = 0.3, 5.0
_LONG_LIFE_S = 10.0
_NODES_STOP_S, _HUB_STOP_S = 2.5, 5.0
"""Patience with a child that was asked to end; well-behaved ones take a fraction of it."""


@dataclass(slots=True)
class Child:
    """A process that is kept running."""

    name: str
    command: list[str]
    reads: bool = False  # its standard output is for us
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    pause_s: float = _RESTART_S
    restart_at_s: float | None = None
    ended: bool = False
    account: dict[str, Any] = field(default_factory=dict)

    def start(self, ready_fd: int | None = None) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the supervisor."""
        extra = [] if ready_fd is None else ["--ready-fd", str(ready_fd)]
        self.process = subprocess.Popen(
            [*self.command, *extra],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self.reads else None,
            start_new_session=True,
            pass_fds=() if ready_fd is None else (ready_fd,),
        )
        self.started_s, self.restart_at_s = time.monotonic(), None
        if self.reads:
            threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                self.account = json.loads(line)

    def tend(self) -> None:
        """Notice an end; a crash is followed by a restart, with back-off."""
        assert self.process is not None
        if self.restart_at_s is not None:
            if time.monotonic() >= self.restart_at_s:
                self.start()
            return
        code = self.process.poll()
        if code is None or self.ended:
            return
        if code == 2:
            raise _ChildRefusal
        if code == 0:
            self.ended = True
            return
        log.warning("process died, starting it anew", extra={"child": self.name, "code": code})
        lived_s = time.monotonic() - self.started_s
        self.pause_s = (
            _RESTART_S if lived_s > _LONG_LIFE_S else min(2 * self.pause_s, _RESTART_MAX_S)
        )
        self.restart_at_s = time.monotonic() + self.pause_s

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, timeout_s: float) -> int | None:
        """The exit code; killed, and said so, if it did not end in time."""
        if self.process is None:
            return None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.error("process did not end and is killed", extra={"child": self.name})
            self.process.kill()
            return self.process.wait()


class _ChildRefusal(Exception):
    """A child said no; its sentence is on standard error already."""


def supervise(hub: Child | None, nodes: Sequence[Child], duration_s: float | None) -> int:
    """Run until the sources end, every camera has filmed so long or a signal comes; the exit
    code.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        if hub:
            _start_hub(hub, stop)
        for child in nodes:
            child.start()
        until = float("inf")
        while not stop.wait(0.05) and time.monotonic() < until:
            for child in [*nodes, *([hub] if hub else [])]:
                child.tend()
            if all(child.ended for child in nodes) or (hub and hub.ended):
                break
            if duration_s and until == float("inf") and all(child.account for child in nodes):
                until = time.monotonic() + duration_s
    except _ChildRefusal:
        _end(nodes, hub)
        return 2
    return _end(nodes, hub)


def _start_hub(hub: Child, stop: threading.Event) -> None:
    """Start the hub and wait until nodes may connect."""
    ready, theirs = os.pipe()
    hub.start(theirs)
    os.close(theirs)
    # the pipe closes when the hub is ready or has died
    os.read(ready, 1)
    os.close(ready)
    assert hub.process is not None
    with contextlib.suppress(subprocess.TimeoutExpired):
        if hub.process.wait(0.05) == 2:
            raise _ChildRefusal
    if stop.is_set():
        return


def _end(nodes: Sequence[Child], hub: Child | None) -> int:
    """Nodes first, so that the hub has their last frames on disk, then the hub."""
    for child in nodes:
        child.ask_to_end()
    until = time.monotonic() + _NODES_STOP_S
    codes = [child.wait(max(0.0, until - time.monotonic())) for child in nodes]
    if hub:
        hub.ask_to_end()
        codes.append(hub.wait(_HUB_STOP_S))
    return 0 if all(code in (0, None) for code in codes) else 1
