"""The simulated slope: the same for everyone at a moment, and honest about itself."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from capture.simulator.scenario import Knock, Staged
from capture.simulator.scene import make_slope, place_camera, rotated_left
from capture.simulator.simulated_camera import open_simulated
from capture.sources.source import SourceConfig
from cvsf.system.errors import Refusal
from tests.support.paths import ROOT


def test_a_knocked_camera_sees_the_slope_turned_and_only_the_truth_file_records_it(
    tmp_path: Path,
) -> None:
    config = SourceConfig(seed=3, size=(160, 120), fps=30, truth=tmp_path / "t.npz")
    staged = Staged(index=1, moving=False, knock=Knock(turn_deg=5, after_s=0.5))
    with closing(open_simulated(staged, config)) as camera:
        exposures = [e for e in (camera.read(0.2) for _ in range(26)) if e]
    with np.load(tmp_path / "t.1.npz") as truth:
        rotation, stamps = truth["rotation"], truth["raw_ns"]
    after = stamps >= stamps[0] + 500_000_000
    assert after.any()
    assert not after.all()
    assert np.ptp(rotation[~after], 0).max() == np.ptp(rotation[after], 0).max() == 0
    between = rotation[-1] @ rotation[0].T
    assert np.degrees(np.arccos((np.trace(between) - 1) / 2)) == pytest.approx(5, abs=1e-6)
    view = place_camera(make_slope(3, False), 1, (160, 120))
    assert np.array_equal(rotated_left(view, 5).eye, view.eye)
    small = [
        cv2.resize(simplejpeg.decode_jpeg(e.jpeg, "GRAY"), (40, 30), None, 0, 0, cv2.INTER_AREA)
        for e in exposures
    ]
    steady, jump = (np.abs(small[i].astype(float) - small[0]).mean() for i in (2, -1))
    assert jump > 1.5 * steady


def test_a_late_reader_gets_the_number_of_missed_exposures() -> None:
    camera = open_simulated(Staged(index=0, moving=False), SourceConfig(seed=2, fps=50))
    first = camera.read(1.0)
    time.sleep(0.15)
    second = camera.read(1.0)
    assert first is not None
    assert second is not None
    assert first.missed == 0
    assert second.missed >= 5
    assert second.raw_ns - first.raw_ns == (second.missed + 1) * 20_000_000
    assert camera.pace == "live"
    camera.close()


def test_nothing_of_the_truth_is_in_an_exposure() -> None:
    camera = open_simulated(Staged(index=0, moving=False), SourceConfig(seed=2))
    exposure = camera.read(1.0)
    camera.close()
    assert exposure is not None
    assert exposure.stamp == "simulated"
    assert exposure.trigger is None
    assert 0 < exposure.uncertainty_ns < 1_000_000
    assert {f.name for f in fields(exposure)} == {
        "jpeg", "width_px", "height_px", "raw_ns", "uncertainty_ns", "stamp", "missed", "trigger",
    }  # fmt: skip
    assert b"Exif" not in exposure.jpeg


def test_truth_is_written_when_the_process_gets_sigterm(tmp_path: Path) -> None:
    program = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from capture.sources.source import SourceConfig\n"
        "from capture.simulator.simulated_camera import open_simulated\n"
        "from capture.simulator.scenario import Staged\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "config = SourceConfig(seed=1, truth=Path(sys.argv[1]))\n"
        "camera = open_simulated(Staged(index=2, moving=False), config)\n"
        "try:\n"
        "    while True:\n"
        "        camera.read(1.0)\n"
        "        sys.stdout.write('.'); sys.stdout.flush()\n"
        "finally:\n"
        "    camera.close()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "run.npz")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        process.stdout.read(3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    with np.load(tmp_path / "run.2.npz") as part:
        assert len(part["raw_ns"]) >= 3
    assert not list(tmp_path.glob("*.part"))


def test_a_size_rate_seed_or_truth_folder_out_of_limits_is_refused() -> None:
    for config in (
        SourceConfig(size=(10, 10)),
        SourceConfig(fps=0.01),
        SourceConfig(seed=-1),
        SourceConfig(truth=Path("/nowhere/at/all/truth.npz")),
    ):
        with pytest.raises(Refusal):
            open_simulated(Staged(index=0, moving=False), config)
