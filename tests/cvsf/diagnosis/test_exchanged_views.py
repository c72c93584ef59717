"""Two views that are exchanged for a part of the take, exchanged back."""

import numpy as np

from cvsf.diagnosis.attempt import Options, attempt
from cvsf.diagnosis.exchanged_views import with_exchanged
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import exchanged

OPTIONS = Options()


def test_views_that_are_exchanged_come_back(short_walk: Rehearsed) -> None:
    pixels = exchanged(short_walk, 1, 3, slice(55, 90))
    found = with_exchanged(attempt(short_walk.seen(keypoints_px=pixels), OPTIONS), OPTIONS)
    assert found.is_sound
    assert set(found.corrected) == {"cam1", "cam3"}
    used = found.observations.confidence > 0
    assert used[65:].any(-1).all()
    off_px = np.abs(found.observations.keypoints_px - short_walk.keypoints_px).max(-1)
    assert off_px[used].max() < 0.01


def test_views_that_fit_are_not_exchanged(short_walk: Rehearsed) -> None:
    healthy = attempt(short_walk.seen(), OPTIONS)
    assert with_exchanged(healthy, OPTIONS) is healthy
