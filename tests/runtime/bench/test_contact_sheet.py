"""A contact sheet: its cells, what is drawn in them, and a session that has nothing to draw."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from cvsf.session.statistics import Recordable
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from runtime.bench.contact_sheet import write_sheet
from tests.support.material import make_frame, make_instant, make_pose, make_skeleton, record

BLACK = bytes(simplejpeg.encode_jpeg(np.zeros((480, 640, 3), np.uint8)))
LEFT, RIGHT = (80, 170, 255), (255, 170, 60)


def session(folder: Path, instants: int = 8, sure: float = 1.0) -> Path:
    """Black pictures of two cameras with one bone seen in each: the left thigh, at (100, 100)."""
    messages: list[Recordable] = []
    for i in range(instants):
        messages += [make_frame(camera, i, BLACK) for camera in ("cam0", "cam1")]
        pose = make_pose(i)
        keypoints, confidence = pose.keypoints_px * 0, pose.confidence * 0
        hip, knee = H36M_16.index("lhip"), H36M_16.index("lknee")
        keypoints[:, hip], keypoints[:, knee] = (100, 100), (100, 200)
        confidence[:, [hip, knee]] = sure
        messages += [
            make_instant(i),
            replace(pose, keypoints_px=keypoints, confidence=confidence),
            make_skeleton(i),
        ]
    record(folder, messages)
    return folder


def drawn(folder: Path, out: Path) -> np.ndarray:
    write_sheet(folder, out)
    sheet = cv2.imread(str(out))
    assert sheet is not None
    return np.asarray(sheet)


def test_four_moments_of_two_pictures_and_two_views_of_the_skeleton_each(tmp_path: Path) -> None:
    sheet = drawn(session(tmp_path / "s"), tmp_path / "sheet.png")
    assert sheet.shape == (4 * 360, 2 * 480 + 2 * 360, 3)
    for row in range(4):
        side = sheet[360 * row : 360 * (row + 1), 960:]
        assert (side[-1, -1] == 24).all()  # paper
        for colour in (LEFT, RIGHT):
            assert (side == colour).all(-1).sum() > 50


def test_a_bone_lies_where_the_pose_has_it_in_the_smaller_picture(tmp_path: Path) -> None:
    """A picture of 480 rows is shown in 360, so (100, 150) is at (75, 112) in its cell."""
    sheet = drawn(session(tmp_path / "s"), tmp_path / "sheet.png")
    for left in (0, 480):
        assert tuple(sheet[112, left + 75].tolist()) == LEFT
        rows = np.flatnonzero((sheet[:360, left + 75] == LEFT).all(-1))
        assert (rows.min(), rows.max()) == (pytest.approx(75, abs=3), pytest.approx(150, abs=3))
        assert not (sheet[:360, left : left + 480] == RIGHT).all(-1).any()


def test_a_bone_that_is_hardly_seen_is_left_out_of_the_pictures(tmp_path: Path) -> None:
    sheet = drawn(session(tmp_path / "s", sure=0.2), tmp_path / "sheet.png")
    assert not (sheet[:, :960] == LEFT).all(-1).any()


def test_a_session_without_a_skeleton_is_refused_by_its_path(tmp_path: Path) -> None:
    record(tmp_path / "s", [make_frame(), make_instant(0, ("cam0",)), make_pose(0, ("cam0",))])
    with pytest.raises(Refusal, match=f"{tmp_path}/s holds no skeleton to draw"):
        write_sheet(tmp_path / "s", tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
