"""Published datasets, written tiny in exactly their layouts and read back; and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cvsf.evaluation.metrics import n_mpjpe
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support import datasets
from train.data.dataset_recording import Split
from train.data.datasets import DATASETS, published, recognised
from train.data.instants import Recordings
from train.data.mpi_inf_3dhp import TEST_SET


def read(folder: Path, split: Split, *, truth_2d: bool = False) -> list[Recordings]:
    return list(published(folder, None, split, truth_2d=truth_2d))


def upright(instants: Recordings) -> None:
    """Joints are where their names say: the body stands, its left is its left."""
    assert instants.truth.joints_mm is not None
    middle = np.nanmean(instants.truth.joints_mm[:, 0], axis=0)
    place = {joint: middle[index] for index, joint in enumerate(H36M_16.joints)}
    down = [place[joint][1] for joint in ("head", "thorax", "spine", "hip", "lknee", "lankle")]
    assert down == sorted(down)
    facing = np.cross(place["thorax"] - place["hip"], place["lhip"] - place["rhip"])
    for left, right in (("lshoulder", "rshoulder"), ("lelbow", "relbow"), ("lwrist", "rwrist")):
        assert np.cross(place["thorax"] - place["hip"], place[left] - place[right]) @ facing > 0
    assert facing @ (place["lwrist"] - place["lelbow"]) < 0  # x right, y down: a left-handed cross


def projected(local_mm: npt.NDArray[Any], focal_px: float, image: Any) -> npt.NDArray[Any]:
    return np.asarray(focal_px * local_mm[..., :2] / local_mm[..., 2:] + np.array(image) / 2)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", list(DATASETS))
def test_a_dataset_is_recognised_and_its_joints_are_where_their_names_say(
    folders: dict[str, Path], name: str, split: Split
) -> None:
    assert recognised(folders[name]) == name
    parts = read(folders[name], split, truth_2d=True)
    assert len(parts) > 1
    for part in parts:
        assert len(part.sessions) == 1
        upright(part)
        assert part.truth.keypoints_px is not None
        known = np.isfinite(part.truth.keypoints_px).all(-1)
        assert np.array_equal(part.confidence > 0, known)
        assert np.abs(part.keypoints_px - part.truth.keypoints_px)[known].max() < 1e-3


@pytest.mark.parametrize(
    ("name", "split", "focal_px"),
    [("human3.6m", "train", 1145), ("human3.6m", "test", 1145), ("mpi-inf-3dhp", "train", 1500)],
)
def test_the_true_pixels_are_the_true_joints_seen_by_the_camera(
    folders: dict[str, Path], name: str, split: Split, focal_px: float
) -> None:
    for part in read(folders[name], split, truth_2d=True):
        assert part.truth.joints_mm is not None
        assert part.truth.keypoints_px is not None
        seen = np.isfinite(part.truth.keypoints_px)
        expected = projected(part.truth.joints_mm, focal_px, part.image_px[:, :, None])
        assert np.abs(expected - part.truth.keypoints_px)[seen].max() < 0.1


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", list(DATASETS))
def test_detections_beside_a_dataset_are_the_people_of_its_pictures(
    folders: dict[str, Path], name: str, split: Split
) -> None:
    for part in read(folders[name], split):
        assert part.truth.keypoints_px is not None
        off = np.linalg.norm(part.keypoints_px - part.truth.keypoints_px, axis=-1)
        seen = (part.confidence > 0) & np.isfinite(off)
        assert seen.mean() > 0.6
        assert off[seen].max() < 15  # neither the passer-by nor another frame
        assert np.allclose(part.confidence[seen], 0.9)


def test_a_ski_camera_without_a_row_did_not_see_the_skier(folders: dict[str, Path]) -> None:
    run = read(folders["skipose"], "test")[0]
    assert run.session[0] == "5/seq_200"
    assert run.subject[0] == "5"
    assert run.truth.joints_mm is not None
    assert np.isnan(run.truth.joints_mm[1::2, 5]).all()
    assert np.isfinite(run.truth.joints_mm[::2, 5]).all()
    assert (run.confidence[1::2, 5] == 0).all()  # though there is a picture, and a detection in it
    assert (run.confidence[::2, 5] > 0).any()
    assert np.allclose(run.t_s, np.arange(20, 28) / 30)


@pytest.mark.parametrize("unit_mm", [1.0, 1000.0])
def test_ski_joints_are_mm_whatever_the_unit_of_the_labels(tmp_path: Path, unit_mm: float) -> None:
    run = read(datasets.skipose(tmp_path, unit_mm), "test", truth_2d=True)[0]
    assert run.truth.joints_mm is not None
    first = run.truth.joints_mm[:, 0]
    tall = np.linalg.norm(first[:, H36M_16.index("head")] - first[:, 0], axis=-1)
    assert abs(np.median(tall) - 690) < 60
    assert np.nanmax(n_mpjpe(first, first)) < 1e-3


@pytest.mark.parametrize(
    ("name", "gone", "split", "site"),
    [
        ("human3.6m", "S11/MyPoseFeatures/D2_Positions/Directions 1.58860488.cdf", "test", "imar"),
        ("human3.6m", "S11/MyPoseFeatures", "test", "imar"),
        ("human3.6m", "detections/S9/WalkingDog.60457274.json", "test", "demo_inference"),
        ("mpi-inf-3dhp", "S4/Seq2/annot.mat", "train", "vcai.mpi-inf"),
        ("mpi-inf-3dhp", f"{TEST_SET}/TS6/annot_data.mat", "test", "vcai.mpi-inf"),
        ("mpi-inf-3dhp", "detections/TS3.json", "test", "demo_inference"),
        ("mpi-inf-3dhp", "detections/S3/Seq1/video_8.json", "train", "demo_inference"),
        ("skipose", "test/labels.h5", "test", "epfl"),
        ("skipose", "detections/test/seq_201/cam_03.json", "test", "demo_inference"),
    ],
)
def test_a_missing_file_of_a_dataset_is_refused_with_where_to_get_it(
    folders: dict[str, Path], tmp_path: Path, name: str, gone: str, split: Split, site: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(folders[name], folder)
    if (folder / gone).is_dir():
        shutil.rmtree(folder / gone)
    else:
        (folder / gone).unlink()
    with pytest.raises(Refusal, match=site) as refused:
        published(folder, name, split)
    assert gone in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "broken", "split"),
    [
        ("human3.6m", "S9/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf", "test"),
        ("mpi-inf-3dhp", "S1/Seq1/annot.mat", "train"),
        ("mpi-inf-3dhp", f"{TEST_SET}/TS1/annot_data.mat", "test"),
        ("skipose", "test/labels.h5", "test"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"no data at all " * 50, None])
def test_a_file_cut_short_or_of_another_kind_is_refused(
    folders: dict[str, Path],
    tmp_path: Path,
    name: str,
    broken: str,
    split: Split,
    content: bytes | None,
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(folders[name], folder)
    whole = (folder / broken).read_bytes()
    (folder / broken).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(Refusal, match=broken):
        list(published(folder, name, split))


def test_a_folder_that_is_no_dataset_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"Human3\.6M: S\*/MyPoseFeatures.*labels\.h5"):
        published(tmp_path, None, "test")
    with pytest.raises(Refusal, match=r"expected one of human3\.6m, mpi-inf-3dhp, skipose"):
        published(tmp_path, "h36m", "test")
    with pytest.raises(Refusal, match="no folder at"):
        published(tmp_path / "nowhere", "skipose", "test")


def test_only_one_session_is_read_at_a_time(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(folders["human3.6m"], folder)
    sessions = published(folder, None, "test", truth_2d=True)
    assert next(sessions).session[0] == "S9/Directions 1"
    shutil.rmtree(folder)  # what was not read yet is read only when it is its turn
    with pytest.raises(Refusal):
        next(sessions)
