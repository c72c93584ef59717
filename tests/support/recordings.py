"""Small multi-view files of make_multiview.py's layout, sessions of them, commands run on them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import typer
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from cvsf.messages import MultiviewPose
from cvsf.session.writer import SessionWriter
from cvsf.skeleton import H36M_16
from train.batches.probe_inputs import STANDING
from train.data.npz import read_file

SMALL: dict[str, Any] = {
    "width": 32,
    "blocks": 1,
    "threads": 1,
    "steps": 6,
    "batch_instants": 8,
    "check_instants": 8,
    "checks": 2,
}
FRAMES, VIEWS = 24, 3


def multiview(path: Path, joints: tuple[str, ...] = H36M_16.joints, **changed: Any) -> Path:
    """A file of make_multiview's layout: two subjects stand about among three cameras."""
    random = np.random.default_rng(0)
    body = np.array([STANDING[j] for j in H36M_16.joints]) * 1000
    world = body + random.normal(0, 40, (FRAMES, len(H36M_16), 3))
    level = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    turns = Rotation.from_rotvec(np.outer(2 * np.pi / VIEWS * np.arange(VIEWS), [0, 0, 1]))
    local = np.einsum("vrc,njc->nvjr", level @ turns.as_matrix(), world)
    local = local + np.array([0, 0, 6000])
    pixels = 1500 * local[..., :2] / local[..., 2:] + [960, 540]
    arrays: dict[str, Any] = {
        "keypoints_px": pixels + random.normal(0, 4, pixels.shape),
        "confidence": random.uniform(0.6, 1, pixels.shape[:-1]),
        "truth_px": pixels,
        "joints_mm": local,
    }
    order = [H36M_16.index(j) for j in joints]
    arrays = {name: array[:, :, order].astype(np.float32) for name, array in arrays.items()}
    arrays |= {
        "head_px": np.full((FRAMES, VIEWS), 60, np.float32),
        "session": np.repeat([0, 1], FRAMES // 2),
        "subject": np.repeat([0, 1], FRAMES // 2),
        "subject_names": np.array(["ann", "ben"]),
        "t_s": np.arange(FRAMES) / 30,
        "joint_names": np.array(joints),
        "image_px": np.array([1920, 1080]),
    }
    np.savez(path, allow_pickle=False, **arrays | changed)
    return path


def record(folder: Path, file: Path, views: int, *, nobody: bool = False) -> Path:
    """A session folder, as a hub leaves it, of what the first views of a file saw."""
    found = read_file(file)
    writer = SessionWriter(folder)
    for row in range(len(found)):
        pose = MultiviewPose(
            t_ns=1_000_000_000 + row * 50_000_000,
            instant=row,
            cameras=tuple(f"cam{view}" for view in range(views)),
            image_px=found.image_px[row, :views],
            keypoints_px=found.keypoints_px[row, :views],
            confidence=found.confidence[row, :views] * (not nobody),
            detector="tiny-0123456789ab",
        )
        writer.write(pose)
    assert writer.close() == 0
    return folder


def run(command: Any, *words: str | Path) -> dict[str, Any]:
    """The JSON a command prints last."""
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout.splitlines()[-1])
    assert isinstance(facts, dict)
    return facts
