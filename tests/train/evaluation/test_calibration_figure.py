"""The picture of a calibrated session."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from cvsf.multiview.observations import LiftedObservations
from cvsf.skeleton import H36M_16
from tests.support.material import make_frame, make_instant, make_pose, record
from tests.support.outcomes import outcome
from train.data.calibration_input import CalibrationInput
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.calibration_errors import Errors
from train.evaluation.calibration_figure import draw


def filmed(
    made: CalibrationResult, cameras: tuple[str, ...] = ("cam0", "cam1", "cam2", "cam3")
) -> CalibrationInput:
    """What those cameras saw of it, to the pixel; the rig's own come where they are named."""
    assert made.calibration is not None
    assert made.reconstruction is not None
    rig = made.calibration.rig
    shown = rig.project(made.reconstruction.joints)
    views = [rig.cameras.index(name) if name in rig.cameras else 0 for name in cameras]
    shape = (*shown[:, views].shape[:3],)
    seen = LiftedObservations(
        joint_set=H36M_16,
        cameras=cameras,
        image_px=np.full((*shape[:2], 2), (640, 480), np.float32),
        t_s=made.t_s,
        keypoints_px=shown[:, views].astype(np.float32),
        confidence=np.ones(shape, np.float32),
        canonical=np.zeros((*shape, 3), np.float32),
        view_from_canonical=np.zeros((*shape[:2], 3, 3), np.float32),
    )
    fused = np.zeros((shape[0], shape[2], 3), np.float32)
    return CalibrationInput(name=made.name, observations=seen, fused=fused, truth=None)


def drawn(path: Path) -> Any:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def test_a_file_without_pictures_is_drawn_with_its_skeletons_and_scores(tmp_path: Path) -> None:
    made, file = outcome(), tmp_path / "walk.npz"
    draw(made, filmed(made), file, tmp_path / "plain.png")
    scored = outcome(errors={"fused": Errors(n_mm=30.0, p_mm=20.0, count=1)})
    draw(scored, filmed(scored), file, tmp_path / "scored.png")
    plain, with_score = drawn(tmp_path / "plain.png"), drawn(tmp_path / "scored.png")
    assert plain.shape == with_score.shape == (806, 1440, 3)
    changed = np.flatnonzero((plain != with_score).any((1, 2)))
    assert 0 < len(changed) < 25  # the line that says it, and nothing else
    assert plain[:, 870:].std() > 20  # four views with a body each


def test_camera_pictures_are_drawn_under_the_skeletons(tmp_path: Path) -> None:
    messages: list[Any] = []
    jpeg = simplejpeg.encode_jpeg(np.full((480, 640, 3), (0, 255, 0), np.uint8), colorspace="RGB")
    for seq in range(8):
        messages += [make_frame(f"cam{view}", seq, jpeg) for view in range(4)]
        cameras = ("cam0", "cam1", "cam2", "cam3")
        messages += [make_instant(seq, cameras), make_pose(seq, cameras)]
    record(tmp_path / "run", messages)
    made = outcome()
    draw(made, filmed(made), tmp_path / "run", tmp_path / "rig.png")
    blue, green, red = np.moveaxis(drawn(tmp_path / "rig.png")[:, 870:].astype(int), -1, 0)
    assert ((green > 180) & (blue < 60) & (red < 60)).mean() > 0.3


def test_views_are_those_of_the_rig_by_name_where_a_camera_was_left_out(tmp_path: Path) -> None:
    made, file = outcome(), tmp_path / "walk.npz"
    draw(made, filmed(made), file, tmp_path / "one.png")
    mixed = filmed(made, ("cam2", "blind", "cam0", "cam3", "cam1"))
    draw(made, mixed, file, tmp_path / "other.png")
    assert np.array_equal(drawn(tmp_path / "one.png"), drawn(tmp_path / "other.png"))
