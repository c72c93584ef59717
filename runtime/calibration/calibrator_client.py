"""The hub's end of the calibration process: instants out, calibrations in; no call waits.

Instants that do not fit in the socket are left out and counted. A process that dies is restarted
with the current calibration.
"""

import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cvsf.calibration.metric_scale import Scale
from cvsf.messages import pack, unpack
from cvsf.multiview.calibration import Calibration, to_plain
from cvsf.multiview.known_lenses import Lenses
from cvsf.session.calibrations import CalibrationUpdate, from_event
from cvsf.system.log import relay_all
from cvsf.system.processes import command
from runtime.calibration.observation_codec import LiftedPose, to_map

log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 20  # of a message
_KERNEL_BYTES = 1 << 20
_RESTART_S, _RESTART_MAX_S = 1.0, 60.0  # guesses, not measured
_CLOSE_S = 1.0
_FIGURES = re.compile(r"\d+|cam\w*")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class CalibratorClient:
    """A calibration process; every method belongs to the hub's main thread.

    The constructor starts it. `first_s` is the movement (s) before the first calibration, `most_hz`
    the most instants sent a second, `scale` the length that the user gave, `lenses` those that are
    known.
    """

    def __init__(
        self, scale: Scale, first_s: float, most_hz: float, lenses: Lenses | None = None
    ) -> None:
        self._begin = {
            "kind": "begin",
            "scale": asdict(scale),
            "first_s": first_s,
            "lenses": {name: lens.model_dump() for name, lens in (lenses or {}).items()},
        }
        self._least_ns = round(1e9 / most_hz)
        self._sent_ns = 0
        self._current: Calibration | None = None
        self._losses = 0  # sent to this process
        self._lost_s: float | None = None  # of a loss that is not sent yet
        self._pause_s, self._restart_at_s = _RESTART_S, 0.0
        self.reason = "the person has not moved long enough"
        self.left_out = 0
        self.starts = 0
        self._start()

    def send(self, instant: LiftedPose) -> None:
        """Send an instant to the calibration process; it never blocks.

        Nothing is sent if the last one was too recent (`most_hz`) or no view has the person. What
        finds no room in the socket, or no living process, is counted in `left_out`. A process that
        has died is restarted by the next message, after a pause of 1 s that doubles up to 60 s.
        """
        self._send_loss()
        t_ns = instant.pose.t_ns
        if t_ns - self._sent_ns >= self._least_ns and instant.views:
            self._sent_ns = t_ns
            self.left_out += not self._send(to_map(instant))

    def resume(self, calibration: Calibration) -> None:
        """Give the process a known calibration, which it then improves; it does not block.

        A restarted process gets it again.
        """
        self._current = calibration
        self._send({"kind": "hold", "cameras": to_plain(calibration)})

    def camera_moved(self, camera: str, since_s: float) -> None:
        """Report a camera that has moved; `since_s` is the time of exposure, hub clock, in s.

        It does not block; the message is lost if the socket is full or the process has died.
        """
        self._send({"kind": "moved", "camera": camera, "since_s": since_s})

    def all_lost(self, since_s: float) -> None:
        """Report that the extrinsics of all cameras are unknown since `since_s` (s, hub clock).

        It does not block: the message is sent again with later instants until the socket has room.
        Calibrations that the process found before it got the message are no longer returned.
        """
        self._current, self._lost_s = None, since_s
        self._send_loss()

    def _send_loss(self) -> None:
        """Repeated until the socket has room for it."""
        if self._lost_s is not None and self._send({"kind": "lost", "since_s": self._lost_s}):
            self._losses += 1
            self._lost_s = None

    def updates(self, t_ns: int) -> list[CalibrationUpdate]:
        """The calibrations that came since the last call, oldest first; it never blocks.

        `t_ns` has no effect here. If the process refuses to calibrate, its reason is stored in
        `reason` and logged. A process that has died is noted here.
        """
        updates = []
        while data := self._receive():
            message = unpack(data, trusted=True)
            if message["kind"] == "refused":
                self._log_reason(str(message["reason"]))
                continue
            if self._lost_s is not None or message["losses"] < self._losses:
                continue  # found before it received the loss
            updates.append(from_event(message))
            self._current = updates[-1].calibration
        return updates

    def close(self) -> None:
        """End the process by closing the socket; it is killed if it does not end within a second.

        Blocks until it has ended.
        """
        self._socket.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        own_end, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own_end.setblocking(False)
        for end in (own_end, other_end):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)
        self._process = subprocess.Popen(
            [*command("calibrator"), str(other_end.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if sys.stderr.isatty() else None,
            pass_fds=(other_end.fileno(),),
            env=os.environ | _ONE_THREAD,
        )
        other_end.close()
        if self._process.stderr:
            relay_all(self._process.stderr)
        self._socket, self._alive = own_end, True
        self.starts += 1
        self._losses = 0
        self._send(self._begin)
        if self._current:
            self.resume(self._current)

    def _send(self, message: Mapping[str, Any]) -> bool:
        if not self._alive and time.monotonic() >= self._restart_at_s:
            self._start()
        try:
            self._socket.send(pack(message))
        except BlockingIOError:
            return False  # it computes, and the socket is full
        except OSError:
            self._reap()
            return False
        return True

    def _receive(self) -> bytes:
        try:
            message = self._socket.recv(_MOST_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            message = b""
        if not message:
            self._reap()
        return message

    def _log_reason(self, reason: str) -> None:
        """Log why there is no calibration; reasons that differ only in figures are logged once."""
        if _FIGURES.sub("", reason) != _FIGURES.sub("", self.reason):
            log.info("no calibration yet", extra={"reason": reason})
        self.reason = reason

    def _reap(self) -> None:
        """Note that the process has ended; it is restarted when there is something to send."""
        if not self._alive:
            return
        self._alive = False
        self._socket.close()
        self._process.kill()  # it has closed its socket, so it ends
        code = self._process.wait()
        log.warning("calibration process died, restarting it", extra={"code": code})
        self._restart_at_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _RESTART_MAX_S)
