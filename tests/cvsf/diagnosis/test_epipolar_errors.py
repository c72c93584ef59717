"""Epipolar errors of known cameras, and which views agree with which, when."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cvsf.diagnosis.epipolar_errors import (
    better_instants,
    clear_outliers,
    epipolar_errors,
    near_edges,
    outlier_views,
    runs,
    spans,
)
from tests.support.rehearsed import Rehearsed, rehearsed
from tests.support.wandering import another, exact_of, mirrored

VIEWS, INSTANTS = 4, 90
T_S = np.arange(INSTANTS) / 15
SOME = slice(30, 60)
PAIRS = ~np.eye(VIEWS, dtype=bool)

Real = npt.NDArray[np.float64]


def errors_of(*, wrong: tuple[int, ...], rows: slice, level: float = 0.3) -> Real:
    """Small errors, but for pairs of which one is a wrong view at some instants."""
    errors = np.full((INSTANTS, VIEWS, VIEWS), 0.004)
    for view in wrong:
        right = [other for other in range(VIEWS) if other not in wrong]
        errors[rows, view, right[0] : right[-1] + 1] = level
        errors[rows, right[0] : right[-1] + 1, view] = level
    errors[:, ~PAIRS] = np.nan
    return errors


@pytest.mark.parametrize("pans", [False, True])
def test_exact_pixels_of_true_cameras_have_no_error(tmp_path: Path, pans: bool) -> None:
    walk = rehearsed(tmp_path, frames=30, pans=pans)
    rig = walk.true_calibration(slice(None) if pans else 0).rig
    errors = epipolar_errors(walk.exact(), rig)
    assert errors.shape == (30, VIEWS, VIEWS)
    assert errors[:, PAIRS].max() < 1e-5
    assert np.isnan(errors[:, ~PAIRS]).all()


def test_errors_are_the_distances_from_the_lines_over_the_extent(walk: Rehearsed) -> None:
    rig = walk.true_calibration(0).rig
    noisy = epipolar_errors(exact_of(walk, walk.keypoints_px), rig)
    extent = np.ptp(walk.keypoints_px, axis=2).max(-1)
    wanted = 0.6745 * 3 * np.sqrt(2) / np.median(extent)  # both ends have 3 px of noise
    assert np.median(noisy[:, PAIRS]) == pytest.approx(wanted, rel=0.5)
    np.testing.assert_array_equal(noisy, np.swapaxes(noisy, 1, 2))


def test_a_pair_with_fewer_than_4_confident_joints_has_no_error(walk: Rehearsed) -> None:
    seen = exact_of(walk)
    seen.confidence[5, 1, 3:] = 0.2
    errors = epipolar_errors(seen, walk.true_calibration(0).rig)
    assert np.isnan(errors[5, 1]).all()
    assert np.isfinite(errors[5, 0, 2:]).all()
    assert np.isfinite(errors[4][PAIRS]).all()


def test_the_view_with_another_person_for_some_seconds_is_named(walk: Rehearsed) -> None:
    seen = exact_of(walk, another(walk, 2, slice(60, 105)))
    outlier = outlier_views(epipolar_errors(seen, walk.true_calibration(0).rig), seen.t_s)
    assert not outlier[:, [0, 1, 3]].any()
    assert outlier[60:105, 2].mean() > 0.9
    assert not outlier[:50, 2].any()
    assert not outlier[115:, 2].any()


def test_a_mirrored_view_is_outside_the_group_of_the_others(walk: Rehearsed) -> None:
    seen = exact_of(walk, mirrored(walk, 1))
    outlier = outlier_views(epipolar_errors(seen, walk.true_calibration(0).rig), seen.t_s)
    assert outlier[:, 1].mean() > 0.9
    assert not outlier[:, [0, 2, 3]].any()


def test_where_two_views_stand_against_two_nobody_knows() -> None:
    outlier = outlier_views(errors_of(wrong=(2, 3), rows=SOME), T_S)
    assert outlier[SOME].all()
    assert not outlier[:25].any()
    assert not outlier[65:].any()


def test_two_views_that_are_left_beside_such_a_time_are_outliers_too() -> None:
    errors = errors_of(wrong=(2, 3), rows=SOME)
    errors[:, 2, 3] = errors[:, 3, 2] = 0.002  # both show another person
    errors[SOME.start : SOME.start + 15, 0] = (
        np.nan
    )  # a view that saw nobody: two stand against one
    errors[SOME.start : SOME.start + 15, :, 0] = np.nan
    outlier = outlier_views(errors, T_S)
    assert outlier[SOME, 1:].all()
    assert not outlier[:25].any()


def test_two_views_of_three_are_a_majority_beside_a_time_in_which_one_saw_nobody() -> None:
    errors = errors_of(wrong=(2,), rows=SOME)
    errors[:, 3] = errors[:, :, 3] = np.nan  # three cameras
    alone = slice(SOME.start + 12, SOME.start + 18)
    errors[alone, 0] = errors[alone, :, 0] = np.nan
    outlier = outlier_views(errors, T_S)
    assert outlier[alone, 1:3].all()
    assert not outlier[SOME.start : SOME.start + 5, :2].any()
    assert not outlier[SOME.stop - 5 : SOME.stop, :2].any()


def test_healthy_views_and_short_disagreements_are_no_outliers() -> None:
    assert not outlier_views(errors_of(wrong=(), rows=SOME), T_S).any()
    assert not outlier_views(errors_of(wrong=(1,), rows=slice(30, 32)), T_S).any()
    assert not outlier_views(errors_of(wrong=(1,), rows=SOME, level=0.015), T_S).any()


def test_only_errors_as_large_as_another_person_causes_are_clear_outliers() -> None:
    for level, is_clear in ((0.3, True), (0.025, False)):
        errors = errors_of(wrong=(1,), rows=SOME, level=level)
        outlier = outlier_views(errors, T_S)
        assert outlier[SOME, 1].all()
        clear = clear_outliers(errors, outlier, T_S)
        assert (clear == (outlier & is_clear)).all()


def test_where_one_view_is_a_clear_outlier_the_others_that_disagree_are() -> None:
    errors = errors_of(wrong=(2, 3), rows=SOME)
    errors[:, 2, 3] = errors[:, 3, 2] = 0.02
    outlier = outlier_views(errors, T_S)
    assert (clear_outliers(errors, outlier, T_S) == outlier).all()
    assert outlier[SOME].all()


def test_without_any_pair_there_is_no_outlier() -> None:
    errors = np.full((INSTANTS, VIEWS, VIEWS), np.nan)
    outlier = outlier_views(errors, T_S)
    assert not outlier.any()
    assert not clear_outliers(errors, outlier, T_S).any()


def test_instants_at_which_other_errors_are_smaller_are_found_with_what_is_gained() -> None:
    before, after = errors_of(wrong=(0, 1), rows=SOME), errors_of(wrong=(), rows=SOME)
    better, ratio = better_instants(before, after, T_S)
    assert better[SOME].all()
    assert better.sum() <= 36
    assert ratio < 0.3
    none, same = better_instants(before, before, T_S)
    assert not none.any()
    assert same == pytest.approx(1)


def test_instants_within_a_fifth_of_a_second_of_a_change_are_near_an_edge() -> None:
    mask = np.zeros(INSTANTS, bool)
    mask[SOME] = True
    near = near_edges(mask, T_S + 1e-3 * np.arange(INSTANTS))  # 0.2 s are no whole number of them
    assert set(np.flatnonzero(near)) == {*range(28, 33), *range(58, 63)}
    assert not near_edges(np.ones(INSTANTS, bool), T_S).any()


def test_spans_are_told_in_seconds_from_the_first_instant_and_close_short_gaps() -> None:
    mask = np.zeros(INSTANTS, bool)
    mask[15:31], mask[33:46], mask[75:] = True, True, True
    assert spans(mask, T_S + 100) == "1.0 to 3.0 s, 5.0 to 5.9 s"
    assert spans(~mask | mask, T_S) == "0.0 to 5.9 s"
    assert spans(mask & ~mask, T_S) == ""


def test_runs_are_told_with_their_first_index_and_end() -> None:
    assert runs(np.array([True, False, True, True, False, True])) == [(0, 1), (2, 4), (5, 6)]
    assert runs(np.zeros(3, bool)) == []
