"""Every key that leaves the program is one of the committed list, and all of the list is there."""

import contextlib
import http.client
import importlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import zmq
from mcap.reader import make_reader
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import runtime.bench.looped_session
from capture import list_cameras as cameras_command
from capture.config import CaptureConfig
from capture.simulator.dataset import simulate
from capture.sources.v4l2_devices import Listed
from cvsf.cli import BENCHES, COMMANDS
from cvsf.engine import plan_builder
from cvsf.engine.engine import SHIPPED
from cvsf.engine.manifest import read_manifest
from cvsf.engine.plan_cache import CARD, Plans
from cvsf.messages import Instant, pack, to_header, unpack
from cvsf.registry.history import HISTORY
from cvsf.registry.registry import Registry
from cvsf.session.reader import SessionReader
from cvsf.session.recovery import recover
from cvsf.session.writer import SessionWriter
from cvsf.skeleton import H36M_16
from cvsf.wire import envelope, hub_socket, node_socket
from runtime.bench import clip, hub, live, swap
from runtime.bench.harness import Rehearsal
from runtime.bench.replay import bench_replay
from runtime.bench.sim import bench_sim
from runtime.bench.swap import Arrival, figures
from runtime.commands.headless_browser import find_chromium
from runtime.commands.models import models, promote
from runtime.commands.sessions import sessions
from runtime.commands.watch import watch
from runtime.config import HubConfig
from runtime.detection.bundle import SIMULATED, load_bundle
from runtime.ingest.receiver import Receiver
from runtime.lifting.hot_swap import Serving
from runtime.lifting.shadow_evaluation import QUALITY, Drift
from runtime.recording.recorder import Recorder
from runtime.streaming.json_codec import about, spoken
from runtime.streaming.web_server import WebServer
from runtime.telemetry.prometheus import Gauges
from tests.support import datasets
from tests.support.engines import tiny
from tests.support.filmed import film_skier
from tests.support.keys import LIST, check, committed, paths
from tests.support.material import make_frame, make_pose, make_skeleton
from tests.support.paths import ROOT
from tests.support.product import CAPTURE, HUB, Run, free_ports, running, until
from tests.support.recordings import SMALL, multiview, run
from tests.support.rehearsed import rehearsed
from tests.support.walkers import walkers
from train.bench import night as night_bench
from train.bench.engine import bench_engine
from train.bench.fusion import bench_fusion
from train.bench.night import bench_night
from train.bench.simulated_sessions import Slope
from train.calibrate import calibrate
from train.config import TrainConfig
from train.detector.train_detector import train_detector
from train.evaluate import evaluate
from train.export.compile import compile_
from train.night.config import NightConfig
from train.nightly import nightly
from train.train import train
from train.train_keypoint_adapter import train_morph

TESTS = ROOT / "tests"
NODE = [sys.executable, "-m", "cvsf", "node"]
SIMULATION = ["--source", "sim", "--size", "320x240", "--fps", "15", "--seed", "1000003"]
PATIENCE_S = 90.0
JSON_WITHOUT_THE_OPTION = {
    "hub": "prints a JSON line a second under --headless",
    "node": "speaks JSON to whoever started it",
}


# The list


def test_every_command_and_bench_is_in_the_list_and_can_speak_json() -> None:
    listed = committed()["json"]
    targets = {name: target for name, (target, _) in COMMANDS.items()}
    targets |= {f"bench {name}": target for name, (target, _) in BENCHES.items()}
    for name, target in targets.items():
        assert any(re.match(rf"cvsf {name}($|[ ,])", one) for one in listed), name
        module, _, function = target.partition(":")
        app = typer.Typer()
        app.command()(getattr(importlib.import_module(module), function))
        options = [word for one in typer.main.get_command(app).params for word in one.opts]
        assert ("--json" in options) != (name in JSON_WITHOUT_THE_OPTION), name
    known = {name.split()[0] for name in targets}
    assert {one.split()[1].rstrip(",") for one in listed if one.startswith("cvsf ")} == known


