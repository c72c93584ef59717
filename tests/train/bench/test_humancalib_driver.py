"""What the driver writes for HumanCalib and reads from it; modules of its name stand in for it."""

import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from cvsf.skeleton import H36M_16
from train.bench.humancalib_driver import (
    OPENPOSE_25,
    listed,
    main,
    pose_file,
    read_keypoints,
    write_films,
    write_intrinsics,
    write_poses,
)

FRAMES, VIEWS = 5, 2
SUBSET = "poses"


def given() -> dict[str, Any]:
    random = np.random.default_rng(0)
    shape = (FRAMES, VIEWS, len(H36M_16))
    confidence = random.uniform(0.6, 1, shape)
    confidence[3, 1] = 0  # not seen
    return {
        "keypoints_px": random.uniform(0, 900, (*shape, 2)),
        "confidence": confidence,
        "poses": random.normal(0, 0.3, (*shape, 3)),
        "joint_names": np.array(H36M_16.joints),
        "K": np.tile([[1500.0, 0, 960], [0, 1500, 540], [0, 0, 1]], (VIEWS, 1, 1)),
        "size_px": np.array([1920.0, 1080.0]),
        "rate_hz": np.array(30.0),
    }


def test_every_joint_has_a_place_of_its_own() -> None:
    assert set(OPENPOSE_25) == set(H36M_16.joints)
    assert len(set(OPENPOSE_25.values())) == len(H36M_16)


def test_keypoints_come_back_and_an_unseen_person_has_no_pose(tmp_path: Path) -> None:
    data = given()
    write_poses(data, tmp_path)
    keypoints, score = read_keypoints(tmp_path, VIEWS)
    assert keypoints.shape == (VIEWS, FRAMES, 25, 2)
    at = [OPENPOSE_25[name] for name in H36M_16.joints]
    np.testing.assert_array_equal(keypoints[:, :, at].swapaxes(0, 1), data["keypoints_px"])
    np.testing.assert_array_equal(score[:, :, at].swapaxes(0, 1), data["confidence"])
    lifted = json.loads((tmp_path / "3d_joint" / pose_file(1)).read_text())["data"]
    assert [sum(frame["skeleton"][0]["score"]) for frame in lifted] == [16, 16, 16, 0, 16]
    pose = np.reshape(lifted[0]["skeleton"][0]["pose"], (25, 3))
    np.testing.assert_array_equal(pose[at], data["poses"][0, 1])


def test_films_and_intrinsics_have_the_same_cameras_their_size_and_rate(tmp_path: Path) -> None:
    films = write_films(given(), tmp_path / "films")
    tables = tomllib.loads(write_intrinsics(given(), tmp_path / "K.toml").read_text())
    assert sorted(film.stem for film in films.iterdir()) == list(tables) == ["cam00", "cam01"]
    assert tables["cam01"]["matrix"] == given()["K"][1].tolist()
    assert tables["cam01"]["size"] == [1920, 1080]
    film = cv2.VideoCapture(str(films / "cam00.avi"))
    assert film.get(cv2.CAP_PROP_FRAME_WIDTH) == 1920
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(30)
    film.release()


def test_what_is_no_number_is_written_as_null() -> None:
    assert listed(np.array([[1.5, np.nan], [np.inf, 0.0]])) == [[1.5, None], [None, 0.0]]


def test_the_kept_stages_cameras_and_skeletons_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[str] = []
    stand_in(monkeypatch, words)
    np.savez(tmp_path / "in.npz", allow_pickle=False, **given())
    main([str(tmp_path / "in.npz"), str(tmp_path / "out.json")])
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["kept_stage"] == "second"
    assert found["view_from_world"] == [np.eye(3).tolist()] * VIEWS
    assert found["translation"] == [[0.0, 0, 5], [0.0, 0, 7]]
    joints = np.array(found["joints"], float)
    assert joints.shape == (FRAMES, len(H36M_16), 3)
    assert np.isnan(joints[:, H36M_16.index("hip")]).all()
    np.testing.assert_array_equal(joints[:, H36M_16.index("lknee")], OPENPOSE_25["lknee"])
    assert found["seconds"] >= 0
    assert words[words.index("--person_selection") + 1] == "largest"
    assert not {"--height", "--frame_skip", "--conf_threshold"} & set(words)  # its own defaults


def stand_in(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """Modules that look like HumanCalib's, whose pipeline keeps its second stage."""

    def parse_run_args(given_words: list[str]) -> SimpleNamespace:
        words.extend(given_words)
        return SimpleNamespace(output_dir=given_words[2])

    def run_pipeline(settings: SimpleNamespace) -> None:
        results = Path(settings.output_dir) / "results"
        results.mkdir()
        (results / "summary.json").write_text(json.dumps({"kept_stage": "second"}))
        cameras = {"K": given()["K"].tolist(), "R_w2c": [np.eye(3).tolist()] * VIEWS}
        cameras["t_w2c"] = [[[0.0], [0.0], [5.0]], [[0.0], [0.0], [7.0]]]
        (results / "second.json").write_text(json.dumps(cameras))

    def triangulate_skeleton(keypoints: Any, *_: Any) -> Any:
        joints = np.broadcast_to(np.arange(25.0)[:, None], (keypoints.shape[1], 25, 3)).copy()
        joints[:, OPENPOSE_25["hip"]] = np.nan
        return joints

    modules: dict[str, dict[str, Any]] = {
        "cli": {
            "SUBSET": SUBSET,
            "parse_run_args": parse_run_args,
            "run_pipeline": run_pipeline,
        },
        "calibration": {},
        "calibration.ba": {},
        "postprocessing": {},
        "postprocessing.evaluate_calibration": {"triangulate_skeleton": triangulate_skeleton},
        "postprocessing.scale_scene": {},
    }
    monkeypatch.setitem(sys.modules, "humancalib", ModuleType("humancalib"))
    for name, values in modules.items():
        made = ModuleType(f"humancalib.{name}")
        made.__dict__.update(values)
        parent, _, last = made.__name__.rpartition(".")
        monkeypatch.setitem(sys.modules, made.__name__, made)
        setattr(sys.modules[parent], last, made)
