"""The messages of a run have the keys of the committed list: ZeroMQ, WebSocket, HTTP, the wire."""

import json
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from cvsf.hub_config import HubConfig
from cvsf.messages import pack, to_header, unpack
from cvsf.registry.registry import Registry
from cvsf.skeleton import H36M_16
from cvsf.wire import envelope, hub_socket, node_socket
from runtime.detection.bundle import SIMULATED
from runtime.lifting.hot_swap import HotSwap
from runtime.lifting.shadow_evaluation import QUALITY, ShadowEvaluation
from runtime.recording.recorder import Recorder
from runtime.stats import Stats
from runtime.streaming.json_codec import about
from runtime.streaming.web_server import WebServer
from runtime.telemetry.prometheus import PrometheusMetrics
from tests.support.engines import tiny
from tests.support.keys import check, committed
from tests.support.listening import PATIENCE_S, SIMULATION, Heard
from tests.support.material import make_frame, make_pose, make_skeleton
from tests.support.product import CAPTURE, HUB, free_ports, running, until
from tests.support.receivers import make_receiver

NODE = [sys.executable, "-m", "cvsf", "node"]


def test_capture_prints_the_listed_figures_each_second_and_at_the_end(heard: Heard) -> None:
    assert len(heard.lines) > 3
    for line in heard.lines[1:-1]:
        check("json", "cvsf-capture --headless", line)
    check("json", "cvsf-capture --headless, last line", heard.lines[-1])


def test_zeromq_clients_get_the_listed_messages(heard: Heard) -> None:
    names = ["zmq: about", "zmq: skeleton.raw", "zmq: skeleton.smooth", "zmq: stats"]
    assert {f"zmq: {topic}" for topic in heard.zmq} == set(names)
    assert any(told["world"] for told in heard.zmq["about"])
    for name in names:
        for message in heard.zmq[name.removeprefix("zmq: ")]:
            check("messages", name, message)


def test_websocket_clients_get_the_listed_messages(heard: Heard) -> None:
    names = ["websocket: about", "websocket: picture", "websocket: skeleton", "websocket: stats"]
    assert {f"websocket: {kind}" for kind in heard.web} == set(names)
    for name in names:
        for message in heard.web[name.removeprefix("websocket: ")]:
            check("messages", name, message)
    assert any("keypoints_px" in picture for picture in heard.web["picture"])


def test_the_page_controls_the_hub_by_the_listed_commands() -> None:
    asked: list[bool] = []
    commands = {"record": False}, {"smooth": True}
    server = WebServer(port=0, on_record=asked.append)
    try:
        with connect(f"ws://127.0.0.1:{server.port}/live") as page:
            for command in commands:
                check("messages", "websocket: command", command)
                page.send(json.dumps(command))
            assert until(lambda: any(viewer.smooth for viewer in server._clients))
            assert asked == [False]
    finally:
        server.close()


def test_programs_get_the_same_messages_by_websocket_as_the_page() -> None:
    server = WebServer(port=0, about=about(H36M_16, ["cam0", "cam1"], "starter-1"))
    try:
        with connect(f"ws://127.0.0.1:{server.port}/skeletons?smooth=1") as program:
            check("messages", "websocket: about", json.loads(program.recv(timeout=5)))
            server.send(make_skeleton(0))
            check("messages", "websocket: skeleton", json.loads(program.recv(timeout=5)))
    finally:
        server.close()


def test_health_and_watch_have_the_listed_keys(heard: Heard) -> None:
    check("messages", "http: health", heard.health)
    assert len(heard.watched) > 1
    for line in heard.watched:
        check("json", "cvsf watch", line)


def test_metrics_have_the_listed_names_and_labels(heard: Heard) -> None:
    listed = set(committed()["metrics"])
    assert _metrics(heard.metrics) <= listed
    prometheus = PrometheusMetrics()
    before = {"engine": "a", "agreement": 0.1, "reprojection": 0.1, "bones": 0.1}
    quality = {"engine": "b", "agreement": 0.1, "reprojection": 0.1, "bones": 0.1, "before": before}
    said = heard.lines[-1] | {"refused": {"bad crc": 1}, "quality": quality}
    prometheus.stats = Stats.model_validate(said)
    assert _metrics(prometheus.text().decode()) == listed


def _metrics(text: str) -> set[str]:
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    labels = {s.name: "{" + ",".join(sorted(s.labels)) + "}" if s.labels else "" for s in samples}
    return {name + said for name, said in labels.items()}


@pytest.mark.slow
def test_a_hub_by_itself_and_a_capture_without_one_print_the_listed_figures(tmp_path: Path) -> None:
    words = free_ports()
    alone = [*HUB, "--headless", "--detector", SIMULATED, "--data", str(tmp_path), *words]
    cameras = [*CAPTURE, "--cams", "2", *SIMULATION, "--duration", "2.5", "--headless"]
    with running(alone) as hub:
        with running([*cameras, "--hub", f"127.0.0.1:{words[1]}"]) as capture:
            assert capture.process.wait(PATIENCE_S) == 0
        assert until(lambda: bool(hub.lines), PATIENCE_S)
        hub.ask_to_end()
    for line in hub.lines[:-1]:
        check("json", "cvsf hub", line)
    check("json", "cvsf hub, last line", hub.lines[-1])
    check("json", "cvsf-capture --hub, last line", capture.lines[-1])
    assert set(capture.lines[-1]["cameras"]) == {"cam0", "cam1"}


