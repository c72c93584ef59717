"""Plain GETs to a real server: the page's files, health, metrics, and who is let in at all."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response
from websockets.sync.client import connect
from websockets.typing import Origin

from runtime.stats import Stats
from runtime.streaming.http_routes import Routes, forbidden, is_allowed, is_loopback, not_found
from runtime.streaming.web_server import WebServer
from runtime.telemetry.prometheus import PrometheusMetrics

_STATS = {
    "instants": 80,
    "instants_full": 78,
    "skeletons": 79,
    "latency_ms": {"detect": {"p50": 20.0, "p95": 30.0}},
    "cameras": {"cam0": {"fps": 20.0, "received": 80, "dropped": 3, "clock_error_ms": None}},
    "engine": "lifter-1",
    "refused": {"bad crc": 2},
    "world": {"calibration": 4, "moves": 1},
}


@pytest.fixture
def server() -> Iterator[WebServer]:
    with closing(WebServer(port=0)) as server:
        yield server


def _get(server: WebServer, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_the_page_and_its_files_are_served_and_load_nothing_from_elsewhere(
    server: WebServer,
) -> None:
    status, headers, body = _get(server, "/")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"//cdn" not in body
    assert body.count(b"http://") == 1  # the name space of the drawn icon
    for path, kind in (
        ("/page.js", "text/javascript"),
        ("/scene.js", "text/javascript"),
        ("/tiles.js", "text/javascript"),
        ("/page.css", "text/css"),
    ):
        status, headers, body = _get(server, path)
        assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
        assert b"https://" not in body
    for path in ("/nothing", "/../web.py", "/page/../../web.py"):
        assert _get(server, path)[0] == 404


def test_metrics_are_what_prometheus_reads(server: WebServer) -> None:
    server.send_stats(Stats.model_validate(_STATS))
    status, headers, body = _get(server, "/metrics")
    text = body.decode()
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    for line in (
        "cvsf_instants_total 80.0",
        "cvsf_instants_partial_total 2.0",
        "cvsf_skeletons_total 79.0",
        'cvsf_frames_dropped_total{camera="cam0"} 3.0',
        'cvsf_latency_seconds{quantile="0.95",stage="detect"} 0.03',
        'cvsf_engine_info{engine="lifter-1"} 1.0',
        'cvsf_messages_refused_total{reason="bad crc"} 2.0',
        "cvsf_calibration 4.0",
        "cvsf_cameras_moved_total 1.0",
    ):
        assert line in text.splitlines()


def test_a_foreign_host_or_origin_is_refused(server: WebServer) -> None:
    own = f"127.0.0.1:{server.port}"
    assert _get(server, "/", Host="evil.example")[0] == 403
    assert _get(server, "/health", Host="localhost.evil.example:5602")[0] == 403
    assert _get(server, "/", Host=f"192.168.1.7:{server.port}")[0] == 403
    assert _get(server, "/", Host="localhost:9000")[0] == 200  # through a tunnel
    assert _get(server, "/metrics", Origin="http://evil.example")[0] == 403
    assert _get(server, "/metrics", Origin=f"http://{own}")[0] == 200
    for path in ("/live", "/skeletons"):
        for origin in ("http://evil.example", "http://127.0.0.1:1", "null"):
            with pytest.raises(InvalidStatus) as refused:
                connect(f"ws://{own}{path}", origin=Origin(origin))
            assert refused.value.response.status_code == 403


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


@pytest.fixture
def routes(metrics: PrometheusMetrics) -> Routes:
    return Routes(metrics)


def get(path: str) -> Request:
    return Request(path, Headers({"Host": "127.0.0.1:5602"}))


def health(routes: Routes) -> tuple[int, dict[str, object]]:
    response = routes.response(get("/health"))
    assert response is not None
    said = json.loads(response.body)
    assert isinstance(said, dict)
    return response.status_code, said


@pytest.mark.parametrize(
    ("host", "loops"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.8.9.10", True), ("::1", True),
        ("192.168.1.7", False), ("0.0.0.0", False), ("localhost.example.org", False), ("", False),
    ],
)  # fmt: skip
def test_only_localhost_and_loopback_addresses_mean_this_machine(host: str, loops: bool) -> None:
    assert is_loopback(host) is loops


@pytest.mark.parametrize(
    ("fields", "let_in"),
    [
        ([("Host", "127.0.0.1:5602")], True),
        ([("Host", "[::1]:5602")], True),
        ([("Host", "localhost:5602"), ("Origin", "http://localhost:5602")], True),
        ([("Host", "localhost:5602"), ("Origin", "http://127.0.0.1:5602")], False),
        ([("Host", "localhost:5602"), ("Origin", "https://localhost:5602")], False),
        ([("Host", "localhost:5602"), ("Origin", "null")], False),
        ([("Host", "localhost"), ("Host", "localhost")], False),
        ([("Host", "localhost"), *2 * [("Origin", "http://localhost")]], False),
        ([("Host", "[::1")], False),
        ([("Host", "example.org")], False),
        ([], False),
    ],
)
def test_a_browser_is_allowed_under_one_loopback_name_and_from_its_own_page(
    fields: list[tuple[str, str]], let_in: bool
) -> None:
    headers = Headers()
    for name, value in fields:
        headers[name] = value
    assert is_allowed(headers) is let_in


def test_health_is_starting_then_ok_then_stalled_once_no_figures_came_for_long(
    server: WebServer, routes: Routes, metrics: PrometheusMetrics
) -> None:
    server.send_stats(Stats.model_validate(_STATS))
    assert _get(server, "/health")[0] == 200  # over a real connection; the rest without one
    code, said = health(routes)
    assert (code, said["status"], said["stats_age_s"]) == (503, "starting", None)
    metrics.stats = Stats(instants_per_s=19.5, engine="lifter-1")
    routes.stats_s = time.monotonic()
    code, said = health(routes)
    assert (code, said["status"], said["instants_per_s"]) == (200, "ok", 19.5)
    routes.stats_s = time.monotonic() - 60
    code, said = health(routes)
    assert (code, said["status"], said["engine"]) == (503, "stalled", "lifter-1")
    assert isinstance(said["stats_age_s"], float)
    assert said["stats_age_s"] >= 60


def test_a_query_changes_no_file_and_an_unknown_path_has_no_answer(routes: Routes) -> None:
    page, asked = routes.response(get("/")), routes.response(get("/index.html?x=1"))
    assert page is not None
    assert asked is not None
    assert page.body == asked.body
    for path in ("/healthy", "/page.js/", "/../http_routes.py", "//etc/passwd", ""):
        assert routes.response(get(path)) is None


def _sent(response: Response | None) -> tuple[int, Headers]:
    assert response is not None
    assert int(response.headers["Content-Length"]) == len(response.body)
    return response.status_code, response.headers


def test_every_answer_lets_a_page_load_from_its_own_host_only(routes: Routes) -> None:
    sent = [
        _sent(r) for r in (routes.response(get("/")), routes.response(get("/metrics")), not_found())
    ]
    sent.append(_sent(forbidden()))
    assert [code for code, _ in sent] == [200, 200, 404, 403]
    for _, headers in sent:
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert "connect-src 'self' ws://127.0.0.1:5602;" in sent[0][1]["Content-Security-Policy"]
