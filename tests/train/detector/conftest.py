"""Drawn figures in the simulator's layout."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cvsf.skeleton import H36M_16

JOINTS = len(H36M_16)


FIGURE = {
    "hip": (0, 0), "rhip": (-1, 0), "rknee": (-1.5, 4), "rankle": (-1.5, 8), "lhip": (1, 0),
    "lknee": (1.5, 4), "lankle": (1.5, 8), "spine": (0, -2.5), "thorax": (0, -5), "head": (0, -7.5),
    "lshoulder": (1.8, -5), "lelbow": (4, -4), "lwrist": (5, -2), "rshoulder": (-1.8, -5),
    "relbow": (-4, -4), "rwrist": (-5, -2),
}  # fmt: skip


def _figures(folder: Path, seeds: range, frames: int = 6, views: int = 2) -> None:
    """Drawn figures in the simulator's layout: a disc of its own colour on every joint."""
    hues = cv2.applyColorMap(
        np.linspace(0, 255, JOINTS).astype(np.uint8)[:, None], cv2.COLORMAP_HSV
    )[:, 0]
    for seed in seeds:
        rng, home = np.random.default_rng(seed), folder / f"seed-{seed:06d}"
        home.mkdir(parents=True)
        shape = np.array([FIGURE[j] for j in H36M_16.joints])
        scale = rng.uniform(6, 10, (frames, views, 1, 1))
        centre = rng.uniform([230, 180], [410, 300], (frames, views, 1, 2))
        truth = shape * scale + rng.normal(0, 2, (frames, views, JOINTS, 2)) + centre
        for frame, view in np.ndindex(frames, views):
            picture = np.full((480, 640, 3), rng.integers(190, 240), np.uint8)
            points = [tuple(round(float(c) - 0.5) for c in p) for p in truth[frame, view]]
            for a, b in H36M_16.bones:
                cv2.line(picture, points[a], points[b], (60, 60, 60), 4)
            for point, hue in zip(points, hues, strict=True):
                cv2.circle(picture, point, 7, hue.tolist(), -1)
            cv2.imwrite(str(home / f"cam{view}-{frame:05d}.jpg"), picture)
        np.savez(
            home / "truth.npz",
            truth_px=truth.astype(np.float32),
            confidence=np.ones(truth.shape[:3], np.float32),
            joint_names=np.array(H36M_16.joints),
            image_px=np.array([640, 480]),
        )


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    _figures(folder, range(6))
    _figures(folder, range(90, 92))
    return folder
