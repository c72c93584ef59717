"""Lens distortion against OpenCV's own, its derivatives and its inverse."""

import cv2
import numpy as np
import pytest

from cvsf.multiview.lens_distortion import distorted, distortion_jacobian, undistorted

LENSES = np.array(
    [[-0.3, 0.1, 0.002, -0.001, -0.01], [0.1, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]
)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(2).uniform(-0.6, 0.6, (5, 3, 16, 2))


def test_points_are_where_opencv_shows_them(points: np.ndarray) -> None:
    ours = distorted(points, LENSES)
    for view, lens in enumerate(LENSES):
        ahead = np.concatenate([points[:, view], np.ones((5, 16, 1))], -1).reshape(-1, 3)
        theirs, _ = cv2.projectPoints(ahead, np.zeros(3), np.zeros(3), np.eye(3), lens)
        np.testing.assert_allclose(ours[:, view].reshape(-1, 2), theirs[:, 0], atol=1e-12)


def test_the_derivatives_are_those_of_small_steps(points: np.ndarray) -> None:
    by_points = distortion_jacobian(points, LENSES)
    for axis, step in enumerate(1e-6 * np.eye(2)):
        change = (distorted(points + step, LENSES) - distorted(points - step, LENSES)) / 2e-6
        np.testing.assert_allclose(by_points[..., axis], change, atol=1e-8)


def test_undistorted_points_are_those_that_were_distorted(points: np.ndarray) -> None:
    again = undistorted(distorted(points, LENSES), LENSES)
    np.testing.assert_allclose(again, points, atol=1e-4)


def test_a_straight_lens_changes_nothing_and_nan_stays(points: np.ndarray) -> None:
    assert distorted(points, np.zeros((3, 5))) is points
    points[0, 0, 0] = np.nan
    assert np.isnan(undistorted(points, LENSES)[0, 0, 0]).all()
