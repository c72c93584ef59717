"""The instants that calibration keeps: bounded, the last seconds whole."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.calibration.keyframes import Keyframes
from runtime.calibration.observation_codec import LiftedPose
from tests.support.filmed import HZ, Filmed
from tests.support.instants import instants_of


def test_kept_instants_are_bounded_and_hold_the_last_seconds_whole(
    take: Filmed,
) -> None:
    keyframes = Keyframes()
    count = len(take.observations)
    for again in range(6):
        for seen in instants_of(take.observations):
            keyframes.add(_at(seen, seen.t_s + again * count / HZ))
    kept = keyframes.since(-np.inf)
    assert kept is not None
    assert 200 < len(kept) <= 480
    assert keyframes.watched_s == pytest.approx(6 * count / HZ, abs=0.2)
    recent = keyframes.since(keyframes.newest_s - 5)
    assert recent is not None
    assert len(recent) == pytest.approx(5 * HZ, abs=2)
    assert np.all(np.diff(kept.t_s) > 0)
    middle_s = float(kept.t_s[len(kept) // 2])
    keyframes.forget("cam1", middle_s)
    left = keyframes.since(-np.inf)
    assert left is not None
    sure = left.confidence[:, left.cameras.index("cam1")]
    assert not sure[left.t_s < middle_s].any()
    assert sure[left.t_s >= middle_s].any()


def _at(seen: LiftedPose, t_s: float) -> LiftedPose:
    return replace(seen, pose=replace(seen.pose, t_ns=round(t_s * 1e9)))


def test_an_instant_with_the_person_in_one_view_is_not_kept(take: Filmed) -> None:
    keyframes = Keyframes()
    seen = instants_of(take.observations)[0]
    keyframes.add(seen.arranged(seen.pose.cameras, without=seen.pose.cameras[1:]))
    assert keyframes.since(-np.inf) is None
    assert keyframes.newest_s == -np.inf
    assert keyframes.watched_s == 0


def test_a_pause_counts_as_a_quarter_of_a_second_of_time_watched(take: Filmed) -> None:
    keyframes = Keyframes()
    seen = instants_of(take.observations)[0]
    for t_s in (10.0, 10.1, 60.0):
        keyframes.add(_at(seen, t_s))
    # the first instant counts as after a pause
    assert keyframes.watched_s == pytest.approx(0.25 + 0.1 + 0.25)
    since = keyframes.since(10.05)
    assert since is not None
    assert since.t_s.tolist() == pytest.approx([10.1, 60.0], abs=1e-9)
