"""Sender and receiver over real sockets: nothing lost, nothing twice, strangers counted."""

import logging
import socket
import threading
import zlib
from contextlib import closing

import cv2
import numpy as np
import pytest
import zmq

from capture.link.sender import Sender
from cvsf.messages import MAX_VIEWS, pack, to_header
from cvsf.system.errors import Refusal
from cvsf.wire import envelope, hub_socket, node_socket, parse_host, require_loopback
from runtime.ingest.camera_connection import OnDisk
from runtime.ingest.receiver import Receiver
from tests.support.link import HEIGHT, PICTURE, WIDTH, Hub, frame, free_port, identity, running
from tests.support.product import until
from tests.support.receivers import make_receiver


@pytest.fixture
def port() -> int:
    return free_port()


def test_every_frame_arrives_once_and_in_order_and_leaves_the_ring(port: int) -> None:
    with running(port) as hub:
        sender = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=16, lossless=False)
        for seq in range(300):
            sender.put(frame(seq))
        assert until(lambda: sender.account()["in_ring"] == 0)
        sender.close(ended=True, drain_s=1)
        assert [f.seq for f in hub.frames] == list(range(300))
        assert sender.account() == {
            "exposed": 300,
            "acknowledged": 300,
            "dropped": {},
            "in_ring": 0,
            "fates": {"recorded": 300},
        }
        assert until(lambda: hub.link.gone)


def test_a_hub_that_dies_and_returns_loses_nothing_that_was_not_on_disk(port: int) -> None:
    sender = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=16, lossless=False)
    stop = threading.Event()

    def film() -> None:
        for seq in range(400):
            sender.put(frame(seq))
            stop.wait(0.002)

    camera = threading.Thread(target=film)
    camera.start()
    on_disk: set[int] = set()
    for _ in range(3):
        with running(port) as hub:
            until(lambda: len(hub.frames) > 60, 3)
        on_disk |= {f.seq for f in hub.frames}
    camera.join()
    with running(port) as hub:
        assert until(lambda: sender.account()["in_ring"] == 0)
        on_disk |= {f.seq for f in hub.frames}
    sender.close(ended=True, drain_s=0)
    assert on_disk == set(range(400))


def test_a_restarted_hub_takes_no_frame_it_has_on_disk_already(port: int) -> None:
    sender = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=16, lossless=False)
    for seq in range(50):
        sender.put(frame(seq))
    hub = Hub(port, resume={("cam0", "boot"): OnDisk(last=29, frames=30)})
    assert until(lambda: sender.account()["in_ring"] == 0)
    assert [f.seq for f in hub.frames] == list(range(30, 50))
    sender.close(ended=True, drain_s=1)
    hub.receiver.close()


def bomb() -> bytes:
    """A small JPEG whose header claims 20000 x 20000."""
    data = bytearray(PICTURE)
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (20000).to_bytes(2, "big") * 2
    return bytes(data)


def test_bad_pictures_are_counted_by_reason_and_the_camera_goes_on(port: int) -> None:
    png = bytes(cv2.imencode(".png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1])
    with running(port) as hub:
        sender = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=16, lossless=False)
        bad = [
            frame(0, PICTURE[:-40], crc32=zlib.crc32(PICTURE)),
            frame(1, bomb()),
            frame(2, bomb(), width_px=20000, height_px=20000),
            frame(3, png),
            frame(4, b""),
        ]
        for one in [*bad, frame(5)]:
            sender.put(one)
        assert until(lambda: sender.account()["in_ring"] == 0)
        sender.close(ended=True, drain_s=1)
        assert [f.seq for f in hub.frames] == [5]
        assert hub.link.fates == {
            "damaged picture": 1,
            "wrong size": 2,
            "not a JPEG": 2,
            "recorded": 1,
        }


def test_garbage_from_unknown_senders_is_counted_and_a_camera_is_received_after_it(
    port: int,
) -> None:
    rng = np.random.default_rng(7)
    with running(port) as hub, zmq.Context() as context:
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(rng.bytes(5000))
        with node_socket(context, f"tcp://127.0.0.1:{port}") as stranger:
            for _ in range(50):
                stranger.send(rng.bytes(100))
            stranger.send_multipart([b"a", b"b", b"c"])
            stranger.send(pack(envelope("report", **identity()) | {"schema": 2}))
            stranger.send(pack(envelope("report", camera="cam9")))
            stranger.send(pack(envelope("dance")))
            stranger.send(b"\xdd\xff\xff\xff\xff" + bytes(100))
            stranger.send(pack({"x" * 200: list(range(60))}) * 30)
            # the raw bytes may look like messages of an old protocol: those are counted too, and
            # may make up the number before the last of the stranger's have come
            rejected = hub.receiver.rejected
            assert until(lambda: rejected.total() >= 56 and rejected["wrong schema"] >= 1)
        sender = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=16, lossless=False)
        sender.put(frame(0))
        assert until(lambda: len(hub.frames) == 1)
        sender.close(ended=True, drain_s=1)


