"""The comparison with others' triangulation, with a stub in the place of their program."""

import sys
from pathlib import Path

import numpy as np
import pytest

from cvsf.multiview.rig import Rig
from tests.support import read_by_peers
from tests.support.read_by_peers import inside, largest_mm

STUB = """
import json, sys
import numpy as np
points = np.load({points!r}, allow_pickle=False)
keypoints = np.load(sys.argv[3], allow_pickle=False)["keypoints_px"]
assert keypoints.shape == (2, len(points), 2)
open(sys.argv[4], "w").write(json.dumps((points + [0, 0, 2e-4]).tolist()))
"""


def rig() -> Rig:
    return Rig.pinhole(
        ("a", "b"),
        np.tile([1920.0, 1080.0], (2, 1)),
        view_from_world=np.tile(np.eye(3), (2, 1, 1)),
        centres=np.array([[0.0, 0, -5], [1, 0, -5]]),
        focal_px=np.full(2, 1500.0),
    )


def test_only_joints_that_every_picture_shows_are_compared() -> None:
    joints = np.zeros((3, 2, 3))
    joints[1, 0] = [-3, 0, 0]  # beside the picture of b alone
    joints[2, 1] = np.nan
    assert inside(rig(), joints).tolist() == [[0, 0, 0]] * 4


def test_the_largest_distance_is_in_millimetres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(0).normal(0, 0.5, (5, 3))
    np.save(tmp_path / "points.npy", points)
    (tmp_path / "stub.py").write_text(STUB.format(points=str(tmp_path / "points.npy")))
    monkeypatch.setattr(read_by_peers, "_DRIVER", tmp_path / "stub.py")
    mm = largest_mm(Path(sys.executable), "pose2sim", tmp_path / "cameras.toml", rig(), points)
    assert mm == pytest.approx(0.2)