def test_every_name_of_the_list_is_asserted_here() -> None:
    said = set(re.findall(r'"([^"\n]+)"', Path(__file__).read_text()))
    for section in ("json", "messages", "config"):
        assert set(committed()[section]) <= said, section


def test_the_list_is_sorted_and_says_nothing_twice() -> None:
    for section in ("json", "messages", "config"):
        assert list(committed()[section]) == sorted(committed()[section])
        for name, listed in committed()[section].items():
            assert listed == sorted(set(listed)), name
            assert len({path.removesuffix("?") for path in listed}) == len(listed), name
    assert committed()["metrics"] == sorted(set(committed()["metrics"]))
    assert LIST.read_text() == json.dumps(committed(), indent=1) + "\n"


def test_a_value_becomes_the_paths_of_its_leaves() -> None:
    value = {"a": {"cam0": [{"b": 1}, {"c": None}]}, "d": [], "e": {}, "f": [[1, 2]]}
    assert paths(value, {"a"}) == ["a.*[].b", "a.*[].c", "d[]", "e", "f[][]"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"live": "a"}, "before"),
        ({"live": "a", "before": "b", "since": 1}, "since"),
        ({"live": {"id": "a"}, "before": None}, "live.id"),
        ({"live": ["a"], "before": None}, "live"),
    ],
)
def test_a_key_too_few_or_too_many_is_named(value: object, said: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(f"'{said}")):
        check("json", "cvsf promote", value)


# A whole run, heard on every way out


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


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """Two simulated cameras until theirs places are known; at the end another engine serves."""
    data = tmp_path_factory.mktemp("run")
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


def test_capture_prints_the_listed_figures_each_second_and_at_the_end(heard: Heard) -> None:
    assert len(heard.lines) > 3
    for line in heard.lines[1:-1]:
        check("json", "cvsf-capture --headless", line)
    check("json", "cvsf-capture --headless, last line", heard.lines[-1])


def test_zeromq_clients_get_the_listed_messages(heard: Heard) -> None:
    assert set(heard.zmq) == {"about", "skeleton.raw", "skeleton.smooth", "stats"}
    assert any(told["world"] for told in heard.zmq["about"])
    for told in heard.zmq["about"]:
        check("messages", "zmq: about", told)
    for skeleton in heard.zmq["skeleton.raw"]:
        check("messages", "zmq: skeleton.raw", skeleton)
    for skeleton in heard.zmq["skeleton.smooth"]:
        check("messages", "zmq: skeleton.smooth", skeleton)
    for stats in heard.zmq["stats"]:
        check("messages", "zmq: stats", stats)


def test_websocket_clients_get_the_listed_messages(heard: Heard) -> None:
    assert set(heard.web) == {"about", "skeleton", "stats", "picture"}
    for told in heard.web["about"]:
        check("messages", "websocket: about", told)
    for skeleton in heard.web["skeleton"]:
        check("messages", "websocket: skeleton", skeleton)
    for stats in heard.web["stats"]:
        check("messages", "websocket: stats", stats)
    for picture in heard.web["picture"]:
        check("messages", "websocket: picture", picture)
    assert any("keypoints_px" in picture for picture in heard.web["picture"])


def test_a_page_is_obeyed_by_the_listed_commands() -> None:
    asked: list[bool] = []
    commands = {"record": False}, {"smooth": True}
    server = WebServer(port=0, on_record=asked.append)
    try:
        with connect(f"ws://127.0.0.1:{server.port}/live") as page:
            for command in commands:
                check("messages", "websocket: command", command)
                page.send(json.dumps(command))
            assert until(lambda: any(viewer.smooth for viewer in server._viewers))
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


