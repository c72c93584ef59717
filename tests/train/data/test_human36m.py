"""Human3.6M in the layout of its download."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.system.errors import Refusal
from tests.support import datasets
from train.data.dataset_recording import Split
from train.data.human36m import action_of, read_human36m
from train.data.instants import Recordings


def read(folder: Path, split: Split, *, truth_2d: bool = False) -> list[Recordings]:
    return list(read_human36m(folder, split, truth_2d=truth_2d))


def test_human36m_splits_by_subject_and_takes_every_so_manyth_frame(
    folders: dict[str, Path],
) -> None:
    test, train = (read(folders["human3.6m"], split) for split in ("test", "train"))
    assert [p.session[0] for p in test if p.subject[0] == "S9"] == [
        "S9/Directions 1",
        "S9/WalkingDog",
    ]
    assert {p.subject[0] for p in test} == {"S9", "S11"}
    assert {p.subject[0] for p in train} == {"S1", "S5", "S6", "S7", "S8"}
    assert test[0].t_s.tolist() == [0, 64 / 50]
    assert train[0].t_s[:3].tolist() == [0, 0.1, 0.2]
    assert test[0].image_px[0].tolist() == [[1000, 1002], [1000, 1000], [1000, 1000], [1000, 1002]]
    assert [action_of(p.session[0]) for p in test[:2]] == ["Directions", "WalkDog"]
    assert action_of("S1/TakingPhoto 1") == "Photo"


def test_the_camera_whose_video_is_broken_saw_nobody(tmp_path: Path) -> None:
    folder = datasets.human36m(tmp_path, actions=("Directions",))
    (folder / "detections" / "S11" / "Directions.54138969.json").unlink()
    last = read(folder, "test")[-1]
    assert last.session[0] == "S11/Directions"
    assert (last.confidence[:, 0] == 0).all()
    assert (last.confidence[:, 1:] > 0).any()
    assert (read(folder, "test", truth_2d=True)[-1].confidence[:, 0] == 0).all()


def test_poses_of_another_number_of_joints_are_refused(tmp_path: Path) -> None:
    folder = datasets.human36m(tmp_path, actions=("Eating",))
    path = folder / "S9" / "MyPoseFeatures" / "D2_Positions" / "Eating.54138969.cdf"
    datasets.write_cdf(path, np.zeros((5, 17, 2)))
    with pytest.raises(Refusal, match="has 34 numbers a frame, expected 64"):
        read(folder, "test")


def test_an_actions_name_is_the_same_for_both_of_its_takes_and_spellings() -> None:
    names = ["S9/WalkingDog 1", "S1/TakingPhoto", "S11/Directions 1", "Sitting"]
    assert [action_of(name) for name in names] == ["WalkDog", "Photo", "Directions", "Sitting"]


def test_a_missing_archive_is_refused_with_its_name_and_site(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"Poses > D3_Positions_mono of subject S9, from http"):
        read_human36m(tmp_path, "test")
