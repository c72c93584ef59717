"""Cameras that pan, found and followed while the hub runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.metric_scale import Scale
from cvsf.evaluation.metrics import mpjpe
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import pans
from runtime.calibration.live_ptz import Pursued
from runtime.calibration.online_calibrator import Found, Surveying
from tests.support.rehearsed import Rehearsed, rehearsed

STATURE_M = 1.7


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("pans"), frames=200, pans=True)


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> LiftedObservations:
    return walk.seen()


def shown(surveyor: Surveying, seen: LiftedObservations, rows: range) -> list[tuple[int, Found]]:
    """What it finds, and after which instant, shown one instant after another."""
    found: list[tuple[int, Found]] = []
    for row in rows:
        surveyor.see(seen.take(slice(row, row + 1)))
        found += [(row, news) for news in surveyor.think()]
    return found


@pytest.mark.slow
def test_cameras_that_did_not_hold_are_sought_as_panning_ones_and_pursued(
    walk: Rehearsed, seen: LiftedObservations
) -> None:
    surveyor = Surveying()
    surveyor.scale = Scale(height_m=STATURE_M)
    first = shown(surveyor, seen, range(30))
    assert first
    assert not pans(first[0][1].calibration.rig)  # in two seconds they hardly turn
    surveyor.lose(float(seen.t_s[30]))
    later = shown(surveyor, seen, range(30, 150))
    assert later
    row, news = later[0]
    assert pans(news.calibration.rig)
    assert len(later) == 1  # their tripods are known from then on
    pursued = Pursued(news.calibration)
    errors = []
    for at in range(row + 1, row + 41):
        one = seen.take(slice(at, at + 1))
        joints = pursued.place(one).joints @ np.swapaxes(pursued.now.rig.view_from_world, -1, -2)
        errors.append(mpjpe(joints * 1000, walk.in_views_mm[at]).mean())
        assert not pursued.lost(float(seen.t_s[at]))
    assert np.median(errors) < 60


@pytest.mark.slow
def test_views_that_do_not_fit_for_two_seconds_are_lost(seen: LiftedObservations) -> None:
    pursued = Pursued(calibrate(seen.take(slice(0, 60)), moving="panning"))
    random = np.random.default_rng(0)
    for row in range(60, 120):
        one = seen.take(slice(row, row + 1))
        keypoints = one.keypoints_px.copy()
        keypoints = random.permuted(keypoints, axis=2)
        pursued.place(replace(one, keypoints_px=keypoints) if row > 70 else one)
    assert pursued.lost(float(seen.t_s[119]))


def test_cameras_that_stand_still_need_no_pursuit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="still"):
        Pursued(calibrate(rehearsed(tmp_path).seen()))
