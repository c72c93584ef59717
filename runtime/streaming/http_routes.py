"""Responses to a plain GET (the page's files, health, metrics), and which requests are allowed.

A browser is allowed only under a loopback name, and only from the page itself. Another site that
points its name at this machine (DNS rebinding), or opens a WebSocket to it, gets 403.
"""

import ipaddress
import json
import time
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from runtime.telemetry.prometheus import PrometheusMetrics

_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_STALLED_S = 5.0
"""Stats are due every second; a hub without any for so long is stalled. A guess, not measured."""


def is_loopback(host: str) -> bool:
    """Whether the host is `localhost` or a loopback address (IPv4 or IPv6, without a port).

    No name is looked up: another name, or an empty text, gives False.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_allowed(headers: Headers) -> bool:
    """Whether Host is a loopback name and Origin, where there is one, is that same host and port.

    False too if Host is missing, repeated or malformed.
    """
    hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
    if len(hosts) != 1 or len(origins) > 1:
        return False
    try:
        host = urlsplit(f"//{hosts[0]}").hostname
    except ValueError:
        return False
    return is_loopback(host or "") and all(origin == f"http://{hosts[0]}" for origin in origins)


class Routes:
    """Every plain GET that this server serves."""

    def __init__(self, metrics: PrometheusMetrics) -> None:
        self._metrics = metrics
        self._files = {f"/{p.name}": (p.suffix, p.read_bytes()) for p in sorted(_PAGE.iterdir())}
        self._files["/"] = self._files["/index.html"]
        self.stats_s: float | None = None  # when the last stats came (monotonic)

    def response(self, request: Request) -> Response | None:
        """The HTTP response to a request; None for an unknown path (the query does not count).

        Known are the page's files, `/health` and `/metrics`. `/health` is 503 before the first
        stats, and 5 s after the last ones.
        """
        path = urlsplit(request.path).path
        if path in self._files:
            suffix, body = self._files[path]
            kind = _TYPES.get(suffix, "application/octet-stream")
            return _response(HTTPStatus.OK, f"{kind}; charset=utf-8", body, request)
        if path == "/health":
            return self._health(request)
        if path == "/metrics":
            kind = "text/plain; version=1.0.0; charset=utf-8"
            return _response(HTTPStatus.OK, kind, self._metrics.text(), request)
        return None

    def _health(self, request: Request) -> Response:
        age_s = None if self.stats_s is None else time.monotonic() - self.stats_s
        state = "starting" if age_s is None else "ok" if age_s < _STALLED_S else "stalled"
        stats = None if age_s is None else self._metrics.stats
        health = {
            "status": state,
            "stats_age_s": None if age_s is None else round(age_s, 3),
            "instants_per_s": stats and stats.instants_per_s,
            "engine": stats and stats.engine,
        }
        status = HTTPStatus.OK if state == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
        return _response(status, "application/json", json.dumps(health).encode(), request)


def not_found() -> Response:
    """The HTTP response 404."""
    return _response(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"Not here.\n", None)


def forbidden() -> Response:
    """The HTTP response 403 with a line of plain text; it only builds it and sends nothing."""
    body = b"Only this machine's own page is allowed.\n"
    return _response(HTTPStatus.FORBIDDEN, "text/plain; charset=utf-8", body, None)


def _response(status: HTTPStatus, kind: str, body: bytes, request: Request | None) -> Response:
    host = request.headers["Host"] if request else "localhost"
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
            f"img-src 'self' data: blob:; connect-src 'self' ws://{host}; frame-ancestors 'none'; "
            "base-uri 'none'; form-action 'none'",
        }
    )
    return Response(status.value, status.phrase, headers, body)
