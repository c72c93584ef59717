"""The surveyor: a process of its own that finds the hub's cameras from what they see.

It is told instants and says calibrations, over a socket of its starter's, and ends when that
closes; it never has the hub wait.
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
from cvsf.multiview.rig import from_plain, to_plain
from cvsf.system.log import start_log
from runtime.calibration.observation_codec import from_map
from runtime.calibration.online_calibrator import Surveying

log = logging.getLogger(__name__)

NICE = 5
_MOST_BYTES = 1 << 20
_WAITING = 512  # instants; older ones are let go, what the hub decides never is
_PAUSE_S = 0.1
_HURRIES_S = 6.0  # of movement


class Post:
    """What comes in while the surveyor computes: the newest messages, in order."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._waiting: deque[dict[str, Any]] = deque()
        self._news = threading.Event()
        threading.Thread(target=self._listen, name="post", daemon=True).start()

    def take(self) -> list[dict[str, Any]]:
        """All that has come, after a pause where nothing has."""
        self._news.wait(_PAUSE_S)
        self._news.clear()
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken

    def say(self, told: Mapping[str, Any]) -> None:
        """Tell the hub."""
        self._end.send(pack(told))

    def _listen(self) -> None:
        while message := self._hear():
            self._waiting.append(unpack(message, trusted=True))
            if len(self._waiting) > _WAITING:
                oldest = self._waiting.popleft()
                if oldest["kind"] != "seen":
                    self._waiting.appendleft(oldest)
            self._news.set()
        os._exit(0)  # the hub has gone, and with it whoever wanted to know

    def _hear(self) -> bytes:
        try:
            return self._end.recv(_MOST_BYTES)
        except OSError:
            return b""


def main() -> None:
    """Survey for the hub at the other end of the descriptor that is this process's argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the hub says when it is over
    start_log()
    post = Post(socket.socket(fileno=int(sys.argv[1])))
    surveying = Surveying()
    hurries = True  # everybody waits for the first cameras, and for none after them
    while True:
        for told in post.take():
            _obey(surveying, told)
        if hurries and (surveying.has_found or surveying.watched_s > _HURRIES_S):
            hurries = False
            os.nice(NICE)
        try:
            for found in surveying.think():
                post.say(
                    {
                        "kind": "found",
                        "cameras": to_plain(found.calibration),
                        "cause": found.cause,
                        "moved": list(found.moved),
                        "losses": surveying.losses,
                    }
                )
        except OSError:
            return
        if surveying.news_of_refusal:
            post.say({"kind": "refused", "reason": surveying.reason})
            surveying.news_of_refusal = False


def _obey(surveying: Surveying, told: Mapping[str, Any]) -> None:
    match told["kind"]:
        case "seen":
            surveying.see(from_map(told))
        case "begin":
            surveying.scale = scale_from_plain(told["scale"])
            surveying.first_s = float(told["first_s"])
        case "hold":
            surveying.hold(from_plain(told["cameras"]))
        case "moved":
            surveying.doubt(told["camera"], float(told["since_s"]))
        case "lost":
            surveying.lose(float(told["since_s"]))
        case other:
            log.error("unknown word from the hub", extra={"word": other})


if __name__ == "__main__":
    main()
