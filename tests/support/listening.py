"""A short run of the product, and its clients, which keep all that they receive."""

import contextlib
import http.client
import json
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
import zmq
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from cvsf.messages import unpack
from runtime.commands.models import promote
from runtime.commands.watch import watch
from tests.support.engines import tiny
from tests.support.product import CAPTURE, Run, free_ports, running, until

SIMULATION = ["--source", "sim", "--size", "320x240", "--fps", "15", "--seed", "1000003"]


PATIENCE_S = 90.0


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a short run of the product said, to everybody who listened."""

    lines: list[dict[str, Any]]
    data: Path
    session: Path
    truth: Path
    zmq: dict[str, list[dict[str, Any]]]
    web: dict[str, list[dict[str, Any]]]
    health: dict[str, Any]
    metrics: str
    watched: list[dict[str, Any]]


@dataclass(frozen=True)
class Listener:
    """Two clients of a hub, each on a thread of its own until they are told to stop."""

    ports: Mapping[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    zmq: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    web: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def subscribe(self) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as client:
            client.setsockopt(zmq.LINGER, 0)
            client.setsockopt(zmq.SUBSCRIBE, b"")
            client.connect(f"tcp://127.0.0.1:{self.ports['--skeletons-port']}")
            while not self.stop.is_set():
                if client.poll(100):
                    topic, content = client.recv_multipart()
                    self.zmq[topic.decode()].append(unpack(content, trusted=True))

    def look(self) -> None:
        address = f"ws://127.0.0.1:{self.ports['--web-port']}/live"
        while not self.stop.is_set():
            with (
                contextlib.suppress(OSError, TimeoutError, ConnectionClosed),
                connect(address) as page,
            ):
                while not self.stop.is_set():
                    self._sort(page.recv(timeout=0.5))
            self.stop.wait(0.1)

    def _sort(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            (size,) = struct.unpack_from("<I", message)
            self.web["picture"].append(json.loads(message[4 : 4 + size]))
            return
        told = json.loads(message)
        self.web[told.get("kind") or next(iter(told))].append(told)


@contextlib.contextmanager
def listening(ports: Mapping[str, str]) -> Iterator[Listener]:
    listener = Listener(ports)
    threads = [threading.Thread(target=act) for act in (listener.subscribe, listener.look)]
    for thread in threads:
        thread.start()
    try:
        yield listener
    finally:
        listener.stop.set()
        for thread in threads:
            thread.join()


def short_run(data: Path) -> Heard:
    """Two simulated cameras until theirs places are known; at the end another engine serves."""
    words, truth = free_ports(), data / "truth.npz"
    ports = dict(zip(words[::2], words[1::2], strict=True))
    command = [*CAPTURE, "--cams", "2", *SIMULATION, "--headless", "--data", str(data), *words]
    with (
        running([*command, "--height", "1.75", "--truth", str(truth)]) as capture,
        listening(ports) as listener,
    ):
        assert until(lambda: _placed_for(capture, 2.0), PATIENCE_S)
        watched = _watched("--port", ports["--skeletons-port"], "--seconds", "2")
        health, metrics = (_got(ports["--web-port"], path) for path in ("/health", "/metrics"))
        better = tiny(data / "compiled", "better")
        promote(str(better), "for a test", data)
        assert until(lambda: capture.lines[-1]["engine"] == "better", PATIENCE_S)
        capture.ask_to_end()
    assert capture.process.returncode == 0
    return Heard(
        lines=capture.lines,
        data=data,
        session=Path(capture.lines[-1]["session"]),
        truth=truth,
        zmq=listener.zmq,
        web=listener.web,
        health=json.loads(health),
        metrics=metrics,
        watched=watched,
    )


def _placed_for(capture: Run, seconds: float) -> bool:
    since = [line["t_s"] for line in capture.lines if line["world"]["calibration"]]
    return bool(since) and capture.lines[-1]["t_s"] >= since[0] + seconds


def _watched(*words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _out(watch, *words, "--json").splitlines()]


def _out(command: Any, *words: str) -> str:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _got(port: str, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
