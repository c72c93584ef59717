"""Measures of a lifter without labels, and when one engine is worse than another."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.engine.engine import load_engine
from runtime.lifting.label_free_metrics import LEAST, Measured, Window, complete_views, measured
from tests.support.engines import tiny
from tests.support.material import random_pose


def test_only_views_that_see_the_whole_person_count() -> None:
    pose = random_pose(np.random.default_rng(0))
    pose.confidence[0, :5] = 0.1
    assert complete_views(pose) == [1, 2]


def one(agreement: float, reprojection: float = 0.1) -> Measured:
    return Measured(agreement=agreement, reprojection=reprojection, bones=np.ones((2, 3)))


@pytest.mark.parametrize(
    ("present", "before", "worse"),
    [
        (one(0.12), one(0.10), "agreement"),
        (one(0.10, 0.2), one(0.10, 0.1), "reprojection"),
        (one(0.109), one(0.10), None),
        (one(0.05), one(0.10), None),
    ],
)
def test_an_engine_worse_by_more_than_the_margin_is_named_with_its_measure(
    present: Measured, before: Measured, worse: str | None
) -> None:
    window = Window(LEAST)
    for _ in range(LEAST):
        window.note(present, before)
    assert window.is_full
    said = window.worse(0.1)
    assert (said is None) if worse is None else (worse in str(said))


def test_a_difference_within_chance_does_not_make_an_engine_worse() -> None:
    random = np.random.default_rng(3)
    window = Window(200)
    for noise in random.normal(0, 0.2, 200):
        window.note(one(0.112 + noise), one(0.10))
    assert window.worse(0.1) is None


def test_an_engine_of_one_fixed_pose_agrees_with_itself_but_has_a_large_reprojection_error(
    tmp_path: Path,
) -> None:
    same = load_engine(tiny(tmp_path / "same", "same"))
    pose = random_pose(np.random.default_rng(0))
    found = measured(pose, same.lift(pose), [0, 1, 2])
    assert found.agreement < 1e-6
    assert found.reprojection > 0.5


def test_joints_that_are_no_numbers_count_as_a_body_far_too_large(tmp_path: Path) -> None:
    pose = random_pose(np.random.default_rng(0))
    lifted = load_engine(tiny(tmp_path / "same", "same")).lift(pose)
    lifted.canonical[0, 3] = np.nan
    found = measured(pose, lifted, [0, 1, 2])
    assert np.isfinite(found.bones).all()
    assert found.bones[0].max() > 50
    assert found.agreement > 0.1


def test_a_window_is_full_only_of_instants_that_both_engines_measured() -> None:
    window = Window(LEAST)
    for _ in range(LEAST):
        window.note(one(0.1), None)
    assert len(window) == LEAST
    assert not window.is_full
    for _ in range(LEAST):
        window.note(one(0.2), one(0.1))
    assert window.is_full
    assert window.present()["agreement"] == pytest.approx(0.2)
    assert window.before() == {"agreement": 0.1, "reprojection": 0.1, "bones": 0.0}
    assert Window(3).present() == {"agreement": None, "reprojection": None, "bones": None}
