"""The receiver: accepts every frame once and in order, or counts it with a reason.

One thread has the ROUTER socket and the links. Frames go to a callback; nodes get acks of the
frames received, durable and processed.
"""

import logging
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import zmq

from cvsf.messages import MAX_VIEWS, SCHEMA, Frame, from_header, pack, unpack
from cvsf.session.statistics import Source
from cvsf.system.errors import Refusal
from cvsf.wire import envelope, hub_socket
from runtime.ingest.camera_connection import (
    NOT_KEPT,
    RECORDED,
    Link,
    OnDisk,
    open_link,
    read_report,
    whole,
)
from runtime.ingest.frame_decoder import reason_to_refuse

log = logging.getLogger(__name__)

_ACK_EVERY_S, _ACK_AT_LEAST_S = 0.02, 0.2
"""Between acks of a run with progress, and of one without; a guess, not measured."""
_CLAIM_S, _SILENT_S = 2.0, 1.0
"""A new run replaces a run that is silent for `_SILENT_S`; if the old one is not silent, the new
run is refused after `_CLAIM_S`. Guesses, not measured.
"""
_WAITING_POLL_MS, _IDLE_POLL_MS = 4, 20
"""Longest wait for messages while frames wait for others, and while none do; a guess, not measured:
the first adds to an instant's latency where a camera is absent."""
_LOSSLESS_SILENCE_S = 5.0
"""A camera that plays a file counts as absent after so long; a guess, not measured."""
_ENDING_S = 3.0
"""After the end of all cameras no stats are printed for so long, as the hub is usually stopped
then. A guess, not measured."""


