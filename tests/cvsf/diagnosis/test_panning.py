"""When panning cameras are accepted instead of still ones, and when not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.diagnosis.attempt import Attempt, Options, attempt
from cvsf.diagnosis.panning import PanningCameras
from cvsf.multiview.observations import LiftedObservations
from tests.support.made_calibration import made_calibration, made_rig
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import wandering

FRAMES = 120


@pytest.fixture(scope="module")
def panning(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("pans"), frames=FRAMES, pans=True)


@pytest.fixture(scope="module")
def seen(panning: Rehearsed) -> LiftedObservations:
    return panning.seen()


@pytest.fixture(scope="module")
def still(seen: LiftedObservations) -> Attempt:
    return attempt(seen, Options())


def test_cameras_that_pan_are_accepted_where_still_ones_do_not_fit(
    seen: LiftedObservations, still: Attempt
) -> None:
    assert still.refused or not still.is_sound
    found = PanningCameras(seen).at_last(still)
    assert found is not None
    assert found.rig.is_panning
    assert still.calibration is not None
    assert 2 * found.noise_share < still.calibration.noise_share


def test_panning_cameras_of_exchanged_views_are_not_accepted(
    panning: Rehearsed, still: Attempt
) -> None:
    pixels = panning.keypoints_px.copy()
    pixels[50:, 0], pixels[50:, 2] = panning.keypoints_px[50:, 2], panning.keypoints_px[50:, 0]
    assert PanningCameras(panning.seen(keypoints_px=pixels)).at_last(still) is None


def test_panning_cameras_of_a_late_view_are_not_accepted(
    seen: LiftedObservations, still: Attempt
) -> None:
    late = replace(seen, canonical=seen.canonical.copy())
    late.canonical[:-6, 1] = seen.canonical[6:, 1]
    assert PanningCameras(late).at_last(still) is None


def test_panning_cameras_that_are_not_known_well_have_a_reason(
    seen: LiftedObservations, still: Attempt
) -> None:
    few = PanningCameras(seen.take(slice(0, 9)))
    assert few.at_last(still) is None
    rig = made_rig(len(seen.cameras))
    badly, well = (made_calibration(rig, noise_share=noise) for noise in (0.08, 0.01))
    assert few.reason(replace(still, calibration=badly)) == (
        "if they pan: 9 instants were observed by 3 views, expected 10 or more; film longer"
    )
    assert few.reason(replace(still, calibration=well)) == ""


def test_two_views_are_never_taken_for_panning_ones(
    seen: LiftedObservations, still: Attempt
) -> None:
    assert PanningCameras(seen.of_views([0, 1])).at_last(still) is None


def test_still_cameras_that_fit_are_not_given_up(tmp_path: Path) -> None:
    seen = wandering(tmp_path, frames=FRAMES).seen()
    fits = attempt(seen, Options())
    panning = PanningCameras(seen)
    for tried in (panning.before_delays, panning.before_omissions, panning.at_last):
        assert tried(fits) is None


@pytest.mark.parametrize(
    ("noise", "errors", "first", "later"),
    [
        (0.08, [0.08, 0.07, 0.09], True, True),
        (0.03, [0.03, 0.03, 0.03], False, True),
        (0.01, [0.01, 0.01, 0.01], False, False),
        (0.08, [0.03, 0.03, 0.15], False, False),
        (0.08, [0.08, 0.08], False, False),
    ],
)
def test_all_may_pan_where_still_cameras_fit_badly_and_all_alike(
    seen: LiftedObservations, noise: float, errors: list[float], first: bool, later: bool
) -> None:
    views = len(errors)
    made = made_calibration(made_rig(views), noise_share=noise, reprojection_share=np.array(errors))
    tried = Attempt(
        observations=seen.of_views(range(views)),
        calibration=made,
        residual_delay_s=np.zeros(views),
        outlier=np.zeros((FRAMES, views), bool),
        clear_outlier=np.zeros((FRAMES, views), bool),
        contradicted=np.zeros((FRAMES, views), bool),
    )
    panning = PanningCameras(tried.observations)
    assert (panning.before_delays(tried) is not None) == first
    assert (panning.before_omissions(tried) is not None) == later
