"""The page, JSON skeletons over WebSocket, health and metrics: one loopback port, its own thread.

The hub's thread only queues messages, and nothing if there is no client; no client can slow it.
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
from runtime.stats import Stats
from runtime.streaming.client_queue import Client
from runtime.streaming.http_routes import Routes, forbidden, is_allowed, not_found
from runtime.streaming.json_codec import picture, skeleton_json, to_json
from runtime.streaming.one_euro import OneEuro
from runtime.telemetry.prometheus import PrometheusMetrics

log = logging.getLogger(__name__)

_LIVE, _SKELETONS = "/live", "/skeletons"
_INBOUND_BYTES = 64 * 1024
_KERNEL_BYTES = 256 * 1024  # small, so that a page that was blocked is not seconds behind
_CLIENTS = 16
_PICTURE_PERIOD_S = 1 / 8
"""Of one camera on the page; a guess, not measured."""
_START_S = 10.0
_CLOSE_S = 1.0


class WebServer:
    """Serves from its own event loop; every public method may be called from the hub's thread.

    The constructor binds the port and starts the thread. Refusal if the port is taken, the host is
    not loopback, or the thread does not start in 10 s.
    """

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
        self._metrics = PrometheusMetrics()
        self._routes = Routes(self._metrics)
        self._clients: set[Client] = set()
        self._live = 0  # clients that want pictures; written by the loop, read by the hub
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
        """What a new client gets first, as a map; setting it queues it for all clients.

        The own map is returned, not a copy; setting it takes a copy. A new client gets nothing
        while it is empty.
        """
        return self._about

    @about.setter
    def about(self, about: Mapping[str, Any]) -> None:
        self._about = dict(about)
        self._run_on_loop(self._send_about)

    def send(self, skeleton: Skeleton, smooth: Skeleton | None = None) -> None:
        """Queue the skeleton for every client; returns at once.

        Clients that want it smoothed get `smooth`, or the server's own filter's result without it.
        """
        if self._clients:
            self._run_on_loop(self._send_skeleton, skeleton, smooth)

    def show(self, instant: Instant, frames: Mapping[str, Frame], pose: MultiviewPose) -> None:
        """Queue pictures with their 2D pose for pages, at most 8 a second per camera; returns at
        once.

        Nothing happens while no page is open.
        """
        if not self._live:
            return
        now_s = time.monotonic()
        pictures = []
        for camera, frame in frames.items():
            due_s = self._picture_due_s.get(camera, 0.0)
            if now_s >= due_s:
                self._picture_due_s[camera] = max(due_s + _PICTURE_PERIOD_S, now_s)
                pictures.append(frame)
        if pictures:
            self._run_on_loop(self._send_pictures, instant.index, pictures, pose)

    def send_stats(self, stats: Stats) -> None:
        """Keep the stats for health and metrics, and queue them for pages; returns at once.

        A new page gets the last ones. `/health` says `stalled` 5 s after the last call.
        """
        self._metrics.stats = stats
        self._routes.stats_s = time.monotonic()
        self._run_on_loop(self._send_stats, stats)

    def close(self) -> None:
        """Disconnect every client, end the server's thread and close its socket.

        Blocks until the thread has ended; a second call does nothing.
        """
        if self._thread.is_alive():
            self._run_on_loop(self._stop.set)
            self._thread.join()
        self._socket.close()

    def _run_on_loop(self, act: Callable[..., None], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *arguments)

    # the methods below run on the server's thread

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        # websockets logs every plain GET as a refused handshake; clients are counted here.
        quiet = logging.getLogger(f"{__name__}.handshakes")
        quiet.setLevel(logging.CRITICAL)
        async with serve(
            self._serve_client,
            sock=self._socket,
            process_request=self._respond,
            compression=None,
            max_size=_INBOUND_BYTES,
            max_queue=4,
            open_timeout=5,
            close_timeout=_CLOSE_S,
            server_header=None,
            logger=quiet,
        ):
            await self._stop.wait()

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        if not is_allowed(request.headers):
            return forbidden()
        if urlsplit(request.path).path not in (_LIVE, _SKELETONS):
            return self._routes.response(request) or not_found()
        if len(self._clients) >= _CLIENTS:
            return connection.respond(503, f"{_CLIENTS} clients are connected already.\n")
        return None

    async def _serve_client(self, connection: ServerConnection) -> None:
        assert connection.request is not None  # the handshake is done
        address = urlsplit(connection.request.path)
        smooth = parse_qs(address.query).get("smooth", ["0"])[-1] == "1"
        client = Client(connection, live=address.path == _LIVE, smooth=smooth)
        if self._about:  # empty until a camera has joined
            client.queue("about", to_json({"about": self._about}))
        if client.live and self._last_stats:
            client.queue("stats", self._last_stats)
        self._add(client)
        sending = asyncio.create_task(client.send_all())
        try:
            async for message in connection:
                self._handle(client, message)
        except ConnectionClosed:
            pass  # the client is removed below, however it ended
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._remove(client)

    def _add(self, client: Client) -> None:
        self._clients.add(client)
        self._live += client.live
        self._metrics.clients = len(self._clients)

    def _remove(self, client: Client) -> None:
        self._clients.discard(client)
        self._live -= client.live
        self._metrics.clients = len(self._clients)
        if client.dropped or client.ignored:
            log.info(
                "web client gone",
                extra={"messages_dropped": client.dropped, "commands_ignored": client.ignored},
            )

    def _handle(self, client: Client, message: str | bytes) -> None:
        try:
            command = json.loads(message)
        except (ValueError, RecursionError):
            command = None
        match command:
            case {"record": bool(wanted)} if client.live and self._on_record:
                self._on_record(wanted)
            case {"smooth": bool(wanted)}:
                client.smooth = wanted
            case _:
                client.ignored += 1

    def _send_about(self) -> None:
        self._send_to("about", to_json({"about": self._about}), list(self._clients))

    def _send_skeleton(self, skeleton: Skeleton, smooth: Skeleton | None) -> None:
        if raw := [client for client in self._clients if not client.smooth]:
            self._send_to("skeleton", skeleton_json(skeleton), raw)
        if smoothed := [client for client in self._clients if client.smooth]:
            self._send_to("skeleton", skeleton_json(smooth or self._one_euro(skeleton)), smoothed)

    def _send_pictures(self, instant: int, frames: list[Frame], pose: MultiviewPose) -> None:
        pages = [client for client in self._clients if client.live]
        for frame in frames if pages else ():
            self._send_to(f"picture {frame.camera}", picture(frame, instant, pose), pages)

    def _send_stats(self, stats: Stats) -> None:
        self._last_stats = to_json({"stats": stats.to_map()})
        self._send_to("stats", self._last_stats, [v for v in self._clients if v.live])

    def _send_to(self, topic: str, message: str | bytes, clients: list[Client]) -> None:
        for client in clients:
            self._metrics.messages_dropped += client.queue(topic, message)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)
    try:
        listener.bind((host, port))
        listener.listen(_CLIENTS)
    except OSError as error:
        listener.close()
        raise Refusal(
            f"The page cannot be served at {host}:{port} ({error.strerror}); "
            "stop what uses that port or choose another."
        ) from error
    return listener
