"""The web server with real connections: what is served, who is let in, and nobody slows the hub."""

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from cvsf.messages import Instant, MultiviewPose, Skeleton
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from runtime.stats import Stats
from runtime.streaming import client_queue
from runtime.streaming.json_codec import about
from runtime.streaming.web_server import WebServer
from tests.support.material import make_frame, make_skeleton

_J = len(H36M_16)
_ABOUT = about(H36M_16, ["cam0", "cam1"], "lifter-1")
_STATS: dict[str, Any] = {
    "t_s": 4.0,
    "instants": 80,
    "instants_full": 78,
    "instants_per_s": 19.9,
    "skeletons": 79,
    "latency_ms": {"detect": {"p50": 20.0, "p95": 30.0}},
    "cameras": {
        "cam0": {"fps": 20.0, "received": 80, "dropped": 3, "clock_error_ms": float("nan")}
    },
    "engine": "lifter-1",
    "recording": False,
    "refused": {"bad crc": 2},
}


def _skeleton(instant: int) -> Skeleton:
    return make_skeleton(instant, joints=np.full((_J, 3), instant, np.float32))


def _show(server: WebServer, index: int, jpeg: bytes = b"\xff\xd8 as the camera made it") -> None:
    pose = MultiviewPose(
        t_ns=index,
        instant=index,
        cameras=("cam0", "cam1"),
        image_px=np.full((2, 2), 640, np.float32),
        keypoints_px=np.full((2, _J, 2), 12.34, np.float32),
        confidence=np.full((2, _J), 0.5, np.float32),
    )
    frames = {camera: make_frame(camera, index, jpeg) for camera in ("cam0", "cam1")}
    instant = Instant(index=index, t_ns=index, frames={}, expected=(), spread_ns=0)
    server.show(instant, frames, pose)


@pytest.fixture
def asked() -> list[bool]:
    return []


@pytest.fixture
def server(asked: list[bool]) -> Iterator[WebServer]:
    with closing(WebServer(port=0, about=_ABOUT, on_record=asked.append)) as server:
        yield server


def _get(server: WebServer, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@contextmanager
def _connect(server: WebServer, path: str, **options: Any) -> Iterator[Connection]:
    address = f"ws://127.0.0.1:{server.port}{path}"
    with connect(address, compression=None, **options) as connection:
        yield connection


def _hear(client: Connection) -> Any:
    message = client.recv(timeout=5)
    return message if isinstance(message, bytes) else json.loads(message)


def test_a_client_gets_the_about_message_first_and_then_skeletons(server: WebServer) -> None:
    with _connect(server, "/skeletons") as client:
        assert _hear(client) == {"about": _ABOUT}
        server.send(_skeleton(7))
        said = _hear(client)
        assert (said["kind"], said["instant"], said["smoothed"]) == ("skeleton", 7, False)
        assert said["joints"] == [[7.0, 7.0, 7.0]] * _J
        server.about = _ABOUT | {"engine": "lifter-2"}
        assert _hear(client)["about"]["engine"] == "lifter-2"


def test_before_the_first_camera_nothing_is_sent_and_then_about_comes_first() -> None:
    with closing(WebServer(port=0)) as server, _connect(server, "/skeletons") as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.2)
        server.about = _ABOUT
        server.send(_skeleton(1))
        assert _hear(client) == {"about": _ABOUT}
        assert _hear(client)["instant"] == 1


def test_a_client_that_asks_for_smoothing_gets_smoothed_skeletons_and_another_raw_ones(
    server: WebServer,
) -> None:
    with _connect(server, "/skeletons?smooth=1") as client, _connect(server, "/skeletons") as other:
        for each in (client, other):
            _hear(each)
        for instant in range(3):
            server.send(_skeleton(instant))
            smooth, raw = _hear(client), _hear(other)
            assert smooth["smoothed"]
            assert not raw["smoothed"]
        assert smooth["joints"] != raw["joints"]


def test_pages_get_the_cameras_own_jpeg_at_most_8_times_a_second(server: WebServer) -> None:
    jpeg = bytes(range(256)) * 100
    with _connect(server, "/live") as page:
        assert "about" in _hear(page)
        started, index = time.monotonic(), 0
        while time.monotonic() - started < 1.0:
            _show(server, index, jpeg)
            index += 1
            time.sleep(0.01)
        lasted_s = time.monotonic() - started
        server.send_stats(Stats.model_validate(_STATS))
        pictures = []
        while isinstance(heard := _hear(page), bytes):
            pictures.append(heard)
    assert 4 <= len(pictures) <= 2 * (1 + 8 * lasted_s)  # of two cameras
    length = struct.unpack("<I", pictures[0][:4])[0]
    header = json.loads(pictures[0][4 : 4 + length])
    assert (header["kind"], header["camera"], header["instant"]) == ("picture", "cam0", 0)
    assert header["keypoints_px"][0] == [12.3, 12.3]
    assert pictures[0][4 + length :] == jpeg


