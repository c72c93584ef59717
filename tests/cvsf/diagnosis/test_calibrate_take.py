"""Takes in which something is wrong: what is found, and what is said of it."""

import pytest

from cvsf.calibration.degeneracy import Undetermined
from cvsf.diagnosis.calibrate_take import SPANS, CalibratedTake, calibrate_take
from cvsf.diagnosis.view_faults import MIRRORED_BACK
from cvsf.multiview.observations import LiftedObservations
from tests.support.reconstruction_errors import errors_mm, limit_mm
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import (
    INTERVAL_S,
    Real,
    another,
    exact_of,
    exchanged,
    mirrored,
    noisy_poses,
    shifted_poses,
    wandering,
)

pytestmark = pytest.mark.slow  # whole takes; what they are made of has quick tests of its own

SOME = slice(45, 90)  # 3.0 to 6.0 s


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("walk"), frames=120)


def taken(walk: Rehearsed, pixels: Real) -> CalibratedTake:
    return calibrate_take(walk.seen(keypoints_px=pixels))


def error_over_limit(walk: Rehearsed, take: CalibratedTake) -> float:
    return errors_mm(walk, take.calibration, take.reconstruction)[0] / limit_mm(walk)


def test_a_healthy_walk_is_calibrated_with_still_cameras_and_without_a_word(
    walk: Rehearsed,
) -> None:
    take = taken(walk, walk.keypoints_px)
    assert not take.calibration.rig.is_panning
    assert not take.calibration.rig.delay_s.any()
    assert (take.left_out, take.corrected, take.still_noise) == ({}, {}, None)
    assert error_over_limit(walk, take) < 1.1


def well_lifted(walk: Rehearsed, view: int, delay_s: float | Real) -> LiftedObservations:
    """One view is late; the poses have small errors, so that no two seconds look alike."""
    seen = noisy_poses(exact_of(walk, walk.keypoints_px))
    return shifted_poses(seen, view, delay_s)


@pytest.mark.parametrize("delay_s", [1.0, -0.3])
def test_a_late_camera_has_its_delay_in_the_rig(walk: Rehearsed, delay_s: float) -> None:
    take = calibrate_take(well_lifted(walk, 2, delay_s))
    assert take.calibration.rig.delay_s == pytest.approx([0, 0, delay_s, 0], abs=0.5 * INTERVAL_S)
    assert take.left_out == {}
    assert error_over_limit(walk, take) < 1.3


def test_a_late_camera_is_not_shifted_where_delays_are_not_asked_for(walk: Rehearsed) -> None:
    take = calibrate_take(well_lifted(walk, 2, 0.3), offsets=False)
    assert not take.calibration.rig.delay_s.any()
    assert set(take.left_out) == {"cam2"}


def test_a_mirrored_camera_is_mirrored_back_and_named(walk: Rehearsed) -> None:
    take = taken(walk, mirrored(walk, 1))
    assert take.left_out == {}
    assert take.corrected == {"cam1": MIRRORED_BACK}
    assert take.mirrored_back == ("cam1",)
    assert take.calibration.rig.cameras == ("cam0", "cam1", "cam2", "cam3")
    assert error_over_limit(walk, take) < 1.2


def test_views_that_are_exchanged_for_some_seconds_are_exchanged_back(walk: Rehearsed) -> None:
    take = taken(walk, exchanged(walk, 0, 2, SOME))
    assert set(take.corrected) == {"cam0", "cam2"}
    assert take.corrected["cam0"].startswith("exchanged with cam2 from ")
    assert take.left_out == {}
    assert error_over_limit(walk, take) < 1.2


def test_seconds_in_which_a_view_shows_another_person_are_left_out_and_told(
    walk: Rehearsed,
) -> None:
    take = taken(walk, another(walk, 2, SOME))
    assert set(take.left_out) == {"cam2"}
    assert take.left_out["cam2"].startswith(SPANS)
    span = take.left_out["cam2"].removeprefix(SPANS)
    first_s, last_s = span.partition(" s:")[0].split(" to ")
    assert float(first_s) == pytest.approx(3.0, abs=0.4)
    assert float(last_s) == pytest.approx(6.0, abs=0.4)
    assert take.calibration.rig.cameras == ("cam0", "cam1", "cam2", "cam3")
    assert not take.observations.confidence[50:85, 2].any()
    assert error_over_limit(walk, take) < 1.3


def test_two_views_of_which_one_lost_frames_are_refused(walk: Rehearsed) -> None:
    lost = well_lifted(walk, 1, 0.1 * walk.t_s).of_views([0, 1])
    with pytest.raises(Undetermined, match="cam1"):
        calibrate_take(lost)


def test_a_camera_that_saw_nobody_is_left_out_with_the_reason(walk: Rehearsed) -> None:
    confidence = walk.confidence.copy()
    confidence[:, 1] = 0
    take = calibrate_take(walk.seen(confidence=confidence))
    assert take.left_out["cam1"].startswith("fewer than 5 of its instants")
    assert take.calibration.rig.cameras == ("cam0", "cam2", "cam3")


@pytest.fixture(scope="module")
def panning(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("pans"), frames=120, pans=True)


def test_panning_cameras_are_detected(panning: Rehearsed) -> None:
    take = calibrate_take(panning.seen())
    assert take.calibration.rig.is_panning
    assert take.still_noise is not None
    assert take.still_noise > 2 * take.calibration.noise_share
    assert error_over_limit(panning, take) < 1.6


def test_panning_cameras_are_refused_where_only_still_ones_are_asked_for(
    panning: Rehearsed,
) -> None:
    with pytest.raises(Undetermined):
        calibrate_take(panning.seen().of_views([0, 1, 2]), moving="still")


def test_panning_cameras_are_taken_for_still_ones_where_that_is_asked_for(walk: Rehearsed) -> None:
    take = calibrate_take(walk.seen(), moving="panning")
    assert take.calibration.rig.is_panning
    assert take.still_noise is None