class Receiver:
    """Has a link per camera. Callbacks run on its thread; methods may be called on any thread. The
    constructor binds the port; Refusal if it is taken or `host` is not loopback.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        now_ns: Callable[[], int],
        on_frame: Callable[[Frame, Link], bool],
        on_idle: Callable[[], bool],
        on_bye: Callable[[Link], None],
        resume: Mapping[Source, OnDisk] | None = None,
    ) -> None:
        self.hub_id = uuid.uuid4().hex[:12]
        self.links: dict[str, Link] = {}  # the present run of each camera
        self.runs: dict[Source, Link] = {}
        self.rejected: Counter[str] = Counter()
        self._refused_cameras: set[str] = set()  # more than one session takes; each logged once
        self.resume = resume or {}  # frames that a restarted hub has on disk
        self._now_ns, self._is_full = now_ns, False
        self._on_frame, self._on_idle, self._on_bye = on_frame, on_idle, on_bye
        self._claims: dict[Source, float] = {}
        self._stored: deque[tuple[Source, int]] = deque()  # for the links, entered by the thread
        self._processed: deque[tuple[Source, int]] = deque()
        self._stop = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._router = hub_socket(self._context, host, port)
        except Refusal:
            self._context.destroy(0)
            raise
        self.port = int(self._router.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self._thread = threading.Thread(target=self._run, name="receive", daemon=True)

    def start(self) -> None:
        """Start the thread that receives frames from the nodes."""
        self._thread.start()

    def refuse_frames(self) -> None:
        """Take no more frames, for good: they stay, not acknowledged, in the rings of the nodes."""
        self._is_full = True

    def close(self) -> None:
        """Receive what has arrived, send each node a last ack, and end the thread; blocks until
        then.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._context.destroy(0)

    @property
    def has_ended(self) -> bool:
        """Whether all cameras (at least one) ended or are stopping; last message under 3 s ago."""
        links = list(self.links.values())  # cameras join on another thread
        done = all(link.gone or link.report.state == "stopping" for link in links)
        last_message_s = max((link.last_message_s for link in links), default=0.0)
        return bool(links) and done and time.monotonic() - last_message_s < _ENDING_S

    def alive(self, within_s: float) -> tuple[str, ...]:
        """The sorted names of the live cameras, whose frames are waited for: not ended, not
        reported as lost by the node, and with a message within `within_s` (lossless sources: 5 s).
        """
        now = time.monotonic()
        return tuple(
            sorted(
                camera
                for camera, link in self.links.items()
                if not link.gone
                and now - link.last_message_s < (_LOSSLESS_SILENCE_S if link.lossless else within_s)
                and link.report.state != "lost"
            )
        )

    def mark_durable(self, on_disk: Mapping[Source, int]) -> None:
        """Note the last frame (seq) of each run that is on the disk; returns at once. The next ack
        tells the node, which may then delete frames up to it. Unknown runs are ignored.
        """
        self._stored.extend(on_disk.items())

    def mark_taken(self, frame: Frame) -> None:
        """Note that the frame, and all before it, are processed; the next ack tells the node so."""
        self._processed.append(((frame.camera, frame.boot_id), frame.seq))

    def _run(self) -> None:
        acks_at, waits = 0.0, False
        while not self._stop.is_set():
            if self._router.poll(_WAITING_POLL_MS if waits else _IDLE_POLL_MS):
                for _ in range(256):
                    try:
                        parts = self._router.recv_multipart(zmq.DONTWAIT)
                    except zmq.Again:
                        break
                    self._receive(parts)
            waits = self._on_idle()
            if time.monotonic() >= acks_at:
                self._acknowledge()
                acks_at = time.monotonic() + _ACK_EVERY_S
        while self._router.poll(0):
            self._receive(self._router.recv_multipart())
        self._count_fates()
        for link in self.runs.values():
            self._send_ack(link)

    def _receive(self, parts: list[bytes]) -> None:
        address, *body = parts
        if not 1 <= len(body) <= 2:
            self.rejected["wrong number of parts"] += 1
            return
        try:
            header = unpack(body[0])
            if header.get("schema") != SCHEMA:
                reason = f"schema is {header.get('schema')!r}, expected {SCHEMA}"
                return self._refuse(address, "wrong schema", reason)
            self._take(address, header, body[1] if len(body) == 2 else None)
        except (ValueError, KeyError, TypeError, OverflowError):
            self.rejected["malformed"] += 1

    def _take(self, address: bytes, header: dict[str, Any], jpeg: bytes | None) -> None:
        kind = header.get("kind")
        if kind == "probe":
            echo = envelope("echo", sent_ns=int(header["sent_ns"]), hub_ns=self._now_ns())
            self._send(address, echo)
        elif kind == "frame" and jpeg is not None:
            self._take_frame(address, header, jpeg)
        elif kind in ("report", "bye") and (link := self._link(address, header)):
            if kind == "bye":
                link.leave(ended=bool(header.get("ended")))
                self._on_bye(link)
            self._send_ack(link)
        elif kind not in ("report", "bye"):
            self.rejected["unknown kind"] += 1

    def _link(self, address: bytes, header: dict[str, Any]) -> Link | None:
        """The camera's link; a new run of the node replaces one that is silent."""
        camera, boot_id = header["camera"], header["boot_id"]
        link = self.links.get(camera)
        if link and link.boot_id == boot_id:
            link.note_message(address, read_report(header))
            return link
        if link and not link.gone and time.monotonic() - link.last_message_s < _SILENT_S:
            first_s = self._claims.setdefault((camera, boot_id), time.monotonic())
            if time.monotonic() - first_s > _CLAIM_S:
                reason = f"another camera has the name {camera!r}; give each camera its own"
                self._refuse(address, "camera name taken", reason)
            return None
        self._claims.clear()
        return self._connect(address, header, (camera, boot_id))

    def _connect(self, address: bytes, header: dict[str, Any], run: Source) -> Link | None:
        """The link of a new run, or of one that returns; None if it is refused."""
        camera, _ = run
        there = self.links.keys() | {c for c, _ in self.resume}  # those that left count too
        if camera not in there and len(there) >= MAX_VIEWS:
            known = len(self._refused_cameras) == MAX_VIEWS or camera in self._refused_cameras
            if not known:  # a node reports again and again
                self._refused_cameras.add(camera)
                log.warning("too many cameras, one is refused", extra={"camera": camera[:64]})
            reason = f"it has {MAX_VIEWS} cameras already, the most of one session"
            self._refuse(address, "too many cameras", reason)
            return None
        if link := self.runs.get(run):  # it was taken for ended too early
            link.note_message(address, read_report(header))
            link.reopen()
        else:
            try:
                link = open_link(address, header, self.resume.get(run))
            except ValueError as error:
                self._refuse(address, "impossible camera", str(error))
                return None
        self.links[camera] = self.runs[run] = link
        log.info(
            "camera connected",
            extra={"camera": camera, "size": f"{link.width_px}x{link.height_px}"},
        )
        return link

    def _take_frame(self, address: bytes, header: dict[str, Any], jpeg: bytes) -> None:
        if self._is_full:
            return  # the node's ring keeps the frame
        link = self.links.get(header["camera"])
        if link is None or link.boot_id != header.get("boot_id"):
            self.rejected["frame of an unknown camera"] += 1  # sent again once its report has come
            return
        link.note_message(address)
        seq, after = whole(header["seq"]), whole(header.get("after", -1), -1)
        if link.is_next(seq, after):
            link.take_in(seq, self._fate(link, header, jpeg, seq))

    def _fate(self, link: Link, header: dict[str, Any], jpeg: bytes, seq: int) -> str:
        """The fate of a frame: recorded, not kept, or the reason of a refusal."""
        try:
            frame = from_header(Frame, header, jpeg)
            trouble = reason_to_refuse(frame, (link.width_px, link.height_px))
        except ValueError:
            trouble = "malformed header"
        if trouble:
            link.process(seq)
            return trouble
        return RECORDED if self._on_frame(frame, link) else NOT_KEPT

    def _acknowledge(self) -> None:
        self._count_fates()
        now = time.monotonic()
        for link in self.runs.values():
            is_new = link.progress != link.acknowledged
            if is_new or (not link.gone and now - link.acknowledged_s > _ACK_AT_LEAST_S):
                self._send_ack(link)
                if link.stop_reason and not link.gone:
                    self._send(link.address, envelope("stop", reason=link.stop_reason))

    def _count_fates(self) -> None:
        """Enter the notes of other threads in the links, and count the fates that are final."""
        while self._processed:
            run, seq = self._processed.popleft()
            if (link := self.runs.get(run)) and link is self.links.get(run[0]):
                link.process(seq)
        while self._stored:
            run, seq = self._stored.popleft()
            if link := self.runs.get(run):
                link.store(seq)
        for link in self.runs.values():
            link.count_fates()

    def _send_ack(self, link: Link) -> None:
        link.acknowledge()
        ack = envelope(
            "ack",
            hub_id=self.hub_id,
            camera=link.camera,
            boot_id=link.boot_id,
            received=link.received,
            durable=link.durable,
            taken=link.taken,
            fates=dict(link.fates),
        )
        self._send(link.address, ack)

    def _refuse(self, address: bytes, what: str, reason: str) -> None:
        self.rejected[what] += 1
        self._send(address, envelope("refused", reason=reason))

    def _send(self, address: bytes, message: dict[str, object]) -> None:
        try:
            self._router.send_multipart([address, pack(message)], zmq.DONTWAIT)
        except zmq.ZMQError:
            return  # the peer has ended or is slow; it sends again
