"""The hub's end of the wire: every frame accepted once and in order, or counted with a reason.

A thread owns the ROUTER. Frames go on to whoever was named at the start; nodes hear what was
received, what is on disk and what is done with.
"""

import logging
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import simplejpeg
import zmq

from cvsf.messages import SCHEMA, Frame, from_header, pack, unpack
from cvsf.wire import envelope, hub_socket

log = logging.getLogger(__name__)

_ACK_EVERY_S, _ACK_AT_LEAST_S = 0.02, 0.2
_CLAIM_S = 2.0
_WATCHFUL_MS, _CALM_MS = 4, 20
"""How long to wait for messages while frames wait for others, and while none do."""
_LOSSLESS_SILENCE_S = 5.0


@dataclass(slots=True)
class Link:
    """One camera as the hub knows it."""

    camera: str
    boot_id: str
    address: bytes
    report: dict[str, Any]
    width_px: int
    height_px: int
    fps: float
    lossless: bool
    in_step: bool
    heard_s: float
    received: int = -1
    taken: int = -1
    pending: deque[int] = field(default_factory=deque)  # handed to the recorder, not yet on disk
    frames: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    not_kept: int = 0  # nobody asked for these on disk
    ended: bool = False
    gone: bool = False
    told: tuple[int, int, int] = (-2, -2, -2)
    told_s: float = 0.0
    last_trigger: int = -1
    stop_reason: str | None = None  # told to the node until it ends

    @property
    def durable(self) -> int:
        """Everything up to here is on disk, or known never to be."""
        return self.pending[0] - 1 if self.pending else self.received

    def mark_durable(self, seq: int) -> None:
        """This frame and those before it are on disk."""
        while self.pending and self.pending[0] <= seq:
            self.pending.popleft()


