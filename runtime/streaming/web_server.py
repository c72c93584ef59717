"""The page, JSON skeletons over WebSocket, health and metrics: one loopback port, its own thread.

The hub's thread only hands things over: with nobody connected that costs nothing, and nobody can
slow it.
"""

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from cvsf.messages import Frame, Instant, MultiviewPose, Skeleton
from cvsf.system.errors import Refusal
from cvsf.system.processes import WEB_PORT
from cvsf.wire import require_loopback
from runtime.streaming.client_queue import Viewer
from runtime.streaming.http_routes import Answers, forbidden, is_let_in, not_found
from runtime.streaming.json_codec import picture, skeleton_json, to_json
from runtime.streaming.one_euro import OneEuro
from runtime.telemetry.prometheus import Gauges

log = logging.getLogger(__name__)

_LIVE, _SKELETONS = "/live", "/skeletons"
_INBOUND_BYTES = 64 * 1024
_KERNEL_BYTES = 256 * 1024  # small, so that a page which stood still is not seconds behind
_VIEWERS = 16
_PICTURE_PERIOD_S = 1 / 8
_START_S = 10.0
_CLOSE_S = 1.0


class WebServer:
    """Serves from its own event loop; every public method may be called from the hub's thread."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = WEB_PORT,
        about: Mapping[str, Any] | None = None,
        on_record: Callable[[bool], None] | None = None,
    ) -> None:
        require_loopback(host, "page")
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._about = dict(about or {})
        self._on_record = on_record
        self._gauges = Gauges()
        self._answers = Answers(self._gauges)
        self._viewers: set[Viewer] = set()
        self._live = 0  # viewers that want pictures; written by the loop, read by the hub
        self._last_stats: str | None = None
        self._picture_due_s: dict[str, float] = {}
        self._one_euro = OneEuro()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        started = threading.Event()
        self._loop.call_soon(started.set)
        self._thread.start()
        if not started.wait(_START_S):
            raise Refusal("The page's server did not start in 10 s; the machine is overloaded.")

    @property
    def about(self) -> dict[str, Any]:
        """What every client is told first; setting it tells those already here."""
        return self._about

    @about.setter
    def about(self, about: Mapping[str, Any]) -> None:
        self._about = dict(about)
        self._hand_over(self._give_about)

    def send(self, skeleton: Skeleton, smooth: Skeleton | None = None) -> None:
        """Give the skeleton to every client; `smooth` spares the server its own One Euro."""
        if self._viewers:
            self._hand_over(self._give_skeleton, skeleton, smooth)

    def show(self, instant: Instant, frames: Mapping[str, Frame], pose: MultiviewPose) -> None:
        """Give the pictures with their 2D pose to pages, a few a second per camera."""
        if not self._live:
            return
        now_s = time.monotonic()
        shown = []
        for camera, frame in frames.items():
            due_s = self._picture_due_s.get(camera, 0.0)
            if now_s >= due_s:
                self._picture_due_s[camera] = max(due_s + _PICTURE_PERIOD_S, now_s)
                shown.append(frame)
        if shown:
            self._hand_over(self._give_pictures, instant.index, shown, pose)

    def send_stats(self, stats: Mapping[str, Any]) -> None:
        """Keep the figures for health and metrics, and give them to pages."""
        self._gauges.stats = stats
        self._answers.heard_s = time.monotonic()
        self._hand_over(self._give_stats, stats)

    def close(self) -> None:
        """Let every client go and end the thread."""
        if self._thread.is_alive():
            self._hand_over(self._stop.set)
            self._thread.join()
        self._socket.close()

    def _hand_over(self, act: Callable[..., None], *given: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *given)

    # What follows runs in the server's own thread.

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        # websockets logs every plain GET as a refused handshake; what matters is counted here.
        quiet = logging.getLogger(f"{__name__}.handshakes")
        quiet.setLevel(logging.CRITICAL)
        async with serve(
            self._attend,
            sock=self._socket,
            process_request=self._answer,
            compression=None,
            max_size=_INBOUND_BYTES,
            max_queue=4,
            open_timeout=5,
            close_timeout=_CLOSE_S,
            server_header=None,
            logger=quiet,
        ):
            await self._stop.wait()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if not is_let_in(request.headers):
            return forbidden()
        if urlsplit(request.path).path not in (_LIVE, _SKELETONS):
            return self._answers.to(request) or not_found()
        if len(self._viewers) >= _VIEWERS:
            return connection.respond(503, f"{_VIEWERS} clients are connected; that is all.\n")
        return None

    async def _attend(self, connection: ServerConnection) -> None:
        assert connection.request is not None  # the handshake is done
        asked = urlsplit(connection.request.path)
        smooth = parse_qs(asked.query).get("smooth", ["0"])[-1] == "1"
        viewer = Viewer(connection, live=asked.path == _LIVE, smooth=smooth)
        if self._about:  # a hub that has seen no camera yet has nothing to say
            viewer.tell("about", to_json({"about": self._about}))
        if viewer.live and self._last_stats:
            viewer.tell("stats", self._last_stats)
        self._admit(viewer)
        sending = asyncio.create_task(viewer.send_all())
        try:
            async for message in connection:
                self._obey(viewer, message)
        except ConnectionClosed:
            pass  # how it ended does not matter; that it did is seen in the number of viewers
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._dismiss(viewer)

    def _admit(self, viewer: Viewer) -> None:
        self._viewers.add(viewer)
        self._live += viewer.live
        self._gauges.viewers = len(self._viewers)

    def _dismiss(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        self._live -= viewer.live
        self._gauges.viewers = len(self._viewers)
        if viewer.dropped or viewer.ignored:
            log.info(
                "web client gone",
                extra={"messages_dropped": viewer.dropped, "commands_ignored": viewer.ignored},
            )

    def _obey(self, viewer: Viewer, message: str | bytes) -> None:
        try:
            command = json.loads(message)
        except (ValueError, RecursionError):
            command = None
        match command:
            case {"record": bool(wanted)} if viewer.live and self._on_record:
                self._on_record(wanted)
            case {"smooth": bool(wanted)}:
                viewer.smooth = wanted
            case _:
                viewer.ignored += 1

    def _give_about(self) -> None:
        self._give("about", to_json({"about": self._about}), list(self._viewers))

    def _give_skeleton(self, skeleton: Skeleton, smooth: Skeleton | None) -> None:
        if raw := [viewer for viewer in self._viewers if not viewer.smooth]:
            self._give("skeleton", skeleton_json(skeleton), raw)
        if smoothed := [viewer for viewer in self._viewers if viewer.smooth]:
            self._give("skeleton", skeleton_json(smooth or self._one_euro(skeleton)), smoothed)

    def _give_pictures(self, instant: int, frames: list[Frame], pose: MultiviewPose) -> None:
        pages = [viewer for viewer in self._viewers if viewer.live]
        for frame in frames if pages else ():
            self._give(f"picture {frame.camera}", picture(frame, instant, pose), pages)

    def _give_stats(self, stats: Mapping[str, Any]) -> None:
        self._last_stats = to_json({"stats": stats})
        self._give("stats", self._last_stats, [v for v in self._viewers if v.live])

    def _give(self, topic: str, message: str | bytes, viewers: list[Viewer]) -> None:
        for viewer in viewers:
            self._gauges.messages_dropped += viewer.tell(topic, message)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)
    try:
        listener.bind((host, port))
        listener.listen(_VIEWERS)
    except OSError as error:
        listener.close()
        raise Refusal(
            f"The page cannot be served at {host}:{port} ({error.strerror}); "
            "stop what uses that port or choose another."
        ) from error
    return listener
