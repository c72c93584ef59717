"""Delays, and a body for each person, as alternatives to still cameras that do not fit."""

import pytest

from cvsf.diagnosis.alternatives import with_bodies, with_delays
from cvsf.diagnosis.attempt import Attempt, Options, attempt
from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import INTERVAL_S, exact_of, noisy_poses, shifted_poses

OPTIONS = Options()


@pytest.fixture(scope="module")
def seen(short_walk: Rehearsed) -> LiftedObservations:
    return noisy_poses(exact_of(short_walk, short_walk.keypoints_px))


@pytest.fixture(scope="module")
def healthy(seen: LiftedObservations) -> Attempt:
    return attempt(seen, OPTIONS)


def test_a_delay_is_found_from_the_poses_and_sharpened(seen: LiftedObservations) -> None:
    late = attempt(shifted_poses(seen, 1, 0.75), OPTIONS)
    assert not late.is_sound
    found = with_delays(late, OPTIONS)
    assert found.is_sound
    assert found.delay_s == pytest.approx([0, 0.75, 0, 0], abs=INTERVAL_S / 2)


def test_what_fits_stays_as_it_is(healthy: Attempt) -> None:
    assert healthy.is_sound
    assert with_bodies(healthy, OPTIONS) is healthy
    assert with_delays(healthy, Options(may_shift=False)) is healthy