def test_health_and_watch_say_what_is_listed(heard: Heard) -> None:
    check("messages", "http: health", heard.health)
    assert len(heard.watched) > 1
    for line in heard.watched:
        check("json", "cvsf watch", line)


def test_metrics_have_the_listed_names_and_labels(heard: Heard) -> None:
    listed = set(committed()["metrics"])
    assert _metrics(heard.metrics) <= listed
    gauges = Gauges()
    before = {"engine": "a", "agreement": 0.1, "reprojection": 0.1, "bones": 0.1}
    quality = {"engine": "b", "agreement": 0.1, "reprojection": 0.1, "bones": 0.1, "before": before}
    gauges.stats = heard.lines[-1] | {"refused": {"bad crc": 1}, "quality": quality}
    assert _metrics(gauges.text().decode()) == listed


def _metrics(text: str) -> set[str]:
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    labels = {s.name: "{" + ",".join(sorted(s.labels)) + "}" if s.labels else "" for s in samples}
    return {name + said for name, said in labels.items()}


def test_a_hub_by_itself_and_a_capture_without_one_say_what_is_listed(tmp_path: Path) -> None:
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


def test_a_hub_that_does_not_record_says_less_of_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "session", HubConfig(record="none"))
    check("messages", "stats: recording, of a hub that does not", recorder.figures())
    recorder.close()


# The wire


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_node_says_what_is_listed_to_its_hub_and_to_who_started_it() -> None:
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
    receiver = Receiver(
        "127.0.0.1",
        0,
        now_ns=time.monotonic_ns,
        on_frame=lambda frame, link: False,
        on_idle=lambda: False,
        on_bye=lambda link: None,
    )
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


# Sessions


def test_a_session_lies_on_the_disk_as_listed(heard: Heard) -> None:
    manifest = json.loads((heard.session / "session.json").read_text())
    check("messages", "session.json", manifest)
    cameras = json.loads((heard.session / "cameras.json").read_text())
    check("messages", "session: cameras.json", cameras)
    with np.load(heard.truth, allow_pickle=False) as file:
        check("messages", "capture: truth.npz", dict.fromkeys(file.files, 0))


def test_records_of_a_session_are_as_listed(heard: Heard) -> None:
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    topics: dict[str, int] = {}
    for segment in sorted(heard.session.glob("*.mcap")):
        with segment.open("rb") as file:
            reader = make_reader(file, validate_crcs=True)
            parts = {one.name: one.metadata for one in reader.iter_metadata()}
            for _, channel, message in reader.iter_messages():
                data, topic = message.data, channel.topic
                if topic.startswith("/camera/"):
                    (size,) = struct.unpack_from("<I", data)
                    data, topic = data[4 : 4 + size], "/camera/*/frame"
                topics[topic] = 1
                record = unpack(data, trusted=True)
                kind = record.get("kind") or f"event {record['event']}"
                records[kind].append(record)
        check("messages", "mcap: metadata", parts)
        for joints in parts["cvsf.joint_sets"].values():
            check("messages", "mcap: joint set", json.loads(joints))
    check("messages", "mcap: topics", topics)
    asserted = {
        "frame": "mcap: frame",
        "instant": "mcap: instant",
        "pose": "mcap: pose",
        "skeleton": "mcap: skeleton",
        "event segment_start": "mcap: event segment_start",
        "event segment_end": "mcap: event segment_end",
        "event calibration": "mcap: event calibration",
        "event engine": "mcap: event engine",
    }
    assert set(records) == set(asserted)
    for kind, name in asserted.items():
        for record in records[kind]:
            check("messages", name, record)


def test_sessions_are_listed_and_shown_as_listed(heard: Heard) -> None:
    found = run(sessions, "--data", heard.data, "--verify", "--json")
    check("json", "cvsf sessions", found)
    shown = run(sessions, heard.session, "--json")
    check("json", "cvsf sessions SESSION", shown)
    assert shown["calibrations"]


