"""A short film of a calibrated rig."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.outcomes import outcome, with_observations
from train.evaluation.calibrate_and_score import CalibrationResult
from train.rig_pictures.rig_movie import film


def frames(path: Path) -> list[Any]:
    with Image.open(path) as opened:
        found = []
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            found.append(np.asarray(opened.convert("RGB")).astype(int))
    return found


def made(**changed: Any) -> CalibrationResult:
    """A take of half a second: at a quarter of its speed, of ten pictures a second, 20 pictures."""
    return with_observations(outcome(t_s=np.linspace(0, 0.5, 8), **changed))


def moved(one: Any, other: Any, place: tuple[slice, slice]) -> float:
    """The share of the pixels that differ there."""
    return float((np.abs(one[place] - other[place]).max(-1) > 30).mean())


RIG, NEAR, CURVES = (
    (slice(60, 540), slice(0, 590)),
    (slice(60, 280), slice(610, 950)),
    (slice(300, 510), slice(680, 910)),
)


def test_the_skeleton_walks_and_the_cursor_runs_along(tmp_path: Path) -> None:
    film(made(), tmp_path / "a.gif")
    found = frames(tmp_path / "a.gif")
    assert len(found) == 20
    assert found[0].shape == (540, 960, 3)
    first, middle, last = found[0], found[10], found[-1]
    for place in (RIG, CURVES):
        assert moved(first, middle, place) > 0
        assert moved(middle, last, place) > 0
    assert moved(first, last, RIG) < 0.05, "what stands still stays"


def test_nobody_is_drawn_where_there_is_no_skeleton(tmp_path: Path) -> None:
    lost = made()
    assert lost.reconstruction is not None
    joints = lost.reconstruction.joints.copy()
    joints[4:] = np.nan
    film(
        replace(lost, reconstruction=replace(lost.reconstruction, joints=joints)),
        tmp_path / "a.gif",
    )
    found = frames(tmp_path / "a.gif")
    assert found[0][NEAR].std((0, 1)).max() > 5
    assert found[-1][NEAR].std((0, 1)).max() < 1


def test_cameras_that_pan_move_in_the_film(tmp_path: Path) -> None:
    still = made()
    assert still.calibration is not None
    rig = still.calibration.rig
    angle = np.linspace(0, 0.6, 8)
    turn = np.zeros((8, 1, 3, 3))
    turn[:, 0, 1, 1] = 1
    turn[:, 0, 0, 0] = turn[:, 0, 2, 2] = np.cos(angle)
    turn[:, 0, 0, 2], turn[:, 0, 2, 0] = np.sin(angle), -np.sin(angle)
    rotation = turn @ rig.view_from_world
    panning = replace(
        rig,
        view_from_world=rotation,
        translation=-(rotation @ rig.centres[..., None])[..., 0],
        focal_px=np.tile(rig.focal_px, (8, 1)),
    )
    calibration = replace(still.calibration, rig=panning)
    film(with_observations(replace(still, calibration=calibration)), tmp_path / "pan.gif")
    film(still, tmp_path / "still.gif")
    pan, stood = frames(tmp_path / "pan.gif"), frames(tmp_path / "still.gif")
    assert moved(pan[0], pan[-1], RIG) > 1.2 * moved(stood[0], stood[-1], RIG)


def test_an_mp4_has_a_size_that_browsers_play(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    film(made(), tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as opened:
        (stream,) = opened.streams.video
        assert (stream.width, stream.height) == (1280, 720)
        assert stream.frames == 50
