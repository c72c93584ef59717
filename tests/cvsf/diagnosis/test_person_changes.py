"""Spans of different people, from the size of the triangulated body."""

import numpy as np
import pytest

from cvsf.diagnosis.person_changes import (
    PersonSpans,
    bone_lengths,
    constant_spans,
    find_person_spans,
    people_of_levels,
)
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.residuals import bones_of
from cvsf.skeleton import H36M_16
from tests.support.followed import followed
from tests.support.rehearsed import Rehearsed


def test_a_child_after_an_adult_is_another_person_from_the_instant_it_comes(
    walk: Rehearsed,
) -> None:
    both = followed(walk, 0.7)
    spans = find_person_spans(both.seen(), walk.true_calibration(0).rig)
    assert spans is not None
    count = len(walk.t_s)
    assert (spans.person_id(both.t_s) == np.repeat([0, 1], count)).all()


def test_one_person_is_not_divided(walk: Rehearsed, seen: LiftedObservations) -> None:
    assert find_person_spans(seen, walk.true_calibration(0).rig) is None


def test_one_person_who_comes_back_is_not_divided(walk: Rehearsed) -> None:
    again = followed(walk, 1.0, pause_s=10.0)
    assert find_person_spans(again.seen(), walk.true_calibration(0).rig) is None


def test_too_few_instants_show_nobody_else(walk: Rehearsed, seen: LiftedObservations) -> None:
    assert find_person_spans(seen.take(slice(5)), walk.true_calibration(0).rig) is None


def test_bone_lengths_are_those_of_the_walker(walk: Rehearsed, seen: LiftedObservations) -> None:
    true = walk.true_calibration(0)
    found = bone_lengths(seen, true.rig)[bones_of(H36M_16).measure]
    assert found.sum() / true.body.bones.sum() == pytest.approx(1, abs=0.02)


def test_constant_spans_begin_where_the_value_changes() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 60)
    values = np.repeat([0.0, -0.4, 0.0], [20, 15, 25]) + noise
    assert constant_spans(values).tolist() == [20, 35]
    assert constant_spans(noise).tolist() == []


@pytest.mark.parametrize(
    ("levels", "people"),
    [
        ([0.2, -0.2, 0.21], [0, 1, 0]),
        ([0.0, 0.05, 0.1], [0, 0, 0]),
        ([-0.3, 0.3, 0.0], [0, 1, 2]),
    ],
)
def test_people_are_numbered_in_the_order_of_coming(levels: list[float], people: list[int]) -> None:
    found = people_of_levels(np.array(levels), np.full(len(levels), 10))
    assert found.tolist() == people


def test_spans_at_nearly_the_same_times_are_alike() -> None:
    spans, later, other = (
        PersonSpans(change_s=np.array([at_s]), person=np.array(person))
        for at_s, person in ((5.0, [0, 1]), (5.1, [0, 1]), (5.0, [1, 0]))
    )
    assert spans.is_like(later)
    assert not spans.is_like(other)
