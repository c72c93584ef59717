"""Published datasets, written tiny in exactly their layouts and read back; and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cvsf.evaluation.metrics import n_mpjpe
from cvsf.skeleton import COCO_17, H36M_16, HALPE_26, MPII_16
from cvsf.system.errors import Refusal
from tests.support import datasets
from train.data.alphapose import read_detections
from train.data.dataset_recording import Split
from train.data.datasets import DATASETS, published, recognised
from train.data.human36m import action_of
from train.data.instants import Instants
from train.data.mpi_inf_3dhp import TEST_SET

MAKERS: dict[str, Callable[[Path], Path]] = {
    "human3.6m": datasets.human36m,
    "mpi-inf-3dhp": datasets.mpi_inf_3dhp,
    "skipose": datasets.skipose,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny folder of each dataset."""
    made = {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}
    datasets.human36m(made["human3.6m"], "train", actions=("Directions", "TakingPhoto 1"))
    return made


def read(folder: Path, split: Split, *, truth_2d: bool = False) -> list[Instants]:
    return list(published(folder, None, split, truth_2d=truth_2d))


def upright(instants: Instants) -> None:
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
@pytest.mark.parametrize("name", list(MAKERS))
def test_a_dataset_is_recognised_and_its_joints_are_where_their_names_say(
    folders: dict[str, Path], name: str, split: Split
) -> None:
    assert recognised(folders[name]) == name
    parts = read(folders[name], split, truth_2d=True)
    assert len(parts) > 1
    for part in parts:
        assert len(part.sessions) == 1
        upright(part)
        assert part.truth.pixels is not None
        known = np.isfinite(part.truth.pixels).all(-1)
        assert np.array_equal(part.confidence > 0, known)
        assert np.abs(part.keypoints_px - part.truth.pixels)[known].max() < 1e-3


@pytest.mark.parametrize(
    ("name", "split", "focal_px"),
    [("human3.6m", "train", 1145), ("human3.6m", "test", 1145), ("mpi-inf-3dhp", "train", 1500)],
)
def test_the_true_pixels_are_the_true_joints_seen_by_the_camera(
    folders: dict[str, Path], name: str, split: Split, focal_px: float
) -> None:
    for part in read(folders[name], split, truth_2d=True):
        assert part.truth.joints_mm is not None
        assert part.truth.pixels is not None
        seen = np.isfinite(part.truth.pixels)
        expected = projected(part.truth.joints_mm, focal_px, part.image_px[:, :, None])
        assert np.abs(expected - part.truth.pixels)[seen].max() < 0.1


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", list(MAKERS))
def test_detections_beside_a_dataset_are_the_people_of_its_pictures(
    folders: dict[str, Path], name: str, split: Split
) -> None:
    for part in read(folders[name], split):
        assert part.truth.pixels is not None
        off = np.linalg.norm(part.keypoints_px - part.truth.pixels, axis=-1)
        seen = (part.confidence > 0) & np.isfinite(off)
        assert seen.mean() > 0.6
        assert off[seen].max() < 15  # neither the passer-by nor another frame
        assert np.allclose(part.confidence[seen], 0.9)


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


def test_3dhp_trains_on_five_chest_high_cameras_and_tests_on_valid_frames(
    folders: dict[str, Path],
) -> None:
    train, test = (read(folders["mpi-inf-3dhp"], s, truth_2d=True) for s in ("train", "test"))
    assert [p.session[0] for p in train][:3] == ["S1/Seq1", "S1/Seq2", "S2/Seq1"]
    assert len(train) == DATASETS["mpi-inf-3dhp"].sessions["train"]
    assert train[0].confidence.shape == (3, 5, len(H36M_16))
    assert [p.session[0] for p in test] == [f"TS{n}" for n in range(1, 7)]
    assert test[0].t_s.tolist() == [n / 25 for n in (1, 2, 4, 5, 7, 8, 10)]
    assert test[4].image_px[0, 0].tolist() == [1920, 1080]
    assert train[1].t_s[1] == 5 / 50


