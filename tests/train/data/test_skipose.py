"""Ski-PosePTZ in the layout of its download."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.datasets import SKI_17, bodies, skipose
from train.data.skipose import CROP_PX, read_skipose


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return skipose(tmp_path_factory.mktemp("ski"))


def test_rows_of_one_frame_are_one_instant_and_a_camera_without_a_row_saw_nobody(
    folder: Path,
) -> None:
    first, second = read_skipose(folder, "train")
    assert first.sessions == ("1/seq_103",)
    assert second.subject == ("2",) * 8
    np.testing.assert_allclose(first.t_s, np.arange(20, 28) / 30)
    assert first.confidence[:, :5].any(-1).all()
    assert first.confidence[:, 5].any(-1).tolist() == [True, False] * 4
    assert first.truth.joints_mm is not None
    assert np.isnan(first.truth.joints_mm[1::2, 5]).all()


@pytest.mark.parametrize("unit_mm", [1000.0, 1.0])
def test_joints_are_read_in_millimetres_whether_the_file_has_metres_or_not(
    tmp_path: Path, unit_mm: float
) -> None:
    run = next(read_skipose(skipose(tmp_path, unit_mm), "test"))
    joints = run.truth.joints_mm
    assert joints is not None
    world = bodies(SKI_17, 8, seed=200)
    wanted = np.linalg.norm(world[:, SKI_17.index("head")] - world[:, 0], axis=-1)
    found = np.linalg.norm(joints[:, 0, H36M_16.index("head")] - joints[:, 0, 0], axis=-1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_the_2d_is_the_detectors_unless_the_labels_own_is_asked_for(folder: Path) -> None:
    detected, labelled = (
        next(read_skipose(folder, "test", truth_2d=truth_2d)) for truth_2d in (False, True)
    )
    assert labelled.truth.keypoints_px is not None
    there = labelled.confidence > 0
    assert np.array_equal(labelled.keypoints_px[there], labelled.truth.keypoints_px[there])
    off = np.abs(detected.keypoints_px - labelled.keypoints_px)[there]
    assert 0.5 < np.median(off) < 5  # it is off by noise of 2 px
    assert (labelled.image_px == CROP_PX).all()


def test_labels_that_are_missing_or_damaged_are_refused_with_where_to_get_them(
    tmp_path: Path,
) -> None:
    with pytest.raises(Refusal, match=r"no file at .*labels\.h5; it is in Ski-PosePTZ.*epfl"):
        list(read_skipose(tmp_path, "train"))
    (tmp_path / "train").mkdir()
    with h5py.File(tmp_path / "train" / "labels.h5", "w") as file:
        file["seq"] = np.zeros(3)
    with pytest.raises(Refusal, match=r"labels\.h5 holds no labels .*get it again from"):
        list(read_skipose(tmp_path, "train"))


def test_a_missing_detection_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    folder = skipose(tmp_path)
    (folder / "detections" / "test" / "seq_201" / "cam_03.json").unlink()
    with pytest.raises(Refusal, match=r"cam_03\.json"):
        read_skipose(folder, "test")
    assert len(list(read_skipose(folder, "test", truth_2d=True))) == 2