def test_figures_that_are_not_finite_are_null_for_the_page(server: WebServer) -> None:
    with _connect(server, "/live") as page:
        _hear(page)
        server.send_stats(Stats.model_validate(_STATS))
        assert _hear(page)["stats"]["cameras"]["cam0"]["clock_error_ms"] is None
    with _connect(server, "/live") as late:  # who comes between two seconds need not wait
        _hear(late)
        assert _hear(late)["stats"]["instants"] == 80


def test_the_record_button_reaches_the_hub_and_nonsense_does_not(
    server: WebServer, asked: list[bool]
) -> None:
    with _connect(server, "/skeletons") as reader:
        reader.send('{"record": true}')  # not from a page
        with _connect(server, "/live") as page:
            for nonsense in ('{"record": 1}', "[", "[" * 30_000, '"x"', b"\x00", '{"exit": true}'):
                page.send(nonsense)
            page.send('{"record": true}')
            page.send('{"record": false}')
            until_s = time.monotonic() + 5
            while len(asked) < 2 and time.monotonic() < until_s:
                time.sleep(0.01)
    assert asked == [True, False]


def test_an_oversized_message_ends_only_its_own_connection(server: WebServer) -> None:
    with _connect(server, "/live") as page, _connect(server, "/skeletons") as other:
        page.send("x" * 70_000)
        with pytest.raises(ConnectionClosedError, match="1009"):
            list(page)
        _hear(other)
        server.send(_skeleton(1))
        assert _hear(other)["instant"] == 1


def test_a_page_that_stops_reading_is_disconnected_and_its_lost_messages_counted(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_queue, "_BEHIND_S", 0.5)
    with socket.create_connection(("127.0.0.1", server.port)) as still:
        still.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        still.sendall(
            b"GET /live HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b"101" in still.recv(100)
        longest_s, index, text = 0.0, 0, ""
        until_s = time.monotonic() + 15
        while time.monotonic() < until_s and not (index > 50 and "cvsf_viewers 0.0" in text):
            started_s = time.perf_counter()
            _show(server, index, b"x" * 400_000)
            server.send(_skeleton(index))
            longest_s = max(longest_s, time.perf_counter() - started_s)
            index += 1
            time.sleep(0.02)
            text = _get(server, "/metrics")[1] if index % 10 == 0 else text
    assert "cvsf_viewers 0.0" in text
    dropped = next(
        line for line in text.splitlines() if line.startswith("cvsf_viewer_messages_dropped_total")
    )
    assert float(dropped.split()[1]) > 0
    assert longest_s < 5


def test_the_seventeenth_client_is_refused_with_503(server: WebServer) -> None:
    with ExitStack() as connected:
        for _ in range(16):
            _hear(connected.enter_context(_connect(server, "/skeletons")))
        with pytest.raises(InvalidStatus) as refused:
            connected.enter_context(_connect(server, "/skeletons"))
        assert refused.value.response.status_code == 503


def test_the_server_answers_after_garbage_on_its_port(server: WebServer) -> None:
    for garbage in (
        b"\x00\xff" * 500,
        b"GET",
        b"POST / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as stranger:
            stranger.sendall(garbage)
    assert _get(server, "/")[0] == 200


def test_with_nobody_connected_a_skeleton_costs_less_than_2_ms_of_processor_time(
    server: WebServer,
) -> None:
    started_s = time.thread_time()
    for instant in range(200):
        server.send(_skeleton(instant))
        _show(server, instant)
    with_messages_s = time.thread_time() - started_s
    started_s = time.thread_time()
    for instant in range(200):
        _skeleton(instant)
    assert (with_messages_s - (time.thread_time() - started_s)) / 200 < 2e-3


def test_only_loopback_is_served_and_a_port_in_use_is_refused(server: WebServer) -> None:
    for host in ("0.0.0.0", "192.168.1.7", "::"):
        with pytest.raises(Refusal, match="without authentication"):
            WebServer(host, 0)
    with pytest.raises(Refusal, match="in use"):
        WebServer("127.0.0.1", server.port)


def test_closing_with_clients_connected_leaves_no_thread() -> None:
    server = WebServer(port=0, about=_ABOUT)
    with _connect(server, "/live") as page, _connect(server, "/skeletons"):
        _hear(page)
        started_s = time.monotonic()
        server.close()
        assert time.monotonic() - started_s < 15
    assert "web" not in [thread.name for thread in threading.enumerate()]
    server.send(_skeleton(1))  # a hub that is ending may still have one in hand
    server.close()
