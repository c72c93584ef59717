"""Panning cameras followed live, from one instant to the next."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.ptz_tracking import PtzTracker
from cvsf.evaluation.metrics import n_mpjpe
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rotation import angle_between
from cvsf.reconstruction.reconstruct import reconstruct
from tests.support.reconstruction_errors import limit_mm
from tests.support.rehearsed import Rehearsed, rehearsed

FRAMES, VIEWS = 12, 3


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("pans"), frames=FRAMES, views=VIEWS, pans=True)


def known(walk: Rehearsed) -> Calibration:
    """The true cameras of the first two instants."""
    return walk.true_calibration(slice(2))


@pytest.mark.slow
def test_panning_cameras_followed_live_give_skeletons_near_those_of_triangulation(
    tmp_path: Path,
) -> None:
    walk = rehearsed(tmp_path, frames=75, pans=True)
    confidence = walk.confidence.copy()
    confidence[60:63, 1] = 0
    seen = walk.seen(confidence=confidence)
    tracker = PtzTracker(calibrate(seen.take(slice(0, 45)), moving="panning"))
    errors = []
    for row in range(45, 75):
        one = seen.take(slice(row, row + 1))
        now = tracker.track(one)
        assert now.rig.focal_px.ndim == 1
        joints = reconstruct(one, now).joints @ np.swapaxes(now.rig.view_from_world, -1, -2)
        errors.append(n_mpjpe(joints, walk.in_views_mm[row]).mean())
    assert np.mean(errors) < 1.6 * limit_mm(walk)


def test_a_camera_that_pans_and_zooms_is_found_at_the_next_instants(
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    tracker = PtzTracker(replace(known(walk), noise_share=0.002))  # pixels that are nearly exact
    for row in range(1, FRAMES):
        rig = tracker.track(exact.take(slice(row, row + 1))).rig
        assert angle_between(rig.view_from_world, walk.view_from_world[row]).max() < 0.5
        assert np.abs(rig.focal_px / walk.focal_px[row] - 1).max() < 0.01
    panned = angle_between(walk.view_from_world[-1], walk.view_from_world[1])
    assert panned.max() > 5  # so far the cameras had to be followed


def test_cameras_that_see_nobody_stay_as_they_were(
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    start = known(walk)
    tracker = PtzTracker(start)
    for views in ([], [1]):  # one view alone does not tell where its camera looks either
        confidence = np.zeros_like(exact.confidence)
        confidence[:, views] = exact.confidence[:, views]
        one = replace(exact, confidence=confidence).take(slice(6, 7))
        rig = tracker.track(one).rig
        np.testing.assert_array_equal(rig.view_from_world, start.rig.view_from_world[-1])
        np.testing.assert_allclose(rig.focal_px, start.rig.focal_px[-1])
        np.testing.assert_allclose(rig.translation, start.rig.translation[-1], atol=1e-5)
