"""Simulating, training, scoring and nights have the keys of the committed list."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.simulator.dataset import simulate
from cvsf.engine.engine import SHIPPED
from cvsf.messages import Instant
from cvsf.session.writer import SessionWriter
from runtime.bench.swap import Arrival, figures
from tests.support import datasets
from tests.support.filmed import film_skier
from tests.support.keys import check
from tests.support.material import make_frame
from tests.support.recordings import SMALL, multiview, run
from tests.support.walkers import walkers
from train.bench import night as night_bench
from train.bench.calibrate import bench_calibrate
from train.bench.engine import bench_engine
from train.bench.fusion import bench_fusion
from train.bench.night import bench_night
from train.bench.simulated_sessions import Slope
from train.detector.train_detector import train_detector
from train.evaluate import evaluate
from train.export.compile import compile_
from train.nightly import nightly
from train.train import train
from train.train_keypoint_adapter import train_morph


def test_the_simulator_prints_and_writes_the_listed_keys(tmp_path: Path) -> None:
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
def test_calibrations_are_compared_with_the_listed_figures(tmp_path: Path) -> None:
    words = ("--least-seconds", "1", "--sessions", "1", "--views", "3", "--json")
    facts = run(bench_calibrate, walkers(tmp_path / "a.npz", frames=60), *words)
    check("json", "cvsf bench calibrate", facts)


@pytest.mark.slow
def test_a_compiled_engine_is_described_as_listed(tmp_path: Path) -> None:
    out = tmp_path / "engine"
    check("json", "cvsf compile", run(compile_, SHIPPED, "--out", out, "--json"))
    check("messages", "engine: manifest.json", json.loads((out / "manifest.json").read_text()))


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
def test_a_night_prints_and_writes_the_listed_keys(slept: Slept) -> None:
    check("json", "cvsf nightly --dry-run", slept.before)
    check("json", "cvsf nightly", slept.report)
    assert "gate" in slept.report, slept.report["verdict"]
    (night,) = (slept.slope.data / "nights").glob("2*")
    check("config", "train", json.loads((night / "training.json").read_text()))
    check("messages", "night: plan.json", json.loads((night / "plan.json").read_text()))
    check("messages", "night: progress.json", json.loads((night / "progress.json").read_text()))
    check("messages", "night: proof.json", json.loads((night / "proof.json").read_text()))
    check("messages", "night: report.json", json.loads((night / "report.json").read_text()))


def test_a_night_without_sessions_prints_the_listed_keys(tmp_path: Path) -> None:
    words = ("--data", tmp_path, "--json")
    idle = run(nightly, *words, "--dry-run")
    check("json", "cvsf nightly --dry-run, without a night", idle)
    check("json", "cvsf nightly, without a night", run(nightly, *words))


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