def test_what_a_killed_hub_left_is_recovered_into_the_listed_manifest(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "whole")
    for seq in (0, 1, 5, 6):
        writer.write(make_frame(seq=seq))
    writer.sync()
    killed = tmp_path / "killed"
    shutil.copytree(writer.folder, killed)
    writer.close()
    (part,) = killed.glob("*.part")
    with part.open("ab") as file:
        file.write(b"half a chunk, and no more of it")
    recover(killed)
    manifest = json.loads((killed / "session.json").read_text())
    check("messages", "session.json", manifest | {"config": HubConfig().model_dump()})
    (segment,) = manifest["segments"]
    assert segment["lost"]
    assert segment["ranges"]["cam0"][0]["gaps"] == [[2, 4]]


def test_a_session_is_calibrated_again_with_the_listed_keys(heard: Heard, tmp_path: Path) -> None:
    facts = run(calibrate, heard.session, "--out", tmp_path, "--json")
    check("json", "cvsf calibrate, without a truth", facts)


def test_a_files_cameras_are_found_with_the_listed_keys(tmp_path: Path) -> None:
    file = walkers(tmp_path / "walkers.npz", frames=60)
    facts = run(calibrate, file, "--subjects", "ann", "--out", tmp_path / "out", "--json")
    check("json", "cvsf calibrate", facts)
    (cameras,) = (tmp_path / "out").glob("*.json")
    check("messages", "calibrate: cameras.json", json.loads(cameras.read_text()))
    with np.load(cameras.with_suffix(".npz")) as skeletons:
        check("messages", "calibrate: skeletons.npz", dict.fromkeys(skeletons.files, 0))


def test_cameras_that_pan_are_kept_with_the_instants_they_are_of(tmp_path: Path) -> None:
    taken = rehearsed(tmp_path, frames=60, pans=True)
    panned = tmp_path / "panned.npz"
    np.savez(
        panned,
        allow_pickle=False,
        keypoints_px=taken.keypoints_px,
        confidence=taken.confidence,
        image_px=taken.image_px,
        joint_names=np.array(H36M_16.joints),
        session=np.zeros(len(taken.t_s), int),
        t_s=taken.t_s,
    )
    run(calibrate, panned, "--moving", "panning", "--out", tmp_path, "--json")
    cameras = json.loads((tmp_path / "panned-0.json").read_text())
    check("messages", "calibrate: cameras.json of cameras that pan", cameras)


# Engines, bundles, cameras


def test_engines_are_listed_shown_and_promoted_with_the_listed_keys(tmp_path: Path) -> None:
    data = ("--data", tmp_path, "--json")
    first, second = (str(tiny(tmp_path / name, name)) for name in ("first", "second"))
    check("json", "cvsf models add", run(models, "add", first, *data))
    check("json", "cvsf models promote", run(models, "promote", "first", *data))
    check("json", "cvsf promote", run(promote, second, *data))
    check("json", "cvsf models", run(models, *data))
    check("json", "cvsf models show", run(models, "show", "second", *data))
    check("json", "cvsf models rollback", run(models, "rollback", *data))
    lines = (tmp_path / "models" / HISTORY).read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        check("messages", "promotion", json.loads(line))


def test_manifests_inside_the_package_are_as_listed(tmp_path: Path) -> None:
    written = json.loads((SHIPPED / "manifest.json").read_text())
    check("messages", "engine: manifest.json", written)
    check("messages", "engine: manifest.json", read_manifest(SHIPPED).model_dump(mode="json"))
    bundle = load_bundle(SIMULATED, tmp_path, True).manifest
    check("messages", "bundle: manifest.json", bundle.model_dump(mode="json"))


