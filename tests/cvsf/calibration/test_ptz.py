from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.ptz_tracking import Pursuit
from cvsf.calibration.rig_averaging import agreed_centres, lay_over
from cvsf.evaluation.metrics import n_mpjpe
from cvsf.multiview.observations import Sightings
from cvsf.multiview.rotation import turn
from cvsf.reconstruction.reconstruct import place
from tests.cvsf.calibration.test_calibrate import errors_mm, limit_mm
from tests.support.rehearsed import Rehearsed, rehearsed


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("pans"), pans=True)


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> Sightings:
    return walk.seen()


def test_cameras_that_follow_and_zoom_are_found_out_and_found(
    walk: Rehearsed, seen: Sightings
) -> None:
    found = calibrate(seen, moving="auto")
    assert found.rig.focal_px.shape == walk.focal_px.shape
    assert np.ptp(found.rig.centres, axis=0).max() < 1e-6
    n, p = errors_mm(walk, found, place(seen, found))
    assert n < 1.6 * limit_mm(walk)
    assert p < 1.3 * limit_mm(walk)


def test_panning_cameras_are_pursued_from_instant_to_instant(tmp_path: Path) -> None:
    walk = rehearsed(tmp_path, frames=75, pans=True)
    confidence = walk.confidence.copy()
    confidence[60:63, 1] = 0
    seen = walk.seen(confidence=confidence)
    pursuit = Pursuit(calibrate(seen.take(slice(0, 45)), moving="panning"))
    errors = []
    for row in range(45, 75):
        one = seen.take(slice(row, row + 1))
        now = pursuit.follow(one)
        assert now.rig.focal_px.ndim == 1
        joints = place(one, now).joints @ np.swapaxes(now.rig.view_from_world, -1, -2)
        errors.append(n_mpjpe(joints, walk.in_views_mm[row]).mean())
    assert np.mean(errors) < 1.6 * limit_mm(walk)


def test_still_cameras_are_not_taken_for_panning_ones(tmp_path: Path) -> None:
    assert calibrate(rehearsed(tmp_path).seen(), moving="auto").rig.focal_px.ndim == 1


def test_two_panning_cameras_are_refused(seen: Sightings) -> None:
    with pytest.raises(Undetermined, match="2 panning cameras"):
        calibrate(seen.of_views([0, 1]), moving="panning")


def test_rigs_are_laid_over_each_other_and_the_odd_ones_do_not_count() -> None:
    random = np.random.default_rng(0)
    rig = random.normal(size=(5, 3))
    turns = turn(random.normal(size=(20, 3)))
    scale = random.uniform(0.5, 2, 20)
    rigs = scale[:, None, None] * rig @ np.swapaxes(turns, -1, -2) + random.normal(size=(20, 1, 3))
    rigs[:6] += random.normal(size=(6, 5, 3))
    known = random.random((20, 5)) > 0.1
    centres, agreed = agreed_centres(rigs, known, np.zeros(20))
    assert not agreed[:6].any()
    rotation, shift, size = lay_over(rig[None], centres, np.ones((1, 5), bool))
    laid = size[0] * rig @ rotation[0].T + shift[0]
    assert np.allclose(laid, centres, atol=1e-6)
