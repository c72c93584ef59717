"""The table of instants: chosen rows and subjects, and tables of several joined in one."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.data.instants import PseudoLabels, Recordings, joined

JOINTS = len(H36M_16)


def instants(count: int, views: int, subject: str = "ann", **changed: object) -> Recordings:
    """Instants whose numbers are all different."""
    shape = (count, views, JOINTS)
    numbers = np.arange(np.prod(shape) * 3, dtype=np.float32).reshape(*shape, 3)
    made = Recordings(
        joint_set=H36M_16,
        keypoints_px=numbers[..., :2],
        confidence=np.ones(shape, np.float32),
        image_px=np.full((count, views, 2), 640, np.float32),
        session=(f"of {subject}",) * count,
        subject=(subject,) * count,
        t_s=np.arange(count, dtype=float),
        cameras=tuple(f"cam{view}" for view in range(views)),
        truth=GroundTruth(joints_mm=numbers),
        pseudo_labels=PseudoLabels(
            joints=numbers,
            deviation=numbers[..., 0],
            residual=numbers[..., :2],
            up=numbers[:, :, 0],
            focal_px=numbers[:, :, 0, 0],
        ),
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def test_rows_are_taken_by_mask_or_number_with_their_truth_and_pseudo_labels() -> None:
    whole = instants(5, 2)
    mask = np.array([False, True, False, True, False])
    for rows in (mask, np.array([1, 3])):
        found = whole.take(rows)
        assert len(found) == 2
        assert found.t_s.tolist() == [1, 3]
        assert found.truth.joints_mm is not None
        assert found.pseudo_labels is not None
        assert whole.truth.joints_mm is not None
        assert whole.pseudo_labels is not None
        assert np.array_equal(found.truth.joints_mm, whole.truth.joints_mm[[1, 3]])
        assert np.array_equal(found.pseudo_labels.up, whole.pseudo_labels.up[[1, 3]])
        assert found.truth.keypoints_px is None
        assert found.cameras == whole.cameras


def test_views_are_taken_with_their_truth_and_pseudo_labels() -> None:
    whole = instants(3, 3)
    found = whole.of_views([2, 0])
    assert found.cameras == ("cam2", "cam0")
    assert found.session == whole.session
    assert whole.pseudo_labels is not None
    assert found.pseudo_labels is not None
    assert whole.truth.joints_mm is not None
    assert found.truth.joints_mm is not None
    assert np.array_equal(found.keypoints_px, whole.keypoints_px[:, [2, 0]])
    assert np.array_equal(found.truth.joints_mm, whole.truth.joints_mm[:, [2, 0]])
    assert np.array_equal(found.pseudo_labels.up, whole.pseudo_labels.up[:, [2, 0]])


def test_one_view_of_each_instant_is_taken_by_its_number() -> None:
    whole = instants(3, 3)
    found = whole.one_view_each(np.array([2, 0, 1]))
    assert found.confidence.shape == (3, 1, JOINTS)
    assert whole.pseudo_labels is not None
    assert found.pseudo_labels is not None
    for row, view in enumerate([2, 0, 1]):
        assert np.array_equal(found.keypoints_px[row, 0], whole.keypoints_px[row, view])
        assert np.array_equal(
            found.pseudo_labels.joints[row, 0], whole.pseudo_labels.joints[row, view]
        )
    assert found.truth.joints_mm is None


def test_subjects_are_chosen_by_name_or_by_all_but_their_name() -> None:
    both = joined([instants(3, 2), instants(2, 2, "ben")])
    assert both.sessions == ("of ann", "of ben")
    assert set(both.of_subjects(["ben"]).subject) == {"ben"}
    assert len(both.of_subjects(["ben"], without=True)) == 3
    with pytest.raises(Refusal, match="no instant is of subject 'carl', expected some of ann, ben"):
        both.of_subjects(["ann", "carl"])
    with pytest.raises(Refusal, match="no instant is left after the choice of subjects"):
        both.of_subjects(["ann", "ben"], without=True)


def test_tables_of_other_numbers_of_views_are_joined_with_views_that_saw_nobody() -> None:
    few, many = instants(2, 2), instants(3, 4, "ben")
    both = joined([few, many])
    assert both.confidence.shape == (5, 4, JOINTS)
    assert both.cameras == many.cameras
    assert np.array_equal(both.keypoints_px[:2, :2], few.keypoints_px)
    assert np.array_equal(both.keypoints_px[2:], many.keypoints_px)
    assert not both.confidence[:2, 2:].any()
    assert both.truth.joints_mm is not None
    assert np.isnan(both.truth.joints_mm[:2, 2:]).all()
    assert not np.isnan(both.truth.joints_mm[:2, :2]).any()


def test_a_truth_that_one_table_lacks_is_a_truth_of_none() -> None:
    assert joined([instants(2, 2), instants(2, 2, truth=GroundTruth())]).truth.joints_mm is None
    alone = instants(2, 2)
    assert joined([alone]) is alone