def test_quality_is_told_and_a_minute_of_it_written_down_as_listed(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    for name, spread in (("good", 0.2), ("bad", 0.9)):
        made = tiny(tmp_path / name, name, spread=spread, created="2026-11-24T02:00:00+00:00")
        registry.take_in(made)
        registry.promote(name, "for a test")
    serving = Serving(registry.models, tmp_path / "plans")
    drift = Drift(serving, HubConfig(drift_hz=500, drift_window_s=0.08))
    drift.start()
    told: list[dict[str, Any]] = []

    def is_rolled_back() -> bool:
        pose = make_pose(len(told))
        pose = replace(pose, confidence=np.full_like(pose.confidence, 0.9))
        drift.see(pose, serving.engine.lift(pose))
        told.append(drift.figures())
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


def test_cameras_are_described_with_the_listed_keys(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = Listed(
        device=Path("/dev/video0"),
        stable=Path("/dev/v4l/by-id/usb-lens"),
        card="Lens",
        driver="uvcvideo",
        formats={"MJPG": ((1280, 720),)},
    )
    monkeypatch.setattr(cameras_command, "list_cameras", lambda: ([lens], []))
    words = ["--source", str(heard.session), "--cams", "2", "--preview", str(tmp_path / "seen")]
    words += ["--name", "0=left", "--data", str(tmp_path), "--json"]
    check("json", "cvsf cameras", run(cameras_command.cameras, *words))
    check("messages", "cameras.toml", tomllib.loads((tmp_path / "cameras.toml").read_text()))


@pytest.mark.slow
def test_a_plan_and_its_builder_say_what_is_listed(tmp_path: Path) -> None:
    faked = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(TESTS / "support" / "fakes"), str(ROOT)])
    }
    pose = load_bundle(SIMULATED, tmp_path, True).files["pose"]
    program = (
        f"import pathlib, sys\nfrom {Plans.__module__} import Plans\n"
        "place, network = map(pathlib.Path, sys.argv[1:])\n"
        "shapes = {'image': ((1, 3, 128, 128), (4, 3, 128, 128), (16, 3, 128, 128))}\n"
        "Plans(place).plan(network, 'fp16', shapes, halve=(0.0, 1.0))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), str(pose)], env=faked, check=True)
    (card,) = tmp_path.glob(f"*/{CARD}")
    facts = json.loads(card.read_text())
    check("messages", "plan card", facts)
    order: dict[str, Any] = {
        "onnx": str(pose),
        "plan": str(tmp_path / "plan"),
        "timing": str(tmp_path / "timing"),
    }
    order |= {"precision": "fp32", "halve": None}
    for shapes, code in (({}, 2), (facts["profile"], 0)):
        told = json.dumps(order | {"profile": shapes})
        words = [sys.executable, "-m", plan_builder.__name__, told]
        done = subprocess.run(words, env=faked, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        said = [json.loads(line) for line in done.stdout.splitlines()]
        for line in said:
            if "refusal" in line:
                check("messages", "plan builder: refusal", line)
            else:
                check("messages", "plan builder: progress", line)
        assert said


@pytest.mark.slow
def test_watching_with_a_screenshot_says_where_it_is(heard: Heard, tmp_path: Path) -> None:
    if find_chromium() is None:
        pytest.skip("a screenshot of the page needs chromium")
    words = free_ports()
    ports = dict(zip(words[::2], words[1::2], strict=True))
    command = [*CAPTURE, "--cams", "2", *SIMULATION, "--headless", "--data", str(tmp_path), *words]
    with running(command) as capture:
        assert until(lambda: bool(capture.lines), PATIENCE_S)
        asked = ("--page-port", ports["--web-port"], "--screenshot", tmp_path / "page.png")
        check("json", "cvsf watch --screenshot", run(watch, *asked, "--json"))
        capture.ask_to_end()


# Simulating, learning, scoring


def test_the_simulator_says_and_writes_what_is_listed(tmp_path: Path) -> None:
    words = ("--cams", "2", "--frames", "2", "--size", "64x64", "--json")
    check("json", "cvsf simulate", run(simulate, "--out", tmp_path, *words))
    sheet = run(simulate, "--contact-sheet", tmp_path / "sheet.png", *words)
    check("json", "cvsf simulate --contact-sheet", sheet)
    with np.load(tmp_path / "seed-000000" / "truth.npz") as file:
        check("messages", "simulate: truth.npz", dict.fromkeys(file.files, 0))


def _badly_found(path: Path) -> Path:
    """A multi-view file in which one joint is far off."""
    with np.load(multiview(path)) as file:
        arrays = dict(file)
    arrays["keypoints_px"][:, :, 3] += 300
    np.savez(path, allow_pickle=False, **arrays)
    return path


def _small(folder: Path) -> Path:
    (folder / "small.json").write_text(json.dumps(SMALL))
    return folder / "small.json"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "cvsf train baseline",
        "cvsf train s1",
        "cvsf train s1s2",
        "cvsf train supervised",
        "cvsf train stage3",
    ],
)
def test_a_training_reports_the_listed_figures(tmp_path: Path, name: str) -> None:
    variant = name.split()[-1]
    file = tmp_path / "a.npz"
    file = walkers(file, frames=60) if variant == "stage3" else _badly_found(file)
    words = (file, "--variant", variant, "--config", _small(tmp_path), "--out", tmp_path / "run")
    facts = run(train, *words, "--json")
    check("json", name, facts)
    check("json", name, json.loads((tmp_path / "run" / "metrics.json").read_text()))
    kept = json.loads((tmp_path / "run" / "seed-0" / "config.json").read_text())
    check("config", "train", kept)


