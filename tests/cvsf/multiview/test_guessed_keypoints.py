"""Keypoints near a detector's floor, and joints that a view guesses."""

import numpy as np

from cvsf.multiview.guessed_keypoints import guessed_joints, guessed_keypoints


def test_keypoints_near_the_floor_and_joints_mostly_near_the_floor_are_guessed() -> None:
    confidence = np.full((20, 2, 16), 0.8, np.float32)
    confidence[:, 1, 4:7] = 0.12
    confidence[3, 1, 4] = 0.7  # now and then a guess is confident
    confidence[5, 0, 2] = 0.1
    guessed = guessed_keypoints(confidence)
    assert guessed[:, 1, 4:7].all()
    assert guessed[5, 0, 2]
    assert guessed.sum() == 20 * 3 + 1
    assert np.argwhere(guessed_joints(confidence)).tolist() == [[1, 4], [1, 5], [1, 6]]


def test_joints_that_were_never_observed_are_not_guessed() -> None:
    confidence = np.full((20, 2, 16), 0.8, np.float32)
    confidence[:, :, 9] = 0
    assert not guessed_joints(confidence).any()
    assert not guessed_joints(np.zeros_like(confidence)).any()
    assert not guessed_keypoints(np.zeros_like(confidence)).any()
