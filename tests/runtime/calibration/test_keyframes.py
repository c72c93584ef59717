"""The instants that calibration keeps: bounded, the last seconds whole."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.multiview.observations import LiftedObservations
from runtime.calibration.keyframes import Gallery
from runtime.calibration.observation_codec import arranged
from tests.support.filmed import HZ, Filmed


def test_kept_instants_are_bounded_and_hold_the_last_seconds_whole(
    take: Filmed,
) -> None:
    gallery = Gallery()
    count = len(take.observations)
    for again in range(6):
        for n in range(count):
            seen = take.observations.take(slice(n, n + 1))
            gallery.add(_at(seen, float(seen.t_s[0]) + again * count / HZ))
    kept = gallery.since(-np.inf)
    assert kept is not None
    assert 200 < len(kept) <= 480
    assert gallery.watched_s == pytest.approx(6 * count / HZ, abs=0.2)
    recent = gallery.since(gallery.newest_s - 5)
    assert recent is not None
    assert len(recent) == pytest.approx(5 * HZ, abs=2)
    assert np.all(np.diff(kept.t_s) > 0)
    middle_s = float(kept.t_s[len(kept) // 2])
    gallery.forget("cam1", middle_s)
    left = gallery.since(-np.inf)
    assert left is not None
    sure = left.confidence[:, left.cameras.index("cam1")]
    assert not sure[left.t_s < middle_s].any()
    assert sure[left.t_s >= middle_s].any()


def _at(seen: LiftedObservations, t_s: float) -> LiftedObservations:
    return replace(seen, t_s=np.array([t_s]))


def test_an_instant_with_the_person_in_one_view_is_not_kept(take: Filmed) -> None:
    gallery = Gallery()
    seen = take.observations.take(slice(0, 1))
    gallery.add(arranged(seen, seen.cameras, without=seen.cameras[1:]))
    assert gallery.since(-np.inf) is None
    assert gallery.newest_s == -np.inf
    assert gallery.watched_s == 0


def test_a_pause_counts_as_a_quarter_of_a_second_of_time_watched(take: Filmed) -> None:
    gallery = Gallery()
    seen = take.observations.take(slice(0, 1))
    for t_s in (10.0, 10.1, 60.0):
        gallery.add(_at(seen, t_s))
    # the first instant counts as after a pause
    assert gallery.watched_s == pytest.approx(0.25 + 0.1 + 0.25)
    since = gallery.since(10.05)
    assert since is not None
    assert since.t_s.tolist() == [10.1, 60.0]