@pytest.mark.slow
def test_a_detectors_training_reports_and_describes_itself_as_listed(tmp_path: Path) -> None:
    drawn, out = tmp_path / "drawn", tmp_path / "out"
    for seeds in ("0:1", "90:91"):
        words = ("--cams", "2", "--frames", "4", "--size", "160x120", "--seeds", seeds)
        run(simulate, "--out", drawn, *words, "--json")
    learn = ("--seeds", "0:1", "--held-out", "90:91", "--minutes", "0.02")
    facts = run(train_detector, "--pictures", drawn, "--out", out, *learn, "--json")
    check("json", "cvsf train-detector", facts)
    manifest = json.loads((out / "manifest.json").read_text())
    check("messages", "train-detector: manifest.json", manifest)


def test_a_morphs_training_reports_the_listed_figures(tmp_path: Path) -> None:
    words = ("--minutes", "0.001", "--out", tmp_path / "morph.pt", "--json")
    facts = run(train_morph, multiview(tmp_path / "a.npz"), *words)
    check("json", "cvsf train-morph", facts)


def test_a_file_is_scored_with_the_listed_figures(tmp_path: Path) -> None:
    file = _badly_found(tmp_path / "a.npz")
    check("json", "cvsf evaluate", run(evaluate, file, "--json"))
    with np.load(file) as read:
        known = ("keypoints_px", "confidence", "image_px", "session", "t_s", "joint_names")
        np.savez(tmp_path / "blind.npz", allow_pickle=False, **{name: read[name] for name in known})
    facts = run(evaluate, tmp_path / "blind.npz", "--json")
    check("json", "cvsf evaluate, without a truth", facts)


def test_a_table_is_made_with_the_listed_figures(tmp_path: Path) -> None:
    words = ("--table", "5", "--dataset", datasets.skipose(tmp_path / "ski"), "--json")
    check("json", "cvsf evaluate --table", run(evaluate, *words))


@pytest.mark.slow
def test_a_compiled_engine_is_described_as_listed(tmp_path: Path) -> None:
    out = tmp_path / "engine"
    check("json", "cvsf compile", run(compile_, SHIPPED, "--out", out, "--json"))
    check("messages", "engine: manifest.json", json.loads((out / "manifest.json").read_text()))


