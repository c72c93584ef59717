"""What goes wrong in flight, on a real hub: counted, and survived by all that is sound."""

import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from capture.simulator.scenario import Staged
from capture.simulator.simulated_camera import open_simulated
from capture.sources.source import SourceConfig
from cvsf.client import skeletons
from cvsf.messages import pack, to_header, unpack
from cvsf.session.reader import read_manifest
from cvsf.wire import envelope, node_socket
from tests.support.fake_camera import FPS, HEIGHT, WIDTH, FakeCamera, filming
from tests.support.material import make_frame
from tests.support.product import HUB, Run, accounted, free_ports, readable, running, until


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    """A skier, as one camera of the slope sees it."""
    source = open_simulated(
        Staged(index=0, moving=False), SourceConfig(size=(WIDTH, HEIGHT), fps=60)
    )
    taken = [source.read(1.0) for _ in range(8)]
    source.close()
    return [exposure.jpeg for exposure in taken if exposure]


@pytest.fixture(scope="module")
def ports_of_hub() -> list[str]:
    return free_ports()


@pytest.fixture(scope="module")
def port(ports_of_hub: list[str]) -> str:
    return ports_of_hub[1]


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, ports_of_hub: list[str], pictures: list[bytes]
) -> Iterator[Run]:
    """A hub that all this happens to, with a sound camera that must not lose a picture by it."""
    data = tmp_path_factory.mktemp("hub")
    words = ["--detector", "sim-skier", "--anchor-ns", "0", "--headless", "--data", str(data)]
    with running([*HUB, *words, *ports_of_hub]) as run:
        with filming(FakeCamera("sound", ports_of_hub[1]), pictures):
            assert until(lambda: bool(run.lines) and run.lines[-1]["instants"] > 3, 30), run.said
            yield run
        assert run.ask_to_end() < 15  # 2 where idle
        assert run.process.returncode == 0, run.said
    final = run.lines[-1]
    assert final["final"] is True
    assert accounted(final["cameras"])
    sound = final["cameras"]["sound"]
    assert sound["exposed"] == sound["recorded"] > 0
    assert read_manifest(Path(final["session"])).sealed
    assert readable(Path(final["session"])) == {
        camera: figures["recorded"]
        for camera, figures in final["cameras"].items()
        if figures["recorded"]
    }


def still_goes_on(run: Run) -> bool:
    """Whether instants are looked at after what happened so far."""
    before = run.lines[-1]["instants"]
    return until(lambda: run.lines[-1]["instants"] > before + 3, 10)


