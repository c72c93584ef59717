"""Pictures of one person: cropped, shrunk, and those that are of no use."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cvsf.skeleton import H36M_16, Array
from cvsf.system.errors import Refusal
from train.detector.pictures import KEPT_PX, box_of, crop, read_pictures, shots, shrink


def test_pictures_are_cropped_around_the_true_joints(drawn: Path) -> None:
    pictures = read_pictures(drawn, range(1))
    assert len(pictures) == 12
    middle: Array = box_of(pictures.joints)[:, :2]
    assert np.abs(middle - KEPT_PX / 2).max() < 0.01
    colour = {i: pictures.crops[0][tuple(pictures.joints[0, i].astype(int)[::-1])] for i in (3, 9)}
    assert np.abs(colour[3].astype(int) - colour[9]).max() > 60


def test_a_crop_beyond_the_edge_is_black_there() -> None:
    white = np.full((40, 60, 3), 255, np.uint8)
    part = crop(white, np.array([-20.0, 0.0]), 40.0, 40)
    assert part[:, :19].max() == 0
    assert part[:, 21:].min() == 255


def test_a_picture_of_another_shape_is_letterboxed() -> None:
    small, scale, (left, top) = shrink(np.full((720, 1280, 3), 255, np.uint8), smooth=True)
    assert (small.shape, scale, left, top) == ((120, 160, 3), 0.125, 0, 15)
    assert small[:15].max() == 0
    assert small[15:105].min() == 255


def test_a_box_is_the_tight_one_of_the_joints() -> None:
    joints = np.array([[10.0, 20.0], [30.0, 60.0], [20.0, 50.0]], np.float32)
    assert box_of(joints).tolist() == [20, 40, 20, 40]


def test_boxes_are_shares_of_the_small_picture(drawn: Path) -> None:
    pictures = read_pictures(drawn, range(1))
    wanted = [box_of(shot.joints_px) / [640, 480, 640, 480] for shot in shots(drawn, range(1))]
    np.testing.assert_allclose(pictures.boxes, wanted, atol=1e-5)


def test_a_picture_whose_joints_lie_mostly_outside_is_left_out(tmp_path: Path) -> None:
    home = tmp_path / "seed-000003"
    home.mkdir()
    truth = np.full((1, 2, len(H36M_16), 2), 30.0, np.float32)
    truth[0, 1, :9] = -5
    np.savez(
        home / "truth.npz",
        truth_px=truth,
        confidence=np.ones(truth.shape[:3], np.float32),
        joint_names=np.array(H36M_16.joints),
        image_px=np.array([64, 48]),
    )
    for view in range(2):
        cv2.imwrite(str(home / f"cam{view}-00000.jpg"), np.zeros((48, 64, 3), np.uint8))
    assert [shot.path.name for shot in shots(tmp_path, range(5))] == ["cam0-00000.jpg"]


def test_a_folder_without_pictures_of_the_seeds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"holds no picture of seeds 3:7, expected seed-000000"):
        read_pictures(tmp_path, range(3, 7))
