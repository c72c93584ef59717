"""The supervisor of child processes: it restarts them, and they end when it ends.

No camera films before all are open: a refusal of a child before that, which is on standard error
already, ends all. A child that fails later is restarted. Where the hub draws a live table, log
lines of nodes and supervisor go to the hub, which prints them above the table.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cvsf.system.log import JsonLines, relay_all
from cvsf.system.shutdown import stop_on_signal

log = logging.getLogger(__name__)

_RESTART_S, _RESTART_MAX_S = 0.3, 5.0
"""First and longest pause before a restart; a guess, not measured."""
_LONG_LIFE_S = 10.0
"""A child that lived so long is restarted after the first pause again; a guess, not measured."""
_NODES_STOP_S, _HUB_STOP_S = 2.5, 5.0
"""Longest time that a child may take to end, after which it is killed; guesses, not measured."""
_REOPEN_S = 15.0
"""For the hub to restart once more when it died at the end; a guess, not measured."""
_LEAD_NS = 300_000_000
"""Files at their own rate begin so long after all are open, together; a guess, not measured."""
_TRIES = 3
"""Starts of a process that has never been ready, before everything is given up."""
OPEN, FILMING = "open", "filming"


@dataclass(slots=True)
class Child:
    """A process that is kept running."""

    name: str
    command: list[str]
    inherits: tuple[int, ...] = ()  # file descriptors its command names, open at every start
    reports: bool = False  # reports on its standard output; else on a descriptor
    log_here: bool = False  # its standard error is logged by this process
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    starts: int = 0
    opened: bool = False  # in some earlier start
    pause_s: float = _RESTART_S
    restart_at_s: float | None = None
    ended: bool = False
    reached: set[str] = field(default_factory=set)
    account: dict[str, Any] = field(default_factory=dict)
    order: bytes = b""
    relay: threading.Thread | None = None

    def start(self) -> None:
        """Start the process, also again after it has ended, and send it the last order to film; it
        is not waited for. It is in a POSIX session of its own, so that Ctrl-C reaches only the
        supervisor. OSError if it cannot be started.
        """
        self.opened |= OPEN in self.reached
        self.reached.discard(OPEN)
        if self.process and self.process.stdin:
            with contextlib.suppress(BrokenPipeError):  # bytes that the ended process did not read
                self.process.stdin.close()
        ours, theirs = os.pipe()
        self.process = subprocess.Popen(
            [*self.command, *([] if self.reports else ["--ready-fd", str(theirs)])],
            stdin=subprocess.PIPE,
            stdout=theirs if self.reports else None,
            stderr=subprocess.PIPE if self.log_here else None,
            start_new_session=True,
            pass_fds=self.inherits if self.reports else (*self.inherits, theirs),
        )
        os.close(theirs)
        self.started_s, self.restart_at_s = time.monotonic(), None
        self.starts += 1
        threading.Thread(target=self._read, args=(ours,), daemon=True).start()
        if self.process.stderr:
            self.relay = relay_all(self.process.stderr)
        self.let_film(self.order)

    def let_film(self, order: bytes) -> None:
        """Send the order to film, one line with its newline, on the standard input of the process,
        and keep it, so that `start` sends it again. `start` must have been called. If the process
        has ended, nothing is raised.
        """
        self.order = order
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died, which `check` detects
            self.process.stdin.write(order)
            self.process.stdin.flush()

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor) as lines:
            for line in lines:
                self._receive(line)

    def _receive(self, line: str) -> None:
        if not self.reports:
            self.reached.add(OPEN)
            return
        with contextlib.suppress(ValueError):
            report = json.loads(line)
            self.reached |= {OPEN, FILMING} & set(report)
            if "exposed" in report:
                self.account = report

    def check(self) -> None:
        """Look once whether the process has ended; called again and again, it restarts a crashed
        process after a pause, which doubles up to 5 s. Exit 0 is no crash and sets `ended`.
        ChildRefusal if the first start ended with exit 2; ChildFailed if the third start, or a
        later one, crashed and the process has never been open; OSError if a restart fails.
        """
        assert self.process is not None
        if self.restart_at_s is not None:
            if time.monotonic() >= self.restart_at_s:
                self.start()
            return
        code = self.process.poll()
        if code is None or self.ended:
            return
        if code == 2 and self.starts == 1:
            raise ChildRefusal
        if code == 0:
            self.ended = True
            return
        if not (self.opened or OPEN in self.reached) and self.starts >= _TRIES:
            raise ChildFailed
        log.warning("process died, restarting it", extra={"child": self.name, "code": code})
        lived_s = time.monotonic() - self.started_s
        self.pause_s = (
            _RESTART_S if lived_s > _LONG_LIFE_S else min(2 * self.pause_s, _RESTART_MAX_S)
        )
        self.restart_at_s = time.monotonic() + self.pause_s

    def reopen(self) -> bool:
        """Whether the process has reported that it is open; waits 15 s for that at most. A process
        that has crashed is started once more, as sealing needs it; one that ended with exit 0 is
        not. OSError if it cannot be started.
        """
        assert self.process is not None
        if self.process.poll() not in (None, 0):
            self.start()
        until = time.monotonic() + _REOPEN_S
        while OPEN not in self.reached and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        return OPEN in self.reached

    def ask_to_end(self) -> None:
        """Send the process SIGTERM; it is not waited for. One that was never started, or has ended
        already, is only marked as `ended`.
        """
        if self.process is None or self.process.poll() is not None:
            self.ended = True  # one that died just now is not restarted any more
        else:
            self.process.terminate()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the process ends; whether it ended well: with exit 0 or by SIGTERM. After
        `timeout_s` it is killed, and True then only means that it was not open yet. True at once if
        it was never started or is marked as `ended`.
        """
        if self.process is None or self.ended:
            return True
        try:
            # SIGTERM ends one that is still loading
            return self.process.wait(timeout_s) in (0, -signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if OPEN in self.reached:
            log.error("process did not end and is killed", extra={"child": self.name})
        return OPEN not in self.reached


class ChildFailed(Exception):
    """A child died again and again before it was ready."""


class ChildRefusal(Exception):
    """A child refused; its message is on standard error already."""


class TableLog(logging.Handler):
    """Log records to the hub, which prints them above its table; without a hub, to the terminal.

    It never waits for the hub.
    """

    def __init__(self, hub: Child, terminal: logging.Handler) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self._hub, self._terminal = hub, terminal
        self._is_torn = False  # whether the hub got only a part of the last line
        self._left_behind = -1  # the start of the hub whose table is left on the screen

    def emit(self, record: logging.LogRecord) -> None:
        if not self._sent(self.format(record).encode() + b"\n"):
            self._leave_table()
            self._terminal.handle(record)

    def _sent(self, line: bytes) -> bool:
        process = self._hub.process
        if OPEN not in self._hub.reached or process is None or process.stdin is None:
            return False
        with contextlib.suppress(OSError, ValueError):  # it died, or does not read
            os.set_blocking(process.stdin.fileno(), False)
            whole = b"\n" + line if self._is_torn else line
            self._is_torn = os.write(process.stdin.fileno(), whole) < len(whole)
            return not self._is_torn
        return False

    def _leave_table(self) -> None:
        """Below the table of a hub that was killed, with the cursor that it had hidden."""
        killed = self._hub.process is not None and self._hub.process.poll() not in (None, 0)
        if killed and self._left_behind != self._hub.starts:
            self._left_behind = self._hub.starts
            with contextlib.suppress(OSError):  # the terminal is gone
                sys.stderr.write("\n\x1b[?25h")
                sys.stderr.flush()


def share_terminal(hub: Child, nodes: Sequence[Child]) -> None:
    """Send the log of this process to the hub, which prints it above its table, and log the
    standard error of the nodes here. The log's first handler stays in use for lines that the hub
    does not take. Call it before the nodes are started.
    """
    root = logging.getLogger()
    root.handlers = [TableLog(hub, root.handlers[0])]
    for child in nodes:
        child.log_here = True


def supervise(hub: Child | None, nodes: Sequence[Child], duration_s: float | None) -> int:
    """Start hub and nodes, restart them after a crash, and end them: the nodes first, then the hub.
    It blocks until all nodes have ended, the hub ends, SIGINT or SIGTERM comes, or `duration_s` has
    passed since all nodes filmed (None: no limit). Returns 0 if all ended well and the hub could
    seal, 2 after a refusal of a child at its first start, else 1. Main thread only, as it sets
    signal handlers; OSError if a process cannot be started.
    """
    stop = threading.Event()
    stop_on_signal(stop)
    children = [*([hub] if hub else []), *nodes]
    begun, until_s = False, float("inf")
    for child in children:
        child.start()
    try:
        while not stop.wait(0.05) and time.monotonic() < until_s:
            for child in children:
                child.check()
            if all(child.ended for child in nodes) or (hub and hub.ended):
                break
            if not begun and all(child.ended or OPEN in child.reached for child in children):
                begun = True
                for child in nodes:
                    child.let_film(b"%d\n" % (time.monotonic_ns() + _LEAD_NS))
            filming = all(FILMING in child.reached for child in nodes)
            if duration_s and filming and until_s == float("inf"):
                until_s = time.monotonic() + duration_s
    except ChildRefusal:
        _end(nodes, hub)
        return 2
    except ChildFailed:
        log.critical("a process never became ready, giving up")
        _end(nodes, hub)
        return 1
    can_seal = hub.reopen() if hub and begun else True
    return 0 if _end(nodes, hub) and can_seal else 1


def _end(nodes: Sequence[Child], hub: Child | None) -> bool:
    """Whether all end well: nodes first, so that the hub gets their last frames, then the hub."""
    for child in nodes:
        child.ask_to_end()
    until_s = time.monotonic() + _NODES_STOP_S
    good = [child.wait(max(0.0, until_s - time.monotonic())) for child in nodes]
    for child in nodes:
        if child.relay:
            child.relay.join(_RESTART_S)
    if hub:
        hub.ask_to_end()
        good.append(hub.wait(_HUB_STOP_S))
    return all(good)