def resident_mb(run: Run) -> float:
    rows = Path(f"/proc/{run.process.pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024


def of(run: Run, camera: str) -> dict[str, Any]:
    """The camera's newest figures; empty until it has joined."""
    figures: dict[str, Any] = run.lines[-1]["cameras"].get(camera, {})
    return figures


def test_garbage_on_every_port_is_counted_and_survived(hub: Run, ports_of_hub: list[str]) -> None:
    rng = np.random.default_rng(7)
    before = sum(hub.lines[-1]["refused"].values())
    for port in ports_of_hub[1::2]:
        for noise in (rng.bytes(5000), b"GET / HTTP/1.0\r\n\r\n", b"\xff\0\0\0\0\0\0\0\x01\x7f"):
            with socket.create_connection(("127.0.0.1", int(port))) as raw:
                raw.sendall(noise)
    endpoint = f"tcp://127.0.0.1:{ports_of_hub[1]}"
    with zmq.Context() as context, node_socket(context, endpoint) as stranger:
        for _ in range(40):
            stranger.send_multipart([rng.bytes(60), rng.bytes(60)])
        stranger.send(pack(envelope("report", camera="x", boot_id="b", exposed=float("nan"))))
        stranger.send(pack(envelope("dance")))
        assert until(lambda: sum(hub.lines[-1]["refused"].values()) >= before + 42)
    assert still_goes_on(hub)


def test_another_schema_is_refused_with_what_was_expected(hub: Run, port: str) -> None:
    with zmq.Context() as context, node_socket(context, f"tcp://127.0.0.1:{port}") as stranger:
        stranger.send(pack(envelope("report", camera="new") | {"schema": 2}))
        assert stranger.poll(20_000)
        answer = unpack(stranger.recv())
    assert (answer["kind"], answer["reason"]) == ("refused", "schema is 2, expected 1")
    assert until(lambda: hub.lines[-1]["refused"].get("wrong schema", 0) >= 1)


def test_a_truncated_jpeg_is_counted_and_the_camera_goes_on(
    hub: Run, port: str, pictures: list[bytes]
) -> None:
    camera = FakeCamera("torn", port)
    for jpeg in pictures:
        camera.shoot(jpeg[:-200], crc32=zlib.crc32(jpeg))  # torn on the way
        camera.shoot(jpeg[: len(jpeg) // 2])  # made so by the camera
        time.sleep(1 / FPS)
    camera.shoot(pictures[0])
    taken = len(pictures) + 1
    assert until(lambda: of(hub, "torn").get("recorded") == taken), of(hub, "torn")
    camera.close()
    assert of(hub, "torn")["dropped_by"] == {"damaged picture": len(pictures)}
    assert until(lambda: hub.lines[-1]["left_out"].get("torn: broken picture", 0) > 0)


def test_a_picture_that_claims_20000_x_20000_is_not_decoded(
    hub: Run, port: str, pictures: list[bytes]
) -> None:
    bomb = bytearray(pictures[0])
    at = bomb.index(b"\xff\xc0") + 5
    bomb[at : at + 4] = (20000).to_bytes(2, "big") * 2
    before_mb = resident_mb(hub)
    camera = FakeCamera("bomb", port)
    camera.shoot(bytes(bomb))
    camera.shoot(bytes(bomb), width_px=20000, height_px=20000)
    camera.shoot(pictures[0])
    assert until(lambda: of(hub, "bomb").get("recorded") == 1), of(hub, "bomb")
    camera.close()
    assert of(hub, "bomb")["dropped_by"] == {"wrong size": 2}
    with zmq.Context() as context, node_socket(context, f"tcp://127.0.0.1:{port}") as stranger:
        about = camera.identity() | {"camera": "huge", "width_px": 20000, "height_px": 20000}
        stranger.send(pack(envelope("report", **about)))
        assert stranger.poll(20_000)
        assert "20000x20000" in unpack(stranger.recv())["reason"]
    assert until(lambda: hub.lines[-1]["refused"].get("impossible camera") == 1)
    assert still_goes_on(hub)
    assert resident_mb(hub) < before_mb + 50


def test_a_view_that_freezes_is_left_out_until_it_moves_again(
    hub: Run, port: str, pictures: list[bytes]
) -> None:
    with filming(FakeCamera("frozen", port), pictures[:1]):
        assert until(lambda: hub.lines[-1]["left_out"].get("frozen: frozen", 0) > 2, 10)
        assert of(hub, "frozen")["state"] == "live"
    left_out = hub.lines[-1]["left_out"]["frozen: frozen"]
    with filming(FakeCamera("frozen", port, boot_id="b"), pictures):
        full = hub.lines[-1]["instants_full"]
        assert until(lambda: hub.lines[-1]["instants_full"] > full + 5, 10)
    assert hub.lines[-1]["left_out"]["frozen: frozen"] <= left_out + FPS


def latency_and_rate(ports_of_hub: list[str]) -> tuple[float, float]:
    """Of the next instants: median seconds from exposure to here, and how many a second."""
    coming = skeletons("127.0.0.1", int(ports_of_hub[3]), timeout_s=20)
    seen = [(time.monotonic_ns(), skeleton) for skeleton in islice(coming, 20)]
    (begun_ns, first), (ended_ns, last) = seen[0], seen[-1]
    late_s = np.median([now_ns - skeleton.t_ns for now_ns, skeleton in seen]) / 1e9
    return float(late_s), (last.instant - first.instant) / ((ended_ns - begun_ns) / 1e9)


@pytest.mark.slow
def test_a_camera_that_stops_sending_does_not_delay_the_others(
    hub: Run, ports_of_hub: list[str], port: str, pictures: list[bytes]
) -> None:
    latency_s, rate = latency_and_rate(ports_of_hub)
    camera = FakeCamera("mute", port)
    for jpeg in pictures:
        camera.shoot(jpeg)
        time.sleep(1 / FPS)
    assert of(hub, "mute")["state"] != "ended"
    without_s, rate_without = latency_and_rate(ports_of_hub)
    assert without_s < latency_s + 2 / FPS, "it is waited for 50 ms, and 0.5 s is too long"
    assert rate_without > 0.7 * rate
    camera.close()
    assert until(lambda: of(hub, "mute")["state"] == "ended")


def test_frames_twice_out_of_order_late_and_from_the_future_are_counted(
    hub: Run, port: str, pictures: list[bytes]
) -> None:
    late, ahead = hub.lines[-1]["frames_late"], hub.lines[-1]["frames_ahead"]
    camera = FakeCamera("mixed", port)
    period_ns = int(1e9 / FPS)
    with zmq.Context() as context, node_socket(context, f"tcp://127.0.0.1:{port}") as node:
        node.send(pack(envelope("report", **camera.identity())))

        def send(seq: int, after: int, old_ns: int = 0) -> None:
            now_ns = time.monotonic_ns()
            changes = {"boot_id": "a", "width_px": WIDTH, "height_px": HEIGHT}
            frame = make_frame("mixed", seq, pictures[0], t_ns=now_ns - old_ns, **changes)
            node.send_multipart([pack(to_header(frame) | {"after": after}), frame.jpeg])

        send(0, -1)
        send(2, 1)  # 1 is on its way by another road
        send(1, 0)
        send(1, 0)
        send(2, 1)
        time.sleep(3 / FPS)
        send(3, 2, old_ns=4 * period_ns)
        send(4, 3, old_ns=-60 * 10**9)
        done = envelope("bye", ended=True, exposed=5, acknowledged=5, **camera.identity())
        assert until(lambda: of(hub, "mixed").get("received") == 5)
        node.send(pack(done))
        assert until(lambda: of(hub, "mixed")["state"] == "ended")
    camera.close()
    assert (of(hub, "mixed")["repeated"], of(hub, "mixed")["out_of_order"]) == (1, 1)
    assert until(lambda: of(hub, "mixed")["recorded"] == 5)
    assert hub.lines[-1]["frames_late"] > late
    assert hub.lines[-1]["frames_ahead"] == ahead + 1
    assert still_goes_on(hub)


def test_a_subscriber_that_never_reads_neither_stops_nor_grows_the_hub(
    hub: Run, ports_of_hub: list[str]
) -> None:
    endpoint = f"tcp://127.0.0.1:{ports_of_hub[3]}"
    with zmq.Context() as context, ExitStack() as stack:
        for topic in (b"stats", b"skeleton.raw", b"skeleton.smooth", b""):
            sleeper = stack.enter_context(context.socket(zmq.SUB))
            sleeper.set(zmq.RCVHWM, 1)
            sleeper.set(zmq.RCVBUF, 1024)
            sleeper.set(zmq.SUBSCRIBE, topic)
            sleeper.connect(endpoint)
        before_mb = resident_mb(hub)
        seen = [
            skeleton.instant
            for skeleton, _ in zip(
                skeletons("127.0.0.1", int(ports_of_hub[3]), timeout_s=10), range(10), strict=False
            )
        ]
    # newest wins: on a busy machine who reads may skip, but goes on and sees none twice
    assert seen == sorted(set(seen))
    assert seen[-1] - seen[0] < 120
    assert resident_mb(hub) < before_mb + 20


def test_a_second_camera_of_one_name_is_refused_and_the_first_goes_on(hub: Run, port: str) -> None:
    node = [*HUB[:-1], "node", "--camera", "sound", "--uri", "sim:still?index=0"]
    few = ["--hub", f"127.0.0.1:{port}", "--size", f"{WIDTH}x{HEIGHT}", "--fps", "8"]
    with running([*node, *few]) as second:
        second.process.wait(30)
    assert second.process.returncode == 2
    assert "another camera has the name 'sound'" in "".join(second.said)
    assert until(lambda: hub.lines[-1]["refused"].get("camera name taken", 0) >= 1)
    assert of(hub, "sound")["state"] == "live"
