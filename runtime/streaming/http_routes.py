"""What a plain GET is answered with (the page's files, health, metrics), and who is let in at all.

A browser is let in only under a loopback name and only from the page itself: a foreign site that
points a name of its own at this machine, or opens a WebSocket to it, gets 403.
"""

import ipaddress
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from runtime.telemetry.prometheus import Gauges

_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_STALLED_S = 5.0


def is_loopback(host: str) -> bool:
    """Whether the name means this machine and cannot be made to mean another."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_let_in(headers: Headers) -> bool:
    """Whether Host is a loopback name and Origin, where there is one, is that same host."""
    hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
    if len(hosts) != 1 or len(origins) > 1:
        return False
    try:
        host = urlsplit(f"//{hosts[0]}").hostname
    except ValueError:
        return False
    return is_loopback(host or "") and all(origin == f"http://{hosts[0]}" for origin in origins)


class Answers:
    """Every plain GET this server knows."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges
        self._files = {f"/{p.name}": (p.suffix, p.read_bytes()) for p in sorted(_PAGE.iterdir())}
        self._files["/"] = self._files["/index.html"]
        self.heard_s: float | None = None  # when the hub last gave its figures (monotonic)

    def to(self, request: Request) -> Response | None:
        """The answer, or none where no such thing is served."""
        path = urlsplit(request.path).path
        if path in self._files:
            suffix, body = self._files[path]
            kind = _TYPES.get(suffix, "application/octet-stream")
            return _response(HTTPStatus.OK, f"{kind}; charset=utf-8", body, request)
        if path == "/health":
            return self._health(request)
        if path == "/metrics":
            kind = "text/plain; version=1.0.0; charset=utf-8"
            return _response(HTTPStatus.OK, kind, self._gauges.text(), request)
        return None

    def _health(self, request: Request) -> Response:
        age_s = None if self.heard_s is None else time.monotonic() - self.heard_s
        state = "starting" if age_s is None else "ok" if age_s < _STALLED_S else "stalled"
        stats: Mapping[str, object] = self._gauges.stats
        said = {
            "status": state,
            "stats_age_s": None if age_s is None else round(age_s, 3),
            "instants_per_s": stats.get("instants_per_s"),
            "engine": stats.get("engine"),
        }
        status = HTTPStatus.OK if state == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
        return _response(status, "application/json", json.dumps(said).encode(), request)


def not_found() -> Response:
    """404, in words."""
    return _response(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"Not here.\n", None)


def forbidden() -> Response:
    """403, in words."""
    body = b"Only this machine's own page is let in.\n"
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