def test_a_hub_that_does_not_record_has_fewer_listed_figures_of_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "session", HubConfig(record="none"))
    check("messages", "stats: recording, of a hub that does not", recorder.stats().to_map())
    recorder.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_node_sends_and_prints_the_listed_messages() -> None:
    port = free_port()
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    words = ["--camera", "cam0", "--uri", "sim:?index=0", "--size", "64x64", "--fps", "10"]
    with (
        zmq.Context() as context,
        hub_socket(context, "127.0.0.1", port) as router,
        running([*NODE, *words, "--hub", f"127.0.0.1:{port}"]) as node,
    ):
        end_s = time.monotonic() + PATIENCE_S
        while not told["bye"] and node.process.poll() is None and time.monotonic() < end_s:
            if router.poll(100):
                address, header, *_ = router.recv_multipart()
                message = unpack(header)
                told[message["kind"]].append(message)
                for answer in _answers(message, enough=len(told["frame"]) > 2):
                    router.send_multipart([address, pack(answer)])
        node.process.wait(20)
        assert until(lambda: len(node.lines) == 3)
    assert set(told) == {"report", "probe", "frame", "bye"}
    for report in told["report"]:
        check("messages", "wire: report", report)
    for probe in told["probe"]:
        check("messages", "wire: probe", probe)
    for frame in told["frame"]:
        check("messages", "wire: frame", frame)
    check("messages", "wire: bye", told["bye"][0])
    opened, filming, account = node.lines
    check("json", "cvsf node, open", opened)
    check("json", "cvsf node, filming", filming)
    check("json", "cvsf node, last line", account)


def _answers(message: dict[str, Any], *, enough: bool) -> Iterator[dict[str, object]]:
    """What a hub says to a node's message: that it is there, has everything, and has enough."""
    if message["kind"] == "probe":
        yield envelope("echo", sent_ns=message["sent_ns"], hub_ns=message["sent_ns"])
        return
    last = message.get("seq", -1)
    stands: dict[str, Any] = dict.fromkeys(("received", "durable", "taken"), last)
    stands |= {"camera": "cam0", "boot_id": message["boot_id"], "fates": {"recorded": last + 1}}
    yield envelope("ack", hub_id="hub", **stands)
    if enough:
        yield envelope("stop", reason="it is enough")


def test_a_hub_answers_a_node_with_what_is_listed() -> None:
    receiver = make_receiver(lambda frame, link: False)
    receiver.start()
    identity = {"camera": "cam0", "boot_id": "a", "width_px": 640, "height_px": 480, "fps": 20.0}
    report = envelope("report", **identity, pace="live", in_step=False)
    frame = make_frame()
    told: dict[str, dict[str, Any]] = {}
    try:
        with (
            zmq.Context() as context,
            node_socket(context, f"tcp://127.0.0.1:{receiver.port}") as node,
        ):
            node.send(pack(envelope("probe", camera="cam0", sent_ns=1)))
            node.send(pack(report))
            node.send_multipart([pack(to_header(frame) | {"after": -1}), frame.jpeg])
            node.send(pack(report | {"camera": "no name"}))
            assert until(lambda: "cam0" in receiver.links)
            receiver.links["cam0"].stop_reason = "it is enough"
            end_s = time.monotonic() + 10
            while not _has(told) and time.monotonic() < end_s:
                if node.poll(100):
                    message = unpack(node.recv())
                    told[message["kind"]] = message
    finally:
        receiver.close()
    check("messages", "wire: echo", told["echo"])
    check("messages", "wire: ack", told["ack"])
    check("messages", "wire: stop", told["stop"])
    check("messages", "wire: refused", told["refused"])


def _has(told: dict[str, dict[str, Any]]) -> bool:
    return {"echo", "ack", "stop", "refused"} <= set(told) and bool(told["ack"]["fates"])


def test_quality_is_reported_and_written_each_minute_with_the_listed_keys(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    for name, spread in (("good", 0.2), ("bad", 0.9)):
        made = tiny(tmp_path / name, name, spread=spread, created="2026-11-24T02:00:00+00:00")
        registry.add(made)
        registry.promote(name, "for a test")
    serving = HotSwap(registry.models, tmp_path / "plans")
    drift = ShadowEvaluation(serving, HubConfig(drift_hz=500, drift_window_s=0.08))
    drift.start()
    told: list[dict[str, Any]] = []

    def is_rolled_back() -> bool:
        pose = make_pose(len(told))
        pose = replace(pose, confidence=np.full_like(pose.confidence, 0.9))
        drift.add(pose, serving.engine.lift(pose))
        told.append(drift.stats().to_map())
        return bool(told[-1]["quality"].get("rolled_back"))

    assert until(is_rolled_back, 30)
    for figures_ in told:
        check("messages", "stats: quality", figures_)
    assert any(one["quality"].get("before") for one in told)
    count = len(told)
    assert until(lambda: is_rolled_back() and told[-1]["quality"]["instants"] and len(told) > count)
    drift.close()
    drift._note_minute()
    serving.close()
    for line in (registry.models / QUALITY).read_text().splitlines():
        check("messages", "quality.jsonl", json.loads(line))