def test_configurations_have_the_listed_keys() -> None:
    check("config", "capture", CaptureConfig().model_dump())
    check("config", "hub", HubConfig().model_dump())
    check("config", "night", NightConfig().model_dump())
    check("config", "train", TrainConfig().model_dump())


# Nights


@dataclass(frozen=True, kw_only=True)
class Slept:
    """A data folder after a night, and what the night said."""

    slope: Slope
    report: dict[str, Any]
    before: dict[str, Any]  # of a dry run before it


def _filmed_into(data: Path, truth: Path, take: int, seconds: float) -> None:
    """A sealed session of the simulated skier as a hub would have recorded it, and its truth."""
    filmed = film_skier(seconds, seed=1_000_077, take=take, bias_share=0.02)
    poses = filmed.poses()
    name = f"2026-11-22T10-00-0{take}Z-take{take}"
    writer = SessionWriter(data / "sessions" / name, joint_set="h36m-16")
    for pose in poses:
        for camera in pose.cameras:
            writer.write(make_frame(camera, pose.instant, t_ns=pose.t_ns, raw_ns=pose.t_ns))
        writer.write(
            Instant(
                index=pose.instant,
                t_ns=pose.t_ns,
                frames=dict.fromkeys(pose.cameras, ("a", pose.instant)),
                expected=pose.cameras,
                spread_ns=0,
            )
        )
        writer.write(pose)
    writer.close()
    views = len(poses[0].cameras)
    joints_mm = np.repeat(1000 * filmed.joints[:, None], views, 1)
    stamps = np.array([[pose.t_ns] * views for pose in poses])
    np.savez(truth / f"take{take}.npz", allow_pickle=False, raw_ns=stamps, joints_mm=joints_mm)


@pytest.fixture(scope="module")
def slept(tmp_path_factory: pytest.TempPathFactory) -> Slept:
    folder = tmp_path_factory.mktemp("night")
    slope = Slope(seed=1_000_077, data=folder / "data", truth=folder / "truth")
    for place in (slope.data, slope.truth):
        place.mkdir()
    for take in (1, 2):
        _filmed_into(slope.data, slope.truth, take, 8.0)
    (folder / "night.json").write_text(json.dumps({"steps": 20, "checks": 2}))
    labelled = multiview(folder / "labelled.npz")
    words = ("--data", slope.data, "--json", "--config", folder / "night.json")
    before = run(nightly, *words, "--dry-run")
    report = run(nightly, *words, "--reference", labelled)
    return Slept(slope=slope, report=report, before=before)


@pytest.mark.slow
def test_a_night_says_and_leaves_what_is_listed(slept: Slept) -> None:
    check("json", "cvsf nightly --dry-run", slept.before)
    check("json", "cvsf nightly", slept.report)
    assert "gate" in slept.report, slept.report["verdict"]
    (night,) = (slept.slope.data / "nights").glob("2*")
    check("config", "train", json.loads((night / "training.json").read_text()))
    check("messages", "night: plan.json", json.loads((night / "plan.json").read_text()))
    check("messages", "night: progress.json", json.loads((night / "progress.json").read_text()))
    check("messages", "night: proof.json", json.loads((night / "proof.json").read_text()))
    check("messages", "night: report.json", json.loads((night / "report.json").read_text()))


def test_a_night_without_sessions_says_what_is_listed(tmp_path: Path) -> None:
    words = ("--data", tmp_path, "--json")
    idle = run(nightly, *words, "--dry-run")
    check("json", "cvsf nightly --dry-run, without a night", idle)
    check("json", "cvsf nightly, without a night", run(nightly, *words))


# Benches


@pytest.mark.slow
def test_bench_sim_reports_the_listed_figures() -> None:
    words = ("--seed", "1000003", "--cams", "2", "--seconds", "5", "--json")
    check("json", "cvsf bench sim", run(bench_sim, *words))


@pytest.mark.slow
def test_bench_replay_reports_the_listed_figures(heard: Heard) -> None:
    check("json", "cvsf bench replay", run(bench_replay, heard.session, "--json"))


