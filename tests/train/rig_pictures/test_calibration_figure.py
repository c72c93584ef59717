"""The picture of a calibrated session."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from tests.support.made_calibration import calibration_of
from tests.support.material import make_frame, make_instant, make_pose, record
from tests.support.outcomes import filmed, outcome, with_observations
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.calibration_errors import Errors
from train.rig_pictures.calibration_figure import draw


def drawn(path: Path) -> Any:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def of_many(views: int) -> CalibrationResult:
    """That many cameras, the four of `outcome` again and again under other names."""
    made = outcome()
    assert made.calibration is not None
    assert made.reconstruction is not None
    rig = made.calibration.rig.of_views([view % 4 for view in range(views)])
    rig = replace(rig, cameras=tuple(f"camera{view}" for view in range(views)))
    residual = np.zeros((len(made.t_s), views))
    return with_observations(
        replace(
            made,
            calibration=calibration_of(rig, uncertainty=0.01, scale_source="adult"),
            reconstruction=replace(made.reconstruction, residual_share=residual),
        )
    )


def test_a_file_without_pictures_is_drawn_with_its_skeletons_and_scores(tmp_path: Path) -> None:
    made, file = with_observations(outcome()), tmp_path / "walk.npz"
    draw(made, filmed(made), file, tmp_path / "plain.png")
    scored = replace(made, errors={"fused": Errors(n_mm=30.0, p_mm=20.0, count=1)})
    draw(scored, filmed(scored), file, tmp_path / "scored.png")
    plain, with_score = drawn(tmp_path / "plain.png"), drawn(tmp_path / "scored.png")
    assert plain.shape == with_score.shape == (806, 1440, 3)
    changed = np.flatnonzero((plain != with_score).any((1, 2)))
    assert 0 < len(changed) < 25  # the line that says it, and nothing else
    assert plain[:, 768:].std() > 20  # four cameras with two bodies each


def test_camera_pictures_are_drawn_under_the_skeletons(tmp_path: Path) -> None:
    messages: list[Any] = []
    jpeg = simplejpeg.encode_jpeg(np.full((480, 640, 3), (0, 255, 0), np.uint8), colorspace="RGB")
    for seq in range(8):
        messages += [make_frame(f"cam{view}", seq, jpeg) for view in range(4)]
        cameras = ("cam0", "cam1", "cam2", "cam3")
        messages += [make_instant(seq, cameras), make_pose(seq, cameras)]
    record(tmp_path / "run", messages)
    made = with_observations(outcome())
    draw(made, filmed(made), tmp_path / "run", tmp_path / "rig.png")
    blue, green, red = np.moveaxis(drawn(tmp_path / "rig.png")[:, 768:].astype(int), -1, 0)
    assert ((green > 180) & (blue < 60) & (red < 60)).mean() > 0.3


def test_views_are_those_of_the_rig_by_name_where_a_camera_was_left_out(tmp_path: Path) -> None:
    made, file = with_observations(outcome()), tmp_path / "walk.npz"
    draw(made, filmed(made), file, tmp_path / "one.png")
    mixed = filmed(made, ("cam2", "blind", "cam0", "cam3", "cam1"))
    draw(made, mixed, file, tmp_path / "other.png")
    assert np.array_equal(drawn(tmp_path / "one.png"), drawn(tmp_path / "other.png"))


@pytest.mark.parametrize(("views", "size"), [(2, (806, 1440)), (16, (1072, 2784))])
def test_the_picture_grows_with_the_number_of_cameras(
    tmp_path: Path, views: int, size: tuple[int, int]
) -> None:
    made = of_many(views)
    draw(made, filmed(made), tmp_path / "walk.npz", tmp_path / "rig.png")
    assert drawn(tmp_path / "rig.png").shape[:2] == size


def test_a_camera_that_has_no_part_in_a_skeleton_has_no_pictures(tmp_path: Path) -> None:
    made, file = with_observations(outcome()), tmp_path / "walk.npz"
    draw(made, filmed(made), file, tmp_path / "all.png")
    assert made.reconstruction is not None
    residual = made.reconstruction.residual_share.copy()
    residual[:, 3] = np.nan
    blind = replace(made, reconstruction=replace(made.reconstruction, residual_share=residual))
    draw(blind, filmed(made), file, tmp_path / "blind.png")
    one, other = drawn(tmp_path / "all.png"), drawn(tmp_path / "blind.png")
    last = (slice(470, 690), slice(1110, 1420))  # of its pictures
    assert one[last].std((0, 1)).min() > 20
    assert other[last].std((0, 1)).max() == 0
    assert np.array_equal(one[:400], other[:400])