class Receiver:
    """Keeps a link per camera; `on_frame` and `on_idle` are called on its thread, the rest may
    come from any.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        now_ns: Callable[[], int],
        on_frame: Callable[[Frame, Link], None],
        on_idle: Callable[[], bool],
        on_bye: Callable[[Link], None],
    ) -> None:
        self.hub_id = uuid.uuid4().hex[:12]
        self.links: dict[str, Link] = {}
        self.garbage: Counter[str] = Counter()
        self.resume: dict[tuple[str, str], int] = {}  # what a restarted hub has on disk already
        self._now_ns, self._deaf = now_ns, False
        self._on_frame, self._on_idle, self._on_bye = on_frame, on_idle, on_bye
        self._claims: dict[str, tuple[str, float]] = {}
        self._stop = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = hub_socket(self._context, host, port)
        self.port = int(self._router.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self._thread = threading.Thread(target=self._run, name="receive", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take_no_more(self) -> None:
        """Leave further frames in their nodes' rings."""
        self._deaf = True

    def close(self) -> None:
        """Tell the nodes what is on disk by now, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._context.destroy(0)

    @property
    def over(self) -> bool:
        """Whether every camera has filmed its last picture: what is left is no full second."""
        states = [
            link.gone or link.report.get("state") == "stopping" for link in self.links.values()
        ]
        return bool(states) and all(states)

    def alive(self, within_s: float) -> tuple[str, ...]:
        """The cameras worth waiting for, in a fixed order."""
        now = time.monotonic()
        return tuple(
            sorted(
                camera
                for camera, link in self.links.items()
                if not link.gone
                and now - link.heard_s < (_LOSSLESS_SILENCE_S if link.lossless else within_s)
                and link.report.get("state") != "lost"
            )
        )

    def mark_durable(self, on_disk: dict[tuple[str, str], int]) -> None:
        """What the recorder has on disk, by (camera, boot_id)."""
        for (camera, boot_id), seq in on_disk.items():
            link = self.links.get(camera)
            if link and link.boot_id == boot_id:
                link.mark_durable(seq)

    def mark_taken(self, frame: Frame) -> None:
        """This frame is done with; a source that waits may send another."""
        link = self.links.get(frame.camera)
        if link and link.boot_id == frame.boot_id:
            link.taken = max(link.taken, frame.seq)

    def _run(self) -> None:
        acks_at, waits = 0.0, False
        while not self._stop.is_set():
            if self._router.poll(_WATCHFUL_MS if waits else _CALM_MS):
                for _ in range(256):
                    try:
                        parts = self._router.recv_multipart(zmq.DONTWAIT)
                    except zmq.Again:
                        break
                    self._hear(parts)
            waits = self._on_idle()
            if time.monotonic() >= acks_at:
                self._acknowledge()
                acks_at = time.monotonic() + _ACK_EVERY_S
        while self._router.poll(0):
            self._hear(self._router.recv_multipart())
        for link in self.links.values():
            self._tell_ack(link)

    def _hear(self, parts: list[bytes]) -> None:
        address, *body = parts
        if not 1 <= len(body) <= 2:
            self.garbage["wrong number of parts"] += 1
            return
        try:
            header = unpack(body[0])
            if header.get("schema") != SCHEMA:
                self.garbage["wrong schema"] += 1
                found = header.get("schema")
                self._tell(
                    address, envelope("refused", reason=f"schema is {found!r}, expected {SCHEMA}")
                )
                return
            self._take(address, header, body[1] if len(body) == 2 else None)
        except (ValueError, KeyError, TypeError, OverflowError):
            self.garbage["malformed"] += 1

    def _take(self, address: bytes, header: dict[str, Any], jpeg: bytes | None) -> None:
        kind = header.get("kind")
        if kind == "probe":
            echo = envelope("echo", sent_ns=int(header["sent_ns"]), hub_ns=self._now_ns())
            self._tell(address, echo)
        elif kind == "frame" and jpeg is not None:
            self._take_frame(address, header, jpeg)
        elif kind in ("report", "bye") and (link := self._link(address, header)):
            link.report, link.heard_s = header, time.monotonic()
            if kind == "bye":
                link.gone, link.ended = True, bool(header.get("ended"))
                self._on_bye(link)
            self._tell_ack(link)
        elif kind not in ("report", "bye"):
            self.garbage["unknown kind"] += 1

    def _link(self, address: bytes, header: dict[str, Any]) -> Link | None:
        """The camera's link; a new run of the node takes over from one that has fallen silent."""
        camera, boot_id = str(header["camera"]), str(header["boot_id"])
        link = self.links.get(camera)
        if link and link.boot_id == boot_id:
            link.address = address
            return link
        if link and not link.gone and time.monotonic() - link.heard_s < 1.0:
            first_s = self._claims.setdefault(camera, (boot_id, time.monotonic()))[1]
            if time.monotonic() - first_s > _CLAIM_S:
                self.garbage["camera name taken"] += 1
                reason = f"another camera is named {camera!r}; give each its own name"
                self._tell(address, envelope("refused", reason=reason))
            return None
        self._claims.pop(camera, None)
        new = Link(
            camera=camera,
            boot_id=boot_id,
            address=address,
            report=header,
            width_px=int(header["width_px"]),
            height_px=int(header["height_px"]),
            fps=max(float(header["fps"]), 0.1),
            lossless=header["pace"] == "lossless",
            in_step=bool(header.get("in_step")),
            heard_s=time.monotonic(),
        )
        new.received = new.taken = self.resume.get((camera, boot_id), -1)
        self.links[camera] = new
        log.info(
            "camera connected", extra={"camera": camera, "size": f"{new.width_px}x{new.height_px}"}
        )
        return new

    def _take_frame(self, address: bytes, header: dict[str, Any], jpeg: bytes) -> None:
        link = self.links.get(str(header.get("camera")))
        if self._deaf or link is None or link.boot_id != header.get("boot_id"):
            return  # its report comes first; the node's ring keeps the frame
        link.address, link.heard_s = address, time.monotonic()
        seq, after = int(header["seq"]), int(header.get("after", -1))
        if not after <= link.received < seq:
            return  # a repeat, or behind a hole that the resend fills
        link.frames += 1
        try:
            frame = from_header(Frame, header, jpeg)
            trouble = _trouble(frame, link)
        except ValueError:
            trouble = "malformed header"
        if trouble is None:
            self._on_frame(frame, link)
        else:
            link.refused[trouble] += 1
            link.taken = max(link.taken, seq)
        link.received = seq  # last, so that it is never taken for durable before it is handed on

    def _acknowledge(self) -> None:
        now = time.monotonic()
        for link in list(self.links.values()):
            stands = (link.received, link.durable, link.taken)
            if stands != link.told or now - link.told_s > _ACK_AT_LEAST_S:
                self._tell_ack(link)
                if link.stop_reason and not link.gone:
                    self._tell(link.address, envelope("stop", reason=link.stop_reason))

    def _tell_ack(self, link: Link) -> None:
        link.told, link.told_s = (link.received, link.durable, link.taken), time.monotonic()
        ack = envelope(
            "ack",
            hub_id=self.hub_id,
            camera=link.camera,
            boot_id=link.boot_id,
            received=link.received,
            durable=link.durable,
            taken=link.taken,
        )
        self._tell(link.address, ack)

    def _tell(self, address: bytes, message: dict[str, object]) -> None:
        try:
            self._router.send_multipart([address, pack(message)], zmq.DONTWAIT)
        except zmq.ZMQError:
            return  # the peer is gone or slow; it asks again


def _trouble(frame: Frame, link: Link) -> str | None:
    """Why a picture may not be decoded, if it may not: never by decoding it."""
    if not frame.intact():
        return "damaged picture"
    if (frame.width_px, frame.height_px) != (link.width_px, link.height_px):
        return "wrong size"
    if frame.jpeg[:2] != b"\xff\xd8":
        return "not a JPEG"
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(frame.jpeg)
    except ValueError:
        return "not a JPEG"
    return None if (width, height) == (frame.width_px, frame.height_px) else "wrong size"
