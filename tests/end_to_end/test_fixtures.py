"""What was recorded and computed once (tests/data), read by this commit.

Processors differ in the last digits, hence 1e-4 of unit scale.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvsf.engine.manifest import read_manifest
from cvsf.session.calibrations import calibrations
from cvsf.session.reader import SessionReader
from tests.support.make_fixtures import NETWORK, lifted
from tests.support.paths import DATA
from tests.support.recordings import multiview, run
from train.checkpoint import read_checkpoint
from train.report.page import write_page
from train.train import train

TOLERANCE = 1e-4


def test_the_recorded_session_gives_its_pictures_keypoints_skeletons_and_cameras() -> None:
    reader = SessionReader(DATA / "session")
    assert set(reader.cameras) == {"cam0", "cam1", "cam2"}
    frames, poses = list(reader.frames()), list(reader.poses())
    assert len(frames) == 3 * len(poses)
    assert all(frame.jpeg.startswith(b"\xff\xd8") for frame in frames)
    assert {pose.keypoints_px.shape for pose in poses} == {(3, 16, 2)}
    skeletons = list(reader.skeletons())
    assert {skeleton.engine for skeleton in skeletons} == set(reader.manifest.engines)
    held = list(calibrations(reader))
    assert held[-1].calibration.rig.cameras == ("cam0", "cam1", "cam2")
    assert skeletons[-1].calibration == held[-1].number


def test_the_recorded_session_played_again_gives_the_recorded_skeletons() -> None:
    words = [sys.executable, "-m", "cvsf", "bench", "replay", str(DATA / "session"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["instants_compared"] == len(list(SessionReader(DATA / "session").skeletons()))
    assert found["instants_missing"] == 0
    assert found["max_difference"] <= TOLERANCE


def test_the_manifest_of_a_compiled_engine_names_its_tensors_and_sessions() -> None:
    manifest = read_manifest(DATA / "engine")
    assert [tensor.name for tensor in manifest.inputs] == ["keypoints_px", "confidence", "image_px"]
    assert "fused" in [tensor.name for tensor in manifest.outputs]
    assert manifest.sessions == ("people:0",)
    assert manifest.joint_set == "h36m-16"


def test_the_recorded_checkpoint_lifts_as_it_did(tmp_path: Path) -> None:
    found = lifted(read_checkpoint(DATA / "checkpoint.pt"), multiview(tmp_path / "people.npz"))
    with np.load(DATA / "checkpoint.npz") as recorded:
        for name, array in found.items():
            assert array == pytest.approx(recorded[name], abs=TOLERANCE)


def test_twenty_steps_of_both_stages_end_where_the_recorded_ones_did(tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text(json.dumps(NETWORK))
    words = (multiview(tmp_path / "people.npz"), "--variant", "s1s2", "--out", tmp_path / "run")
    run(train, *words, "--config", tmp_path / "small.json", "--json")
    trained = read_checkpoint(tmp_path / "run" / "seed-0" / "checkpoint.pt")
    with np.load(DATA / "checkpoint.npz") as recorded:
        losses = [point["loss"] for point in trained.curve]
        assert losses == pytest.approx(recorded["losses"].tolist(), abs=TOLERANCE)
    before = read_checkpoint(DATA / "checkpoint.pt").weights
    for name, weights in trained.weights.items():
        assert weights.numpy() == pytest.approx(before[name].numpy(), abs=1e-3), name


def test_the_recorded_report_of_a_night_makes_a_page_with_its_verdict(tmp_path: Path) -> None:
    report = json.loads((DATA / "report.json").read_text())
    write_page(report, tmp_path / "report.html")
    assert report["verdict"] in (tmp_path / "report.html").read_text()
