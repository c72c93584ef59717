"""Delays that grow during a take, told from constant ones."""

import numpy as np
import pytest

from cvsf.diagnosis.delay_drift import changed_delay
from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import INTERVAL_S, exact_of, noisy_poses, shifted_poses


@pytest.fixture(scope="module")
def exact(walk: Rehearsed) -> LiftedObservations:
    return noisy_poses(exact_of(walk))


def test_a_film_that_lost_every_tenth_frame_has_a_delay_that_grows(
    exact: LiftedObservations,
) -> None:
    kept = np.flatnonzero(np.arange(len(exact)) % 10 != 9)
    lost_s = exact.t_s[kept] - exact.t_s[: len(kept)]
    late = shifted_poses(exact.take(slice(0, len(kept))), 2, lost_s)
    found = changed_delay(late, 2)
    assert found is not None
    assert found == pytest.approx((lost_s[0], lost_s[-1]), abs=2.5 * INTERVAL_S)


def test_the_others_of_a_drifting_film_do_not_drift(exact: LiftedObservations) -> None:
    late = shifted_poses(exact, 2, 0.1 * exact.t_s)
    assert changed_delay(late, 2) is not None
    assert changed_delay(late, 0) is None


@pytest.mark.parametrize("intervals", [0.0, 5.0, -11.3])
def test_a_constant_delay_does_not_change(exact: LiftedObservations, intervals: float) -> None:
    assert changed_delay(shifted_poses(exact, 2, intervals * INTERVAL_S), 2) is None


def test_another_person_for_some_seconds_is_no_drift(exact: LiftedObservations) -> None:
    canonical = exact.canonical
    late = shifted_poses(exact, 2, 0.0)
    late.canonical[40:80, 2] = canonical[100:140, 2] * np.array([1, -1, 1])
    assert changed_delay(late, 2) is None


def test_a_view_without_any_observation_has_no_drift(exact: LiftedObservations) -> None:
    blind = shifted_poses(exact, 2, 0.0)
    blind.confidence[:, 2] = 0
    assert changed_delay(blind, 2) is None
