"""Cameras that pan, found and followed while the hub runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.metric_scale import Scale
from cvsf.evaluation.metrics import mpjpe
from cvsf.multiview.observations import LiftedObservations
from cvsf.session.calibrations import CalibrationUpdate
from runtime.calibration.live_ptz import LivePtz
from runtime.calibration.online_calibrator import OnlineCalibrator
from tests.support.instants import instants_of
from tests.support.rehearsed import Rehearsed, rehearsed

STATURE_M = 1.7


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("pans"), frames=300, pans=True)


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> LiftedObservations:
    return walk.seen()


def shown(
    calibrator: OnlineCalibrator, seen: LiftedObservations, rows: range
) -> list[tuple[int, CalibrationUpdate]]:
    """Its updates, and after which instant, one instant after another."""
    found: list[tuple[int, CalibrationUpdate]] = []
    instants = instants_of(seen)
    for row in rows:
        calibrator.add(instants[row])
        found += [(row, update) for update in calibrator.update()]
    return found


@pytest.mark.slow
def test_cameras_that_did_not_hold_are_sought_as_panning_ones_and_tracked(
    walk: Rehearsed, seen: LiftedObservations
) -> None:
    calibrator = OnlineCalibrator()
    calibrator.scale = Scale(height_m=STATURE_M)
    first = shown(calibrator, seen, range(30))
    assert first
    assert not first[0][1].calibration.rig.is_panning  # in two seconds they hardly turn
    calibrator.all_lost(float(seen.t_s[30]))
    later = shown(calibrator, seen, range(30, 200))
    assert later
    row, update = later[0]
    assert update.calibration.rig.is_panning
    assert len(later) == 1  # their tripods are known from then on
    ptz = LivePtz(update.calibration)
    errors, instants = [], instants_of(seen)
    for at in range(row + 1, row + 41):
        one = instants[at]
        joints = ptz.reconstruct(one).joints @ np.swapaxes(ptz.now.rig.view_from_world, -1, -2)
        errors.append(mpjpe(joints * 1000, walk.in_views_mm[at]).mean())
        assert not ptz.lost(float(seen.t_s[at]))
    assert np.median(errors) < 60


@pytest.mark.slow
def test_views_that_do_not_fit_for_two_seconds_are_lost(seen: LiftedObservations) -> None:
    ptz = LivePtz(calibrate(seen.take(slice(0, 60)), moving="panning"))
    random, instants = np.random.default_rng(0), instants_of(seen)
    for row in range(60, 120):
        one = instants[row]
        keypoints = random.permuted(one.pose.keypoints_px, axis=1)
        mixed = replace(one, pose=replace(one.pose, keypoints_px=keypoints))
        ptz.reconstruct(mixed if row > 70 else one)
    assert ptz.lost(float(seen.t_s[119]))


def test_cameras_that_stand_still_need_no_tracking(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not pan"):
        LivePtz(calibrate(rehearsed(tmp_path).seen()))
