"""Child processes that are kept running, and all end when their supervisor does.

Nobody films before everybody may: a child that refuses before that ends everything, its sentence
being on standard error already. One that fails later is started anew.
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

from cvsf.system.shutdown import stop_on_signal

log = logging.getLogger(__name__)

_RESTART_S, _RESTART_MAX_S = 0.3, 5.0
_LONG_LIFE_S = 10.0
_NODES_STOP_S, _HUB_STOP_S = 2.5, 5.0
"""Patience with a child that was asked to end; well-behaved ones take a fraction of it."""
_REVIVAL_S = 15.0
_LEAD_NS = 300_000_000
"""Files at their own rate begin so long after everybody is ready, together."""
_TRIES = 3
"""Starts of a process that has never been ready, before everything is given up."""
OPEN, FILMING = "open", "filming"


@dataclass(slots=True)
class Child:
    """A process that is kept running."""

    name: str
    command: list[str]
    inherits: tuple[int, ...] = ()  # file descriptors its command names, open at every start
    speaks: bool = False  # its standard output is for us; else it is told a descriptor to say ready
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    starts: int = 0
    opened: bool = False  # in some earlier start
    pause_s: float = _RESTART_S
    restart_at_s: float | None = None
    ended: bool = False
    reached: set[str] = field(default_factory=set)
    account: dict[str, Any] = field(default_factory=dict)
    go: bytes = b""

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the supervisor."""
        self.opened |= OPEN in self.reached
        self.reached.discard(OPEN)
        if self.process and self.process.stdin:
            with contextlib.suppress(BrokenPipeError):  # what the dead one never read
                self.process.stdin.close()
        ours, theirs = os.pipe()
        self.process = subprocess.Popen(
            [*self.command, *([] if self.speaks else ["--ready-fd", str(theirs)])],
            stdin=subprocess.PIPE,
            stdout=theirs if self.speaks else None,
            start_new_session=True,
            pass_fds=self.inherits if self.speaks else (*self.inherits, theirs),
        )
        os.close(theirs)
        self.started_s, self.restart_at_s = time.monotonic(), None
        self.starts += 1
        threading.Thread(target=self._read, args=(ours,), daemon=True).start()
        self.tell(self.go)

    def tell(self, go: bytes) -> None:
        """Let it film, now and whenever it is started anew."""
        self.go = go
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died; whoever tends it will notice
            self.process.stdin.write(go)
            self.process.stdin.flush()

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor) as lines:
            for line in lines:
                self._hear(line)

    def _hear(self, line: str) -> None:
        if not self.speaks:
            self.reached.add(OPEN)
            return
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            self.reached |= {OPEN, FILMING} & set(said)
            if "exposed" in said:
                self.account = said

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
        if code == 2 and self.starts == 1:
            raise ChildRefusal
        if code == 0:
            self.ended = True
            return
        if not (self.opened or OPEN in self.reached) and self.starts >= _TRIES:
            raise ChildFailed
        log.warning("process died, starting it anew", extra={"child": self.name, "code": code})
        lived_s = time.monotonic() - self.started_s
        self.pause_s = (
            _RESTART_S if lived_s > _LONG_LIFE_S else min(2 * self.pause_s, _RESTART_MAX_S)
        )
        self.restart_at_s = time.monotonic() + self.pause_s

    def revive(self) -> bool:
        """Whether it is open, started anew if it died just now: a good end needs it."""
        assert self.process is not None
        if self.process.poll() not in (None, 0):
            self.start()
        until = time.monotonic() + _REVIVAL_S
        while OPEN not in self.reached and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        return OPEN in self.reached

    def ask_to_end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            self.ended = True  # one that died just now is not started anew any more
        else:
            self.process.terminate()

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended well; killed, and said so, if it did not end in time."""
        if self.process is None or self.ended:
            return True
        try:
            # one that was still loading leaves without a word
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
    """A child said no; its sentence is on standard error already."""


def supervise(hub: Child | None, nodes: Sequence[Child], duration_s: float | None) -> int:
    """Run until the sources end, every camera has filmed so long or a signal comes; the exit
    code.
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
                child.tend()
            if all(child.ended for child in nodes) or (hub and hub.ended):
                break
            if not begun and all(child.ended or OPEN in child.reached for child in children):
                begun = True
                for child in nodes:
                    child.tell(b"%d\n" % (time.monotonic_ns() + _LEAD_NS))
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
    can_seal = hub.revive() if hub and begun else True
    return 0 if _end(nodes, hub) and can_seal else 1


def _end(nodes: Sequence[Child], hub: Child | None) -> bool:
    """Whether all end well: nodes first, so that the hub has their last frames, then the hub."""
    for child in nodes:
        child.ask_to_end()
    until_s = time.monotonic() + _NODES_STOP_S
    good = [child.wait(max(0.0, until_s - time.monotonic())) for child in nodes]
    if hub:
        hub.ask_to_end()
        good.append(hub.wait(_HUB_STOP_S))
    return all(good)