def test_a_second_camera_of_the_same_name_is_refused(port: int) -> None:
    with running(port):
        first = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=16, lossless=False)
        assert until(lambda: first._hub_id is not None)
        second = Sender(
            f"tcp://127.0.0.1:{port}", identity(boot_id="other"), ring_mb=16, lossless=False
        )
        assert until(lambda: second.refused is not None)
        assert first.refused is None
        for sender in (first, second):
            sender.close(ended=False, drain_s=0)


def test_a_seventeenth_camera_is_refused_and_named_and_the_others_go_on(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"cam{number}" for number in range(MAX_VIEWS + 1)]
    with running(port) as hub, caplog.at_level(logging.WARNING):
        senders: list[Sender] = []
        for name in names:
            about = identity() | {"camera": name}
            senders.append(Sender(f"tcp://127.0.0.1:{port}", about, ring_mb=1, lossless=False))
            assert until(lambda: bool(senders[-1]._hub_id or senders[-1].refused))
        assert senders[-1].refused == "it has 16 cameras already, the most of one session"
        assert [vars(r)["camera"] for r in caplog.records if "too many" in r.message] == ["cam16"]
        for seq in range(3):
            senders[0].put(frame(seq))
        assert until(lambda: len(hub.frames) == 3)
        senders[0].close(ended=True, drain_s=1)
        assert until(lambda: hub.receiver.links["cam0"].gone)
        back = identity(boot_id="again")  # one that left may come back
        senders[0] = Sender(f"tcp://127.0.0.1:{port}", back, ring_mb=1, lossless=False)
        assert until(lambda: hub.receiver.links["cam0"].boot_id == "again")
        for sender in senders:
            sender.close(ended=False, drain_s=0)
        assert set(hub.receiver.links) == set(names[:-1])


def test_a_frame_header_holds_no_picture_and_is_less_than_1000_bytes() -> None:
    header = to_header(frame(3))
    assert "jpeg" not in header
    assert len(pack(header)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":5600",
        "127.0.0.1:0",
        "127.0.0.1:99999",
        "127.0.0.1:",
        "tcp://127.0.0.1",
        "a:b",
        "::1",
    ],
)
def test_a_hub_address_that_is_not_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="HOST:PORT"):
        parse_host(text, 5600)
    assert parse_host("127.0.0.1", 5600) == "tcp://127.0.0.1:5600"
    assert parse_host("localhost:1", 5600) == "tcp://localhost:1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_that_others_can_reach_is_refused_until_keys_exist(host: str) -> None:
    with pytest.raises(Refusal, match="without authentication"):
        require_loopback(host, "frames")


def test_a_port_in_use_is_refused_by_name(port: int) -> None:
    with (
        zmq.Context() as context,
        hub_socket(context, "127.0.0.1", port),
        pytest.raises(Refusal, match=f"port {port}"),
    ):
        hub_socket(context, "127.0.0.1", port)


def test_a_receiver_on_port_0_takes_a_free_port_and_names_it() -> None:
    receiver: Receiver = make_receiver()
    receiver.start()
    with (
        closing(receiver),
        zmq.Context() as context,
        pytest.raises(Refusal, match=f"port {receiver.port}"),
    ):
        hub_socket(context, "127.0.0.1", receiver.port)
    assert receiver.port > 0
