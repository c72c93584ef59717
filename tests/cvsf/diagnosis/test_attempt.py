"""The signs of a calibration that is sound, and of those that are not."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.diagnosis.attempt import Attempt, Options, attempt, examined
from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import another, exact_of, late, wandering

LATE_S = 0.2


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("walk"), frames=60)


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> LiftedObservations:
    return exact_of(walk, walk.keypoints_px)


@pytest.fixture(scope="module")
def sound(seen: LiftedObservations) -> Attempt:
    return attempt(lifted_in_views(seen), Options())


def lifted_in_views(seen: LiftedObservations) -> LiftedObservations:
    """In float32, as a lifter gives them; the unit is a mean bone."""
    return replace(seen, canonical=(seen.canonical / 250).astype(np.float32))


def test_cameras_of_a_healthy_walk_are_sound_by_every_sign(sound: Attempt) -> None:
    assert sound.is_sound
    assert not sound.refused
    assert not sound.outlier.any()
    assert not sound.has_delay
    assert np.abs(sound.residual_delay_s).max() < 0.05 * sound.interval_s
    assert sound.worst_ratio < 1.3
    assert (sound.agreement == 1).all()
    assert not sound.delay_s.any()
    assert sound.fit_cost == pytest.approx(sound.error_share.mean(), rel=0.2)


def test_a_late_view_stands_out_and_is_not_sound(walk: Rehearsed, sound: Attempt) -> None:
    tried = attempt(lifted_in_views(exact_of(walk, late(walk, 2, 2 * LATE_S))), Options())
    assert not tried.is_sound
    assert tried.worst_ratio > 2
    assert int(tried.error_share.argmax()) == 2
    assert int(tried.residual_delay_s.argmax()) == 2
    assert tried.fit_cost > 1.3 * sound.fit_cost


def test_at_its_delay_a_late_view_is_sound_and_the_delay_is_sharpened(walk: Rehearsed) -> None:
    seen = lifted_in_views(exact_of(walk, late(walk, 2, LATE_S)))
    tried = attempt(seen, Options(offsets=True), np.array([0, 0, 2 / 15, 0]))
    assert tried.is_sound
    assert tried.delay_s == pytest.approx([0, 0, LATE_S, 0], abs=0.02)
    assert tried.observations is seen


def test_the_true_cameras_of_a_late_view_show_its_delay(walk: Rehearsed) -> None:
    tried = examined(lifted_in_views(exact_of(walk, late(walk, 2, 0.05))), walk.true_calibration(0))
    assert tried.has_delay
    assert int(tried.residual_delay_s.argmax()) == 2


def test_another_person_for_a_second_lowers_the_agreement_of_that_view(walk: Rehearsed) -> None:
    pixels = another(walk, 2, slice(10, 30))
    tried = examined(lifted_in_views(exact_of(walk, pixels)), walk.true_calibration(0))
    assert not tried.is_sound
    assert 0.5 < tried.agreement[2] < 0.7
    assert (tried.agreement[[0, 1, 3]] == 1).all()


def test_an_attempt_is_made_once_for_the_same_observations_and_delays(
    seen: LiftedObservations,
) -> None:
    options, some = Options(), lifted_in_views(seen).take(slice(0, 20))
    first = attempt(some, options)
    assert attempt(replace(some, t_s=some.t_s.copy()), options) is first
    assert attempt(some, options, np.array([0, 0, 0.1, 0])) is not first
    assert attempt(some, replace(options, offsets=True)) is not first
    assert attempt(some.of_views([0, 1, 2]), options) is not first


def test_what_is_not_determined_is_told_and_not_raised(seen: LiftedObservations) -> None:
    tried = attempt(seen.take(slice(0, 3)), Options())
    assert tried.refused
    assert not tried.is_sound
    assert tried.calibration is None
    assert tried.fit_cost == np.inf
    assert np.isinf(tried.error_share).all()
    assert not tried.delay_s.any()
