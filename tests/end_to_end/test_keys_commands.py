"""Commands on sessions, engines and cameras, and the benches, have the keys of the list."""

import json
import os
import shutil
import struct
import subprocess
import sys
import tomllib
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader

import runtime.bench.looped_session
from capture import list_cameras as cameras_command
from capture.config import CaptureConfig
from capture.sources.v4l2_devices import Listed
from cvsf.engine import plan_builder
from cvsf.engine.engine import SHIPPED
from cvsf.engine.manifest import read_manifest
from cvsf.engine.plan_cache import CARD, Plans
from cvsf.hub_config import HubConfig
from cvsf.messages import unpack
from cvsf.registry.history import HISTORY
from cvsf.session.reader import SessionReader
from cvsf.session.recovery import recover
from cvsf.session.writer import SessionWriter
from cvsf.skeleton import H36M_16
from runtime.bench import clip, hub, live, swap
from runtime.bench.harness import CaptureRun
from runtime.bench.replay import bench_replay
from runtime.bench.sim import bench_sim
from runtime.commands.models import models, promote
from runtime.commands.sessions import sessions
from runtime.detection.bundle import SIMULATED, load_bundle
from runtime.streaming.json_codec import jsonable
from tests.support.engines import tiny
from tests.support.keys import check
from tests.support.listening import Heard
from tests.support.material import make_frame
from tests.support.paths import DATA, ROOT
from tests.support.recordings import run
from tests.support.rehearsed import rehearsed
from tests.support.walkers import walkers
from train.calibrate import calibrate
from train.config import TrainConfig
from train.night.config import NightConfig

TESTS = ROOT / "tests"
LEFT = """
[left]
matrix = [[900.0, 0.0, 640.0], [0.0, 900.0, 360.0], [0.0, 0.0, 1.0]]
distortions = [-0.3, 0.1]
size = [1280, 720]
"""


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


def test_the_session_of_a_killed_hub_is_recovered_into_the_listed_manifest(tmp_path: Path) -> None:
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
    (tmp_path / "lenses.toml").write_text(LEFT)
    words += ["--intrinsics", str(tmp_path / "lenses.toml")]
    check("json", "cvsf cameras", run(cameras_command.cameras, *words))
    for file in ("cameras.toml", "intrinsics.toml"):
        check("messages", file, tomllib.loads((tmp_path / file).read_text()))


@pytest.mark.slow
def test_a_plan_and_its_builder_have_the_listed_keys(tmp_path: Path) -> None:
    faked = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(TESTS / "support" / "fakes"), str(ROOT)])
    }
    pose = load_bundle(SIMULATED, tmp_path, True).files["pose"]
    program = (
        f"import pathlib, sys\nfrom {Plans.__module__} import Plans\n"
        "place, network = map(pathlib.Path, sys.argv[1:])\n"
        "shapes = {'image': ((1, 3, 128, 128), (4, 3, 128, 128), (16, 3, 128, 128))}\n"
        "Plans(place).plan(network, 'fp16', shapes, half_range=(0.0, 1.0))\n"
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


def test_configurations_have_the_listed_keys() -> None:
    check("config", "capture", CaptureConfig().model_dump())
    check("config", "hub", HubConfig().model_dump())
    check("config", "night", NightConfig().model_dump())
    check("config", "train", TrainConfig().model_dump())


@pytest.mark.slow
def test_bench_sim_reports_the_listed_figures() -> None:
    words = ("--seed", "1000003", "--cams", "2", "--seconds", "5", "--json")
    check("json", "cvsf bench sim", run(bench_sim, *words))


@pytest.mark.slow
def test_bench_replay_reports_the_listed_figures(heard: Heard) -> None:
    check("json", "cvsf bench replay", run(bench_replay, heard.session, "--json"))


def test_bench_live_reports_the_listed_figures(heard: Heard) -> None:
    found = live._scored(CaptureRun(heard.lines), heard.truth, "cam0")
    runs = [{"seed": 1_000_003, "knocked": 0, **found}]
    result = {**live._pooled(runs), "seeds": [1_000_003], "runs": runs}
    check("json", "cvsf bench live", jsonable(result))


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


def test_bench_hub_reports_the_listed_figures(tmp_path: Path) -> None:
    shown = list(SessionReader(DATA / "session").frames("cam0"))[:8]  # all show the skier
    pictures = [{f"cam{v}": replace(frame, camera=f"cam{v}") for v in range(4)} for frame in shown]
    check("json", "cvsf bench hub", hub.measure(pictures, 5, tmp_path))


@pytest.mark.slow
def test_bench_swap_reports_the_listed_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, changed in (
        (runtime.bench.looped_session, {"_RECORDED_S": 2}),
        (swap, {"_VIEWS": 2, "_FPS": 15, "_STAYS_S": 0.3, "_REFUSALS_S": 40.0}),
    ):
        for name, value in changed.items():
            monkeypatch.setattr(module, name, value)
    check("json", "cvsf bench swap", swap.measure(tmp_path, 2, 0.5))