def test_bench_live_reports_the_listed_figures(heard: Heard) -> None:
    found = live._scored(Rehearsal(heard.lines), heard.truth, "cam0")
    runs = [{"seed": 1_000_003, "knocked": 0, **found}]
    result = {**live._pooled(runs), "seeds": [1_000_003], "runs": runs}
    check("json", "cvsf bench live", spoken(result))


def test_bench_clip_reports_the_listed_figures(heard: Heard, tmp_path: Path) -> None:
    rig = json.loads((heard.session / "cameras.json").read_text())["rig"]
    cameras = [
        {
            "camera": f"cam{view}",
            "K": [[focal, 0, 160], [0, focal, 120], [0, 0, 1]],
            "R": rig["view_from_world"][view],
            "t_mm": (1000 * np.array(rig["translation"][view])).tolist(),
            "distortion": [0.0] * 5,
        }
        for view, focal in enumerate(rig["focal_px"])
    ]
    count = len(list(SessionReader(heard.session).poses()))
    world = np.random.default_rng(0).normal([0, 0, 1000], 300, (count, 17, 3))
    np.savez(tmp_path / "movenet_2d_and_triangulated.npz", tri3d_mm=world)
    check("json", "cvsf bench clip", clip._score(heard.session, cameras, tmp_path))


def test_bench_hub_reports_the_listed_figures(heard: Heard, tmp_path: Path) -> None:
    reader = SessionReader(heard.session)
    shown = list(reader.frames("cam0"))[-8:]
    pictures = [{f"cam{v}": replace(frame, camera=f"cam{v}") for v in range(4)} for frame in shown]
    check("json", "cvsf bench hub", hub.measure(pictures, 5, tmp_path))


@pytest.mark.slow
def test_bench_swap_reports_the_listed_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, changed in (
        (runtime.bench.looped_session, {"_FILMED_S": 2}),
        (swap, {"_VIEWS": 2, "_FPS": 15, "_STAYS_S": 0.3, "_REFUSALS_S": 40.0}),
    ):
        for name, value in changed.items():
            monkeypatch.setattr(module, name, value)
    check("json", "cvsf bench swap", swap.measure(tmp_path, 2, 0.5))


@pytest.mark.slow
def test_bench_night_reports_the_listed_figures(
    slept: Slept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sessions recorded earlier, and what `cvsf nightly` said of them."""

    def record(seed: int, folder: Path, **_: object) -> Slope:
        shutil.copytree(slept.slope.data.parent, folder, symlinks=True)
        return Slope(seed=seed, data=folder / "data", truth=folder / "truth")

    def command(*words: str) -> dict[str, Any]:
        return slept.report if words[0] == "nightly" else _swapped()

    monkeypatch.setattr(night_bench, "record", record)
    monkeypatch.setattr(night_bench, "_command", command)
    words = ("--seed", "1000077", "--keep", tmp_path / "kept", "--json")
    check("json", "cvsf bench night", run(bench_night, *words))


def _swapped() -> dict[str, Any]:
    """The figures of `cvsf bench swap` on made-up arrivals."""
    arrivals = [Arrival(n / 30, 10**15 + n * 10**9 // 30, "ab"[n // 30 % 2]) for n in range(90)]
    found = figures(arrivals, {"quiet": [(0.0, 1.0)], "swapping": [(1.0, 3.0)]})
    return found | {"rss_growth_mb": 1.0, "swaps": 2}


@pytest.mark.slow
def test_bench_engine_reports_the_listed_figures() -> None:
    check("json", "cvsf bench engine", run(bench_engine, "--repeats", "10", "--json"))


def test_bench_fusion_reports_the_listed_figures() -> None:
    words = ("--repeats", "1", "--instants", "8", "--json")
    check("json", "cvsf bench fusion", run(bench_fusion, *words))
