"""Frames from a node to its hub: a bounded ring, resent until the hub has them on disk, every loss
counted.

A frame leaves the ring when the hub reports it durable, or, when the ring is full, as the oldest
one, counted. Each frame names the one before it in the ring (`after`): the hub detects a gap that a
broken connection left and waits for the resend, but not for frames that no longer exist.
"""

import logging
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import zmq

from cvsf.messages import Frame, pack, to_header, unpack
from cvsf.wire import envelope, node_socket

log = logging.getLogger(__name__)

_WINDOW = 64
"""Frames sent and not yet received: 0.5 s at 120 Hz; a guess, not measured."""
_LOSSLESS_AHEAD, _LOSSLESS_WAITING = 8, 32
"""Of sources that wait: frames sent and not yet processed, and frames in the ring before the source
has to wait; a guess, not measured.
"""
_STALLED_S = 1.0
"""Frames are sent again after so long without progress; a guess, not measured."""
_REPORT_EVERY_S, _FIRST_REPORT_EVERY_S = 0.5, 0.1
"""Between reports, and before the hub has answered; a guess, not measured."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    seq: int
    header: dict[str, object]
    jpeg: bytes


class Sender:
    """A thread that owns the DEALER of one camera."""

    def __init__(
        self, endpoint: str, identity: dict[str, object], *, ring_mb: int, lossless: bool
    ) -> None:
        self._endpoint, self._identity, self._lossless = endpoint, identity, lossless
        self._ring: deque[_Waiting] = deque()
        self._ring_bytes, self._ring_limit = 0, ring_mb << 20
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._next = 0  # position in the ring of the next frame to send
        self._received = self._taken = -1
        self._progress_s = time.monotonic()
        self._hub_id: object = None
        self._report_at_s = 0.0
        self.exposed = 0
        self.acknowledged = 0
        self.dropped: Counter[str] = Counter()
        self._fates: dict[str, int] = {}
        self.state: dict[str, object] = {}
        self.stop_asked: str | None = None
        self.refused: str | None = None
        self._closing = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._wake = self._context.socket(zmq.PAIR)
        self._wake.bind("inproc://wake")
        self._thread = threading.Thread(target=self._run, name="send", daemon=True)
        self._thread.start()

    def wait_for_room(self, timeout_s: float) -> bool:
        """Whether a lossless source may send on: fewer than 32 frames are in the ring. If not, it
        waits for the next message of the hub, `timeout_s` at most, before it answers. Always True,
        at once, for a live source.
        """
        with self._room:
            if self._lossless and len(self._ring) >= _LOSSLESS_WAITING:
                self._room.wait(timeout_s)
            return not self._lossless or len(self._ring) < _LOSSLESS_WAITING

    def put(self, frame: Frame) -> None:
        """Put a frame in the ring and wake the sending thread; it never waits for the network.
        While the JPEGs in the ring exceed `ring_mb` MiB, the oldest frames are dropped and counted
        as "ring full"; the newest always stays.
        """
        with self._lock:
            self.exposed += 1
            self._ring.append(_Waiting(frame.seq, to_header(frame), frame.jpeg))
            self._ring_bytes += len(frame.jpeg)
            while self._ring_bytes > self._ring_limit and len(self._ring) > 1:
                self._forget_oldest()
                self.dropped["ring full"] += 1
        self._wake_up()

    def count_dropped(self, reason: str, frames: int) -> None:
        """Count `frames` exposures that never became a frame, as exposed and, under `reason`, as
        dropped.
        """
        with self._lock:
            self.exposed += frames
            self.dropped[reason] += frames

    def account(self) -> dict[str, Any]:
        """A new map of where every exposure is: exposed = acknowledged + in_ring + the sum of
        `dropped` {reason: n}, at any moment. Acknowledged frames are durable at the hub. `fates`
        {fate: n} are these as the hub counted them in its last ack, for the next hub to continue;
        empty before the first ack.
        """
        with self._lock:
            return {
                "exposed": self.exposed,
                "acknowledged": self.acknowledged,
                "dropped": dict(self.dropped),
                "in_ring": len(self._ring),
                "fates": self._fates,
            }

    def close(self, *, ended: bool, drain_s: float) -> None:
        """Block until everything in the ring is durable or the hub refuses, `drain_s` (s) at most;
        then send a bye, and end thread and sockets. Frames that are left are not sent again and
        stay counted in `in_ring`. `ended`: the source has no further frame.
        """
        self.state["state"] = "stopping"
        self._report_at_s = 0.0
        self._wake_up()
        with self._room:
            self._room.wait_for(lambda: not self._ring or self.refused, drain_s)
        self.state["ended"] = ended
        self._closing.set()
        self._wake_up()
        self._thread.join()  # its sockets must not be destroyed under it: ZeroMQ would abort
        self._wake.close(0)
        self._context.destroy(0)

    def _wake_up(self) -> None:
        try:
            self._wake.send(b"", zmq.DONTWAIT)
        except zmq.ZMQError:
            return  # the thread is awake already

    def _run(self) -> None:
        with (
            node_socket(self._context, self._endpoint) as hub,
            self._context.socket(zmq.PAIR) as wake,
        ):
            wake.connect("inproc://wake")
            poller = zmq.Poller()
            poller.register(hub, zmq.POLLIN)
            poller.register(wake, zmq.POLLIN)
            while not self._closing.is_set():
                now = time.monotonic()
                if now >= self._report_at_s:
                    self._send(hub, self._report("report"))
                    self._report_at_s = now + (
                        _REPORT_EVERY_S if self._hub_id else _FIRST_REPORT_EVERY_S
                    )
                self._send_window(hub)
                for socket, _ in poller.poll(50):
                    if socket is wake:
                        wake.recv()
                    else:
                        self._receive(hub)
                self._rewind_if_stalled()
            hub.set(zmq.LINGER, 300)
            self._send(hub, self._report("bye"))

    def _receive(self, hub: "zmq.Socket[bytes]") -> None:
        """Handle every message that has come."""
        while hub.poll(0):
            try:
                self._handle(unpack(hub.recv()))
            except (ValueError, KeyError, TypeError):
                log.warning("the hub sent a message that is not of this protocol")

    def _report(self, kind: str) -> dict[str, object]:
        return envelope(kind, **(self._identity | self.account() | self.state))

    def _send(self, hub: "zmq.Socket[bytes]", message: dict[str, object]) -> None:
        try:
            hub.send(pack(message), zmq.DONTWAIT)
        except zmq.Again:
            return  # not connected yet; reports are repeated

    def _send_window(self, hub: "zmq.Socket[bytes]") -> None:
        """Send frames in order while the hub keeps up."""
        while waiting := self._sendable():
            frame, after = waiting
            try:
                header = pack(frame.header | {"after": after})
                hub.send_multipart([header, frame.jpeg], zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            with self._lock:
                self._next += 1

    def _sendable(self) -> tuple[_Waiting, int] | None:
        """The next frame to send and the seq of the one before it, if the hub has room for it."""
        with self._lock:
            if self._hub_id is None or self._next >= len(self._ring):
                return None
            frame = self._ring[self._next]
            if self._lossless:
                full = frame.seq > self._taken + _LOSSLESS_AHEAD
            else:
                full = self._next - self._first_unreceived() >= _WINDOW
            after = self._ring[self._next - 1].seq if self._next else -1
            return None if full else (frame, after)

    def _first_unreceived(self) -> int:
        return next(
            (i for i, w in enumerate(self._ring) if w.seq > self._received), len(self._ring)
        )

    def _handle(self, message: dict[str, Any]) -> None:
        kind = message.get("kind")
        if kind == "stop":
            self.stop_asked = str(message.get("reason"))
        elif kind == "refused":
            self.refused = str(message.get("reason"))
        elif kind == "ack" and message.get("boot_id") == self._identity["boot_id"]:
            self._acknowledge(message)
        with self._room:
            self._room.notify_all()

    def _acknowledge(self, ack: dict[str, Any]) -> None:
        received, durable, taken = (int(ack[key]) for key in ("received", "durable", "taken"))
        with self._lock:
            if ack["hub_id"] != self._hub_id:
                # another hub, or a restarted one: it has what is durable and nothing else
                self._hub_id, self._next, self._received = ack["hub_id"], 0, -1
            if received > self._received:
                self._progress_s = time.monotonic()
            self._received, self._taken = max(received, self._received), max(taken, self._taken)
            self._fates = dict(ack["fates"])
            while self._ring and self._ring[0].seq <= durable:
                self._forget_oldest()
                self.acknowledged += 1

    def _forget_oldest(self) -> None:
        self._ring_bytes -= len(self._ring.popleft().jpeg)
        self._next = max(0, self._next - 1)

    def _rewind_if_stalled(self) -> None:
        """Go back to the first frame the hub lacks when it has accepted nothing for a while."""
        with self._lock:
            lacking = self._first_unreceived()
            if lacking >= self._next:
                self._progress_s = time.monotonic()
            elif time.monotonic() - self._progress_s > _STALLED_S:
                self._next = lacking
                self._progress_s = time.monotonic()
