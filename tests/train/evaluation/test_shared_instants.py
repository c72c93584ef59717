"""Instants that two cameras share, and the weakest link."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.shapes import Index, Int
from tests.support.outcomes import outcome
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.shared_instants import (
    shared_by_pair,
    shared_instants,
    weak_link,
    weakest_link,
)

NAMES = ("a", "b", "c", "d")


def seen(spans: list[tuple[int, int]], instants: int = 100) -> CalibrationResult:
    """Each camera has a part in the skeletons from one instant to before another."""
    made = outcome(frames=instants)
    assert made.reconstruction is not None
    residual = np.full((instants, 4), np.nan)
    for view, (first, end) in enumerate(spans):
        residual[first:end, view] = 0.01
    return replace(made, reconstruction=replace(made.reconstruction, residual_share=residual))


def test_only_instants_with_a_skeleton_of_both_are_counted() -> None:
    made = seen([(0, 60), (0, 60), (55, 100), (20, 100)])
    assert made.reconstruction is not None
    joints = made.reconstruction.joints.copy()
    joints[:10] = np.nan
    made = replace(made, reconstruction=replace(made.reconstruction, joints=joints))
    assert shared_instants(made).diagonal().tolist() == [50, 50, 45, 80]
    assert shared_by_pair(made) == {
        "cam0": {"cam1": 50, "cam2": 5, "cam3": 40},
        "cam1": {"cam2": 5, "cam3": 40},
        "cam2": {"cam3": 45},
    }


def symmetric(pairs: dict[tuple[int, int], int]) -> Int[Index, "V V"]:
    shared = np.zeros((4, 4), np.intp)
    for (a, b), count in pairs.items():
        shared[a, b] = shared[b, a] = count
    return shared


@pytest.mark.parametrize(
    ("pairs", "link", "parts"),
    [
        ({(0, 1): 90, (1, 2): 7, (0, 2): 3, (2, 3): 80}, {"b", "c"}, {"a b", "c d"}),
        ({(0, 1): 90, (1, 2): 80, (0, 2): 70, (2, 3): 4}, {"c", "d"}, {"a b c", "d"}),
        ({(0, 1): 5, (0, 2): 60, (0, 3): 70}, {"a", "b"}, {"a c d", "b"}),
        ({(0, 1): 9, (1, 2): 9, (2, 3): 9}, {"a", "b"}, {"a", "b c d"}),
    ],
)
def test_the_weakest_link_is_the_best_one_between_the_two_parts_it_holds_together(
    pairs: dict[tuple[int, int], int], link: set[str], parts: set[str]
) -> None:
    found = weakest_link(symmetric(pairs), NAMES)
    assert set(found.cameras) == link
    assert {" ".join(part) for part in found.parts} == parts
    assert found.instants == min(
        pairs.get((a, b), 0)
        for a in range(4)
        for b in range(4)
        if {NAMES[a], NAMES[b]} == link
        if (a, b) in pairs
    )


def test_a_weak_link_is_named_with_the_cameras_on_both_sides() -> None:
    sentence = weak_link(seen([(0, 55), (0, 55), (50, 100), (50, 100)]))
    assert sentence.startswith("the weakest link is between cam0 and cam2, which share 5 of 100 ")
    assert "none of cam0, cam1 shares more with one of cam2, cam3" in sentence
    assert "(10 instants would be enough, by a guess)" in sentence


@pytest.mark.parametrize(
    ("overlap", "instants", "is_weak"), [(9, 100, True), (10, 100, False), (310, 8000, False)]
)
def test_few_instants_are_a_share_of_the_take_or_some_seconds(
    overlap: int, instants: int, is_weak: bool
) -> None:
    half = instants // 2
    made = seen([(0, half + overlap)] * 2 + [(half, instants)] * 2, instants)
    assert bool(weak_link(made)) == is_weak


def test_two_cameras_and_no_rig_have_no_weak_link() -> None:
    made = seen([(0, 3), (2, 100), (0, 0), (0, 0)])
    assert made.calibration is not None
    assert made.reconstruction is not None
    two = replace(
        made,
        calibration=made.calibration.of_views([0, 1]),
        reconstruction=replace(
            made.reconstruction, residual_share=made.reconstruction.residual_share[:, :2]
        ),
    )
    assert weak_link(two) == ""
    assert weak_link(replace(made, calibration=None)) == ""
