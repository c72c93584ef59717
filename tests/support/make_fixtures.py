"""Writes tests/data, which holds later commits to what this one makes: small recorded results.

`python -m tests.support.make_fixtures session checkpoint manifest report` at the repository's root,
committed by itself each time.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cvsf.engine.manifest import read_manifest
from cvsf.skeleton import H36M_16
from tests.support.paths import DATA
from tests.support.recordings import multiview
from train.checkpoint import Checkpoint, read_checkpoint
from train.config import TrainConfig
from train.export.compile import compile_engine
from train.loop.optimise import start

FILMED = "--cams 3 --source sim --seed 42 --size 256x192 --fps 8 --duration 4 --height 1.75"
NETWORK: dict[str, Any] = {
    "width": 32,
    "blocks": 1,
    "threads": 1,
    "steps": 20,
    "batch_instants": 8,
    "check_instants": 8,
    "checks": 2,
}


def write_session() -> None:
    """Four seconds of the simulated slope: pictures, keypoints, skeletons and cameras."""
    with tempfile.TemporaryDirectory() as data:
        words = [sys.executable, "-m", "capture", *FILMED.split(), "--headless", "--data", data]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        (recorded,) = (Path(data) / "sessions").iterdir()
        shutil.rmtree(DATA / "session", ignore_errors=True)
        shutil.copytree(recorded, DATA / "session", ignore=shutil.ignore_patterns(".lock"))


def write_checkpoint() -> None:
    """A lifter after 20 steps of s1s2, and what it makes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "small.json").write_text(json.dumps(NETWORK))
        file = multiview(work / "people.npz")
        words = [sys.executable, "-m", "cvsf", "train", str(file), "--variant", "s1s2"]
        words += ["--out", str(work / "run"), "--config", str(work / "small.json")]
        subprocess.run(words, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        trained = read_checkpoint(work / "run" / "seed-0" / "checkpoint.pt")
        trained.slim().write(DATA / "checkpoint.pt")
        losses = np.array([point["loss"] for point in trained.curve])
        found = lifted(trained, file)
        np.savez_compressed(DATA / "checkpoint.npz", allow_pickle=False, losses=losses, **found)


def write_manifest() -> None:
    """The manifest of an engine compiled from a lifter that was never trained."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = start(TrainConfig(**NETWORK | {"variant": "baseline"}), H36M_16, 0)
        compile_engine(fresh.checkpoint(("people:0",)), Path(folder) / "engine", rounds=1)
        (DATA / "engine").mkdir(exist_ok=True)
        manifest = read_manifest(Path(folder) / "engine")
        manifest.model_copy(update={"git_sha": None}).write(DATA / "engine")


def write_report() -> None:
    """What a small night writes about itself."""
    from tests.support.takes import taken
    from tests.train.test_nightly import spent

    with tempfile.TemporaryDirectory() as folder:
        for take in (1, 2, 3):
            taken(Path(folder), take)
        written = Path(spent(Path(folder))["report"]).with_name("report.json")
        (DATA / "report.json").write_text(written.read_text())


def lifted(trained: Checkpoint, file: Path) -> dict[str, Any]:
    """What the network makes of every view of a multi-view file, each alone."""
    with np.load(file) as given, torch.no_grad():
        views = [torch.from_numpy(given[name]) for name in ("keypoints_px", "confidence")]
        canonical, rotation = trained.lifter()(*views)
    return {"canonical": canonical.numpy(), "view_from_canonical": rotation.numpy()}


WRITERS = {
    "session": write_session,
    "checkpoint": write_checkpoint,
    "manifest": write_manifest,
    "report": write_report,
}

if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for name in sys.argv[1:]:
        WRITERS[name]()
