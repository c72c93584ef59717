"""The sentences that refuse still cameras."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.diagnosis.attempt import Attempt, Options, attempt
from cvsf.diagnosis.refusal import refusal
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import INTERVAL_S, exact_of, noisy_poses, shifted_poses
from tests.support.wandering import late as late_pixels


@pytest.fixture(scope="module")
def healthy(short_walk: Rehearsed) -> Attempt:
    return attempt(short_walk.seen(), Options())


def test_sound_cameras_are_not_refused(healthy: Attempt) -> None:
    assert healthy.is_sound
    assert refusal(healthy) == ""


def test_the_reason_of_the_cameras_comes_first(healthy: Attempt) -> None:
    assert refusal(replace(healthy, refused="too short")) == "too short"
    assert refusal(replace(healthy, calibration=None, refused="no fit")) == "no fit"


def test_a_delay_that_remains_names_its_camera(healthy: Attempt) -> None:
    late = replace(healthy, residual_delay_s=np.array([0, 0, 0.7 * INTERVAL_S, 0]))
    assert refusal(late).startswith("the delay of cam2 is not known")


def test_a_view_that_clearly_disagrees_for_long_is_named(healthy: Attempt) -> None:
    outlier = np.zeros(healthy.outlier.shape, bool)
    outlier[:40, 1] = True
    assert refusal(replace(healthy, outlier=outlier)) == ""  # a poor detector
    assert "cam1 agrees with the others in 56%" in refusal(
        replace(healthy, outlier=outlier, clear_outlier=outlier)
    )
    outlier[:60, 1] = True
    assert "expected 50%" in refusal(replace(healthy, outlier=outlier))


def test_what_is_left_without_spans_has_to_fit_well(healthy: Attempt) -> None:
    assert healthy.calibration is not None
    noisy = replace(healthy, calibration=replace(healthy.calibration, noise_share=0.027))
    assert refusal(noisy) == ""
    assert "the rest fits badly" in refusal(replace(noisy, has_spans=True))


@pytest.mark.slow
def test_two_views_with_a_delay_have_to_be_sound(short_walk: Rehearsed) -> None:
    delay_s = 3 * INTERVAL_S
    seen = exact_of(short_walk, late_pixels(short_walk, 1, delay_s))
    late = noisy_poses(shifted_poses(seen, 1, delay_s)).of_views([0, 1])
    two = attempt(late, Options(offsets=True), np.array([0, delay_s]))
    assert two.is_sound
    assert refusal(two) == ""
    outlier = np.zeros(two.outlier.shape, bool)
    outlier[:10] = True
    assert "film the same moments" in refusal(replace(two, outlier=outlier))
