"""AlphaPose's result files: three models, two scales of confidence, and what is none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvsf.skeleton import COCO_17, H36M_16, HALPE_26, MPII_16
from cvsf.system.errors import Refusal
from tests.support import datasets
from train.data.alphapose import read_detections


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
def test_a_file_that_is_no_alphapose_result_is_refused(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "video.json").write_text(text)
    with pytest.raises(Refusal, match=sentence):
        read_detections(tmp_path / "video.json", [0])


def test_a_keypoint_that_is_nan_has_confidence_0(tmp_path: Path) -> None:
    flat: list[float] = [0.5] * 3 * len(MPII_16)
    flat[0] = float("nan")
    (tmp_path / "v.json").write_text(json.dumps([{"image_id": "0.jpg", "keypoints": flat}]))
    keypoints, confidence = read_detections(tmp_path / "v.json", [0])
    assert np.isfinite(keypoints).all()
    assert confidence[0, H36M_16.index("rankle")] == 0
    assert confidence[0, H36M_16.index("lankle")] == 0.5