def test_3dhp_is_scored_against_the_universal_skeleton(folders: dict[str, Path]) -> None:
    test = read(folders["mpi-inf-3dhp"], "test", truth_2d=True)[0]
    local, _ = datasets.Camera(30, 1500, (2048, 2048)).see(datasets.bodies(H36M_16.joints, 11))
    assert test.truth.joints_mm is not None
    apart = test.truth.joints_mm[:, 0] - 0.92 * local[[1, 2, 4, 5, 7, 8, 10]]
    assert np.abs(apart).max() < 0.01


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


@pytest.mark.parametrize("joints", [MPII_16, COCO_17, HALPE_26])
def test_alphapose_results_of_three_models_become_the_lifters_joints(
    tmp_path: Path, joints: Any
) -> None:
    points = np.arange(2 * len(joints) * 2, dtype=float).reshape(2, -1, 2) + 50
    path = tmp_path / "video.json"
    datasets.detected(path, ["7.jpg", "9.jpg"], points)
    keypoints, confidence = read_detections(path, [7, 8, 9])
    wrist = H36M_16.index("lwrist")
    assert np.allclose(keypoints[[0, 2], wrist], points[:, joints.index("lwrist")])
    assert (confidence[1] == 0).all()
    assert (confidence[0, H36M_16.index("head")] > 0) == ("head" in joints.joints)


def test_confidences_from_0_to_6_become_shares(tmp_path: Path) -> None:
    path = tmp_path / "video.json"
    datasets.detected(path, ["0.jpg"], np.full((1, len(COCO_17), 2), 5.0), peak=5.4)
    assert read_detections(path, [0])[1].max() == pytest.approx(0.9)


def test_the_largest_box_is_the_person(tmp_path: Path) -> None:
    people = [
        {"image_id": 3, "keypoints": [x, x, 0.5] * len(MPII_16), "score": 1, "box": [0, 0, w, 10]}
        for x, w in ((1, 5), (2, 50), (3, 20))
    ]
    (tmp_path / "video.json").write_text(json.dumps(people))
    assert (read_detections(tmp_path / "video.json", [3])[0] == 2).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "no AlphaPose result"),
        ("nonsense", "no AlphaPose result"),
        ('[{"image_id": "0.jpg", "keypoints": [1, 2, 3]}]', "has 1 keypoints a person"),
        ('[{"image_id": "0.jpg", "keypoints": [1, 2, 3, 4]}]', "keypoints a person, expected"),
        (json.dumps([{"image_id": "a.jpg", "keypoints": [0.5] * 51}]), "a number in every"),
    ],
)
def test_what_is_no_detection_file_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "video.json").write_text(text)
    with pytest.raises(Refusal, match=sentence):
        read_detections(tmp_path / "video.json", [0])


def test_a_broken_number_is_no_detection(tmp_path: Path) -> None:
    flat: list[float] = [0.5] * 3 * len(MPII_16)
    flat[0] = float("nan")
    (tmp_path / "v.json").write_text(json.dumps([{"image_id": "0.jpg", "keypoints": flat}]))
    keypoints, confidence = read_detections(tmp_path / "v.json", [0])
    assert np.isfinite(keypoints).all()
    assert confidence[0, H36M_16.index("rankle")] == 0
    assert confidence[0, H36M_16.index("lankle")] == 0.5


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
def test_what_is_missing_is_named_with_where_it_comes_from(
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


def test_poses_of_another_number_of_joints_are_refused(tmp_path: Path) -> None:
    folder = datasets.human36m(tmp_path, actions=("Eating",))
    path = folder / "S9" / "MyPoseFeatures" / "D2_Positions" / "Eating.54138969.cdf"
    datasets.write_cdf(path, np.zeros((5, 17, 2)))
    with pytest.raises(Refusal, match="has 34 numbers a frame, expected 64"):
        read(folder, "test")


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
