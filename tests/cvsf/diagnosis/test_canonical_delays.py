"""Delays from canonical poses alone: found to one interval, and not believed for other motions."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.diagnosis.canonical_delays import canonical_delays, in_step, unit_poses
from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import INTERVAL_S, exact_of, moved, noisy_poses, shifted_poses


@pytest.fixture(scope="module")
def exact(walk: Rehearsed) -> LiftedObservations:
    return noisy_poses(exact_of(walk))


@pytest.mark.parametrize("intervals", [-7.0, 0.0, 1.0, 15.0, 4.4, -8.6])
def test_the_delay_of_a_late_view_is_found_to_one_interval(
    exact: LiftedObservations, intervals: float
) -> None:
    found = canonical_delays(shifted_poses(exact, 2, intervals * INTERVAL_S))
    wanted = np.array([0, 0, intervals, 0]) * INTERVAL_S
    assert np.abs(found.delay_s - wanted).max() < INTERVAL_S
    assert found.is_clear.all()


def test_two_views_that_are_late_by_different_delays_are_both_found(
    exact: LiftedObservations,
) -> None:
    late = shifted_poses(shifted_poses(exact, 1, 6 * INTERVAL_S), 3, -9 * INTERVAL_S)
    found = canonical_delays(late)
    assert np.allclose(found.delay_s, np.array([0, 6, 0, -9]) * INTERVAL_S)


def test_a_delay_beyond_the_reach_is_not_found(exact: LiftedObservations) -> None:
    late = shifted_poses(exact, 2, 15 * INTERVAL_S)
    found = canonical_delays(late, reach_s=10 * INTERVAL_S)
    assert np.abs(found.delay_s).max() <= 10 * INTERVAL_S + 1e-9
    assert found.agreement[2] > 1.5 * canonical_delays(late).agreement[2]


def test_the_delay_of_another_person_is_not_clear_and_their_poses_disagree(
    exact: LiftedObservations,
) -> None:
    canonical = exact.canonical.copy()
    steps = np.random.default_rng(3).permutation(12) / 12 * exact.t_s[-1]
    at_s = np.interp(np.arange(len(exact)), np.linspace(0, len(exact), 12), steps)
    canonical[:, 1] = moved(canonical[:, 1], exact.t_s, at_s) * [1, -1, 1]
    found = canonical_delays(replace(exact, canonical=canonical))
    assert not found.is_clear[1]
    assert found.is_clear[[0, 2, 3]].all()
    assert found.agreement[1] > 1.3 * np.delete(found.agreement, 1).max()


def test_a_movement_that_nearly_repeats_has_its_other_delays_too(
    exact: LiftedObservations,
) -> None:
    steps = (3 * np.arange(len(exact)) % 45).astype(int)  # once a second
    repeated = exact.canonical[steps] + exact.canonical / 4
    found = canonical_delays(replace(exact, canonical=repeated))
    assert not found.delay_s.any()
    assert np.abs(np.abs(found.other_s[:, 0]) - 1).max() < INTERVAL_S / 2


def test_poses_are_compared_at_norm_1(exact: LiftedObservations) -> None:
    assert np.allclose(np.square(unit_poses(exact)).sum((-2, -1)), 1, atol=1e-5)


def test_one_instant_has_no_interval(exact: LiftedObservations) -> None:
    with pytest.raises(ValueError, match="1 instants"):
        canonical_delays(exact.take(slice(0, 1)))


def test_the_largest_group_of_views_in_step_is_the_gauge() -> None:
    assert in_step(np.array([0.0, 0.5, 0.52, 0.51, -0.3]), 0.05) == pytest.approx(0.51)
    assert in_step(np.array([4, 1, 1]), 0) == 1


def test_where_no_two_views_are_in_step_the_first_one_is_the_gauge() -> None:
    assert in_step(np.array([0.2, 0.9, -0.4]), 0.05) == pytest.approx(0.2)
