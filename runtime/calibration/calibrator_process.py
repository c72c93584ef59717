"""The calibration process: calibrates the cameras from the instants that the hub sends.

It receives instants and sends calibrations over a socket of the hub, and ends when that closes;
the hub never waits for it.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from cvsf.calibration.metric_scale import scale_from_plain
from cvsf.messages import pack, unpack
from cvsf.multiview.calibration import from_plain
from cvsf.multiview.known_lenses import Lens
from cvsf.session.calibrations import to_event
from cvsf.system.log import start_log
from runtime.calibration.live_lenses import LiveLenses
from runtime.calibration.observation_codec import from_map
from runtime.calibration.online_calibrator import OnlineCalibrator

log = logging.getLogger(__name__)

NICE = 5  # a guess, not measured
_MOST_BYTES = 1 << 20
_WAITING = 512  # messages; older instants are dropped, other messages never
_PAUSE_S = 0.1
_URGENT_S = 6.0  # of movement, at normal priority; a guess, not measured


class Inbox:
    """The newest messages that came in during a computation, in order.

    The constructor starts a thread that reads the socket; it ends the whole process when the hub
    closes its end.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._waiting: deque[dict[str, Any]] = deque()
        self._arrived = threading.Event()
        threading.Thread(target=self._listen, name="inbox", daemon=True).start()

    def take(self) -> list[dict[str, Any]]:
        """All messages that have come, oldest first; waits up to 0.1 s if there are none.

        The list may be empty. If more than 512 wait, the oldest instants are dropped.
        """
        self._arrived.wait(_PAUSE_S)
        self._arrived.clear()
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message, a map, to the hub; blocks while the socket is full.

        OSError if the hub has closed its end.
        """
        self._end.send(pack(message))

    def _listen(self) -> None:
        while message := self._receive():
            self._waiting.append(unpack(message, trusted=True))
            if len(self._waiting) > _WAITING:
                oldest = self._waiting.popleft()
                if oldest["kind"] != "seen":
                    self._waiting.appendleft(oldest)
            self._arrived.set()
        os._exit(0)  # the hub has ended

    def _receive(self) -> bytes:
        try:
            return self._end.recv(_MOST_BYTES)
        except OSError:
            return b""


def main() -> None:
    """Calibrate for the hub until it closes its end of the socket.

    The descriptor of the socket is the process's first argument. SIGINT is ignored, and the process
    lowers its own priority once it has a calibration, or after 6 s of movement.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the hub ends this process
    start_log()
    inbox = Inbox(socket.socket(fileno=int(sys.argv[1])))
    calibrator = OnlineCalibrator()
    urgent = True  # the hub has no skeletons in the world before the first cameras
    while True:
        for message in inbox.take():
            _handle(calibrator, message)
        if urgent and (calibrator.has_calibration or calibrator.watched_s > _URGENT_S):
            urgent = False
            os.nice(NICE)
        try:
            for update in calibrator.update():
                inbox.send(to_event(update) | {"kind": "found", "losses": calibrator.losses})
        except OSError:
            return
        if calibrator.new_refusal:
            inbox.send({"kind": "refused", "reason": calibrator.reason})
            calibrator.new_refusal = False


def _handle(calibrator: OnlineCalibrator, message: Mapping[str, Any]) -> None:
    match message["kind"]:
        case "seen":
            calibrator.add(from_map(message))
        case "begin":
            calibrator.scale = scale_from_plain(message["scale"])
            calibrator.first_s = float(message["first_s"])
            lenses = message["lenses"].items()
            calibrator.lenses = LiveLenses({n: Lens.model_validate(lens) for n, lens in lenses})
        case "hold":
            calibrator.resume(from_plain(message["cameras"]))
        case "moved":
            calibrator.camera_moved(message["camera"], float(message["since_s"]))
        case "lost":
            calibrator.all_lost(float(message["since_s"]))
        case other:
            log.error("unknown message from the hub", extra={"kind": other})


if __name__ == "__main__":
    main()
