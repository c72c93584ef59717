"""One recording of a published dataset as instants: the detector's 2D, or the labels' own."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.skeleton import H36M_16, MPII_16
from cvsf.system.errors import Refusal
from tests.support.datasets import detected
from train.data.dataset_recording import Detections, check_detections, observations
from train.data.instants import Recordings

JOINTS = len(H36M_16)
FRAMES = 3


KEYPOINTS = np.random.default_rng(0).uniform(50, 500, (FRAMES, 2, JOINTS, 2))
KEYPOINTS[2, 1] = np.nan


def recorded(*detections: Detections | None, truth_2d: bool = False) -> Recordings:
    """Three frames of two views; the second does not show the person in the last."""
    joints_mm = np.random.default_rng(1).normal(0, 300, (FRAMES, 2, JOINTS, 3))
    joints_mm[0, 0, 5] = np.nan
    return observations(
        session="S1/Walking",
        subject="S1",
        joints=H36M_16.joints,
        joints_mm=joints_mm,
        keypoints_px=KEYPOINTS,
        image_px=np.array([(640, 480), (320, 240)]),
        t_s=np.arange(FRAMES) / 50,
        pictures=np.array([10, 15, 20]),
        detections=detections or (None, None),
        truth_2d=truth_2d,
    )


def test_the_labels_own_2d_is_sure_where_it_is_known() -> None:
    found = recorded(truth_2d=True)
    assert found.session == ("S1/Walking",) * FRAMES
    assert found.image_px[2].tolist() == [[640, 480], [320, 240]]
    assert found.confidence[:, 0].all()
    assert not found.confidence[2, 1].any()
    assert not found.keypoints_px[2, 1].any()
    np.testing.assert_allclose(found.keypoints_px[:2], KEYPOINTS[:2], rtol=1e-6)
    assert found.truth.joints_mm is not None
    assert np.isnan(found.truth.joints_mm[0, 0, 5]).all()


def test_the_heads_length_in_pixels_is_from_the_thorax_to_the_head() -> None:
    found = recorded(truth_2d=True)
    head, thorax = (KEYPOINTS[0, 1, H36M_16.index(joint)] for joint in ("head", "thorax"))
    assert found.truth.head_px is not None
    assert found.truth.head_px[0, 1] == pytest.approx(np.linalg.norm(head - thorax), rel=1e-5)


def test_a_detectors_2d_is_read_by_the_pictures_numbers_and_only_where_the_camera_saw_the_person(
    tmp_path: Path,
) -> None:
    points = np.random.default_rng(2).uniform(50, 500, (FRAMES, len(MPII_16), 2))
    for view in range(2):
        detected(tmp_path / f"{view}.json", ["20.jpg", "10.jpg", "15.jpg"], points)
    places = [Detections(tmp_path / f"{view}.json", "--video v") for view in range(2)]
    found = recorded(*places)
    wrist = H36M_16.index("lwrist")
    wanted = points[[1, 2, 0], MPII_16.index("lwrist")]
    np.testing.assert_allclose(found.keypoints_px[:, 0, wrist], wanted, rtol=1e-5)
    assert (found.confidence[:2, 1, wrist] > 0).all()
    assert not found.confidence[2, 1].any()
    half = recorded(places[0], None)
    assert not half.confidence[:, 1].any()


def test_missing_detections_are_refused_with_the_way_to_make_them(tmp_path: Path) -> None:
    there = tmp_path / "there.json"
    there.write_text("[]")
    check_detections([Detections(there, ""), None])
    gone = Detections(tmp_path / "gone.json", "--indir pictures")
    with pytest.raises(Refusal, match=r"no 2D detections at .*gone\.json; .* --indir pictures "):
        check_detections([Detections(there, ""), gone])
