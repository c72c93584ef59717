"""The hub's end of the surveyor: instants out, calibrations in, and nothing here ever waits.

What the surveyor has no room for is left out and counted; one that dies is started anew and told
what holds.
"""

import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvsf.messages import pack, unpack
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration, from_plain, to_plain
from cvsf.system.log import relay_all
from cvsf.system.processes import command
from runtime.calibration.observation_codec import to_map

log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 20
_KERNEL_BYTES = 1 << 20
_RESTART_S, _RESTART_MAX_S = 1.0, 60.0
_CLOSE_S = 1.0
_FIGURES = re.compile(r"\d+|cam\w*")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A calibration that holds from now on."""

    calibration: Calibration
    cause: str  # first, better, moved, again (after all were lost), resumed or known
    moved: tuple[str, ...] = ()  # cameras that were found in a new place


class Survey:
    """A surveyor's process; every method belongs to the hub's main thread."""

    def __init__(self, scale: Mapping[str, Any], first_s: float, most_hz: float) -> None:
        self._begin = {"kind": "begin", "scale": dict(scale), "first_s": first_s}
        self._least_ns = round(1e9 / most_hz)
        self._told_ns = 0
        self._held: Calibration | None = None
        self._losses = 0  # that this process was told of
        self._lost_s: float | None = None  # a loss it has still to be told of
        self._pause_s, self._restart_at_s = _RESTART_S, 0.0
        self.reason = "nobody has moved long enough"
        self.left_out = 0
        self.starts = 0
        self._start()

    def see(self, seen: LiftedObservations, t_ns: int) -> None:
        """Show it an instant, unless the last one was just now."""
        self._say_lost()
        if t_ns - self._told_ns >= self._least_ns and seen.confidence.any():
            self._told_ns = t_ns
            self.left_out += not self._tell(to_map(seen))

    def hold(self, calibration: Calibration) -> None:
        """Have it go on from a calibration."""
        self._held = calibration
        self._tell({"kind": "hold", "cameras": to_plain(calibration)})

    def doubt(self, camera: str, since_s: float) -> None:
        """A camera stands elsewhere since then."""
        self._tell({"kind": "moved", "camera": camera, "since_s": since_s})

    def lose(self, since_s: float) -> None:
        """No camera's place is known any more."""
        self._held, self._lost_s = None, since_s
        self._say_lost()

    def _say_lost(self) -> None:
        """Say it until there is room for it."""
        if self._lost_s is not None and self._tell({"kind": "lost", "since_s": self._lost_s}):
            self._losses += 1
            self._lost_s = None

    def news(self, t_ns: int) -> list[News]:
        """The calibrations found since the last time."""
        found = []
        while message := self._hear():
            told = unpack(message, trusted=True)
            if told["kind"] == "refused":
                self._note(str(told["reason"]))
                continue
            if self._lost_s is not None or told["losses"] < self._losses:
                continue  # found before it heard that they are lost
            self._held = from_plain(told["cameras"])
            found.append(
                News(calibration=self._held, cause=told["cause"], moved=tuple(told["moved"]))
            )
        return found

    def close(self) -> None:
        """Let it end, and see that it does."""
        self._end.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)
        self._process = subprocess.Popen(
            [*command("calibrator"), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if sys.stderr.isatty() else None,
            pass_fds=(theirs.fileno(),),
            env=os.environ | _ONE_THREAD,
        )
        theirs.close()
        if self._process.stderr:
            relay_all(self._process.stderr)
        self._end, self._alive = ours, True
        self.starts += 1
        self._losses = 0
        self._tell(self._begin)
        if self._held:
            self.hold(self._held)

    def _tell(self, told: Mapping[str, Any]) -> bool:
        if not self._alive and time.monotonic() >= self._restart_at_s:
            self._start()
        try:
            self._end.send(pack(told))
        except BlockingIOError:
            return False  # it computes, and has enough to go on with
        except OSError:
            self._bury()
            return False
        return True

    def _hear(self) -> bytes:
        try:
            message = self._end.recv(_MOST_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            message = b""
        if not message:
            self._bury()
        return message

    def _note(self, reason: str) -> None:
        """Say why there are no cameras, once a reason whatever its figures."""
        if _FIGURES.sub("", reason) != _FIGURES.sub("", self.reason):
            log.info("cameras not found yet", extra={"reason": reason})
        self.reason = reason

    def _bury(self) -> None:
        """Note that the process has gone; it is started anew when there is something to tell."""
        if not self._alive:
            return
        self._alive = False
        self._end.close()
        self._process.kill()  # it has closed its end, so it was ending anyway
        code = self._process.wait()
        log.warning("surveyor died, starting it anew", extra={"code": code})
        self._restart_at_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _RESTART_MAX_S)
