"""The replay bench: what it refuses, and by what skeletons are paired."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.system.errors import Refusal
from runtime.bench.replay import _skeletons, bench_replay
from tests.support.material import PERIOD_NS, START_NS, make_skeleton, record


def test_a_folder_that_is_no_session_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=f"{tmp_path} is not a session"):
        bench_replay(tmp_path)


def test_skeletons_are_paired_by_their_time_of_exposure_not_by_their_number(
    tmp_path: Path,
) -> None:
    recorded = [make_skeleton(i) for i in range(3)]
    again = [replace(skeleton, instant=skeleton.instant + 100) for skeleton in recorded]
    record(tmp_path / "recorded", recorded)
    record(tmp_path / "again", again)
    one, other = _skeletons(tmp_path / "recorded"), _skeletons(tmp_path / "again")
    assert list(one) == list(other) == [START_NS + i * PERIOD_NS for i in range(3)]
    for t_ns, skeleton in one.items():
        assert np.array_equal(skeleton.joints, other[t_ns].joints)
        assert other[t_ns].instant == skeleton.instant + 100
