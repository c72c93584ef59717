"""The best and the worst picture of every camera, and which recorded picture that is."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.outcomes import filmed, observed, outcome, with_observations
from train.data.clip import POSES
from train.evaluation.calibrate_and_score import CalibrationResult
from train.rig_pictures.camera_pictures import camera_pictures, pictures_of

CAMERAS = ("cam0", "cam1", "cam2", "cam3")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films whose left half is black and whose right half is as bright as camera and frame say."""
    folder = tmp_path_factory.mktemp("clip")
    np.savez(folder / POSES)
    for view, camera in enumerate(CAMERAS):
        code = cv2.VideoWriter.fourcc(*"MJPG")
        video = cv2.VideoWriter(str(folder / f"{camera}.avi"), code, 4, (640, 480))
        for frame in range(8):
            picture = np.zeros((480, 640, 3), np.uint8)
            picture[:, 320:] = 50 + 5 * frame + 45 * view
            video.write(picture)
        video.release()
    return folder


def shown(picture: np.ndarray) -> tuple[int, int]:
    """Frame and camera of a picture of the clip."""
    view, rest = divmod(float(picture[:, 340:].mean()) - 50 + 2, 45)
    return int(rest // 5), int(view)


def with_errors(made: CalibrationResult) -> CalibrationResult:
    """Its keypoints are off by more at every later instant; those of cam2 by less."""
    seen = observed(made)
    off = np.arange(8.0)[:, None] * [1, 1, -1, 1] + [0, 0, 8, 0]
    keypoints = seen.keypoints_px + np.stack([off, 0 * off], -1)[:, :, None]
    return replace(made, observations=replace(seen, keypoints_px=keypoints.astype(np.float32)))


def test_each_camera_has_its_own_best_and_worst_instant_with_the_picture_of_it(clip: Path) -> None:
    made = with_errors(outcome())
    found, also = camera_pictures(made, filmed(made), clip, 4)
    assert {view: shown(picture) for view, picture in also.items()} == {
        view: (4, view) for view in range(4)
    }
    for view, pair in enumerate(found):
        assert pair is not None
        assert pair.camera == CAMERAS[view]
        best, worst = (7, 0) if view == 2 else (0, 7)
        for shot, row in ((pair.best, best), (pair.worst, worst)):
            assert shot.picture is not None
            assert shown(shot.picture) == (row, view)
            assert shot.t_s == pytest.approx(2 / 7 * row)
            off = np.linalg.norm(shot.keypoints_px - shot.projected_px, axis=-1)
            assert shot.error_px == pytest.approx(float(np.median(off)), abs=1e-3)
            assert shot.image_px.tolist() == [640, 480]
        assert pair.median_px == pytest.approx(4.5 if view == 2 else 3.5, abs=1e-3)


def test_a_file_without_pictures_gives_the_2d_alone(tmp_path: Path) -> None:
    made = with_observations(outcome())
    found, also = camera_pictures(made, filmed(made), tmp_path / "walk.npz", 0)
    assert also == {}
    assert all(pair is not None and pair.best.picture is None for pair in found)


def test_a_delayed_camera_shows_the_picture_that_was_taken_at_the_instant(clip: Path) -> None:
    made = with_observations(outcome())
    assert made.calibration is not None
    late = replace(made.calibration.rig, delay_s=np.array([0, 2 * 2 / 7, 0, -2 / 7]))
    made = replace(made, calibration=replace(made.calibration, rig=late))
    found = pictures_of(made, filmed(made), clip, [(4, view) for view in range(4)])
    assert [shown(found[4, view])[0] for view in range(4)] == [4, 2, 4, 5]


def test_the_pictures_of_a_mirrored_camera_are_mirrored_back(clip: Path) -> None:
    made = replace(
        with_observations(outcome()), corrected={"cam1": "mirrored back"}, mirrored_back=("cam1",)
    )
    found = pictures_of(made, filmed(made), clip, [(3, 0), (3, 1)])
    assert shown(found[3, 0]) == (3, 0)
    assert shown(found[3, 1][:, ::-1]) == (3, 1)


def test_exchanged_cameras_show_each_others_pictures_where_they_are_exchanged(clip: Path) -> None:
    made = with_observations(outcome())
    session = filmed(made)
    recorded = session.observations.keypoints_px.copy()
    recorded[5:, [0, 2]] = recorded[5:, [2, 0]]
    session = replace(session, observations=replace(session.observations, keypoints_px=recorded))
    made = replace(made, corrected={"cam0": "exchanged back", "cam2": "exchanged back"})
    found = pictures_of(made, session, clip, [(4, 0), (5, 0), (6, 2), (6, 1)])
    assert {cell: shown(picture) for cell, picture in found.items()} == {
        (4, 0): (4, 0),
        (5, 0): (5, 2),
        (6, 2): (6, 0),
        (6, 1): (6, 1),
    }


def test_views_are_those_of_the_rig_by_name_where_a_camera_was_left_out(clip: Path) -> None:
    made = with_observations(outcome())
    session = filmed(made, ("blind", "cam2", "cam0", "cam3", "cam1"))
    found = pictures_of(made, session, clip, [(2, 1)])
    assert shown(found[2, 1]) == (2, 1)
