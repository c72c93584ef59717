"""Alternatives to still cameras that do not explain all observations, each by itself."""

import numpy as np
import pytest

from cvsf.diagnosis.alternatives import (
    with_bodies,
    with_delays,
    with_exchanged,
    without_a_view,
    without_spans,
    without_the_worst,
)
from cvsf.diagnosis.attempt import Attempt, Options, attempt
from cvsf.diagnosis.view_faults import MIRRORED
from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import (
    INTERVAL_S,
    another,
    exact_of,
    exchanged,
    mirrored,
    noisy_poses,
    shifted_poses,
    wandering,
)

OPTIONS = Options()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("walk"), frames=90)


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> LiftedObservations:
    return noisy_poses(exact_of(walk, walk.keypoints_px))


@pytest.fixture(scope="module")
def healthy(seen: LiftedObservations) -> Attempt:
    return attempt(seen, OPTIONS)


def test_a_delay_is_found_from_the_poses_and_sharpened(seen: LiftedObservations) -> None:
    late = attempt(shifted_poses(seen, 1, 0.75), OPTIONS)
    assert not late.is_sound
    found = with_delays(late, OPTIONS)
    assert found.is_sound
    assert found.delay_s == pytest.approx([0, 0.75, 0, 0], abs=INTERVAL_S / 2)


def test_views_that_are_exchanged_come_back(walk: Rehearsed) -> None:
    pixels = exchanged(walk, 1, 3, slice(55, 90))
    found = with_exchanged(attempt(walk.seen(keypoints_px=pixels), OPTIONS), OPTIONS)
    assert found.is_sound
    assert set(found.corrected) == {"cam1", "cam3"}
    used = found.observations.confidence > 0
    assert used[65:].any(-1).all()
    off_px = np.abs(found.observations.keypoints_px - walk.keypoints_px).max(-1)
    assert off_px[used].max() < 0.01


def test_a_span_with_another_person_is_left_out(walk: Rehearsed) -> None:
    pixels = another(walk, 2, slice(30, 60))
    spoilt = attempt(walk.seen(keypoints_px=pixels), OPTIONS)
    found = without_spans(spoilt, OPTIONS)
    assert found.is_sound
    assert not found.observations.confidence[35:55, 2].any()
    assert found.observations.confidence[:20, 2].any(-1).all()
    assert found.observations.confidence[:, [0, 1, 3]].any(-1).all()


def test_the_view_whose_absence_makes_the_others_fit_is_left_out_with_its_fault(
    walk: Rehearsed,
) -> None:
    spoilt = attempt(walk.seen(keypoints_px=mirrored(walk, 1)), OPTIONS)
    found = without_a_view(spoilt, OPTIONS)
    assert found.is_sound
    assert found.left_out == {"cam1": MIRRORED}
    assert found.observations.cameras == ("cam0", "cam2", "cam3")


def test_of_three_views_none_is_left_out(walk: Rehearsed) -> None:
    three = walk.seen(keypoints_px=mirrored(walk, 1)).of_views([0, 1, 2])
    spoilt = attempt(three, OPTIONS)
    assert without_a_view(spoilt, OPTIONS) is spoilt
    assert without_the_worst(spoilt, OPTIONS) is spoilt


def test_what_fits_stays_as_it_is(healthy: Attempt) -> None:
    assert healthy.is_sound
    assert with_bodies(healthy, OPTIONS) is healthy
    assert without_spans(healthy, OPTIONS) is healthy
