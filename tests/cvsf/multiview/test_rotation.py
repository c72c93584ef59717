"""Rotations by a vector, between two, nearest to a matrix; alignment of points."""

import numpy as np
from scipy.spatial.transform import Rotation

from cvsf.multiview.rotation import (
    align,
    angle_between,
    nearest_rotation,
    rotation_from_vector,
    rotation_vector_between,
    skew,
)


def test_a_rotation_is_recovered_from_its_rotation_vector_and_from_moved_points() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 3))
    start = nearest_rotation(random.normal(size=(50, 3, 3)))
    assert np.allclose(np.linalg.det(start), 1)
    end = rotation_from_vector(vectors) @ start
    assert np.allclose(
        rotation_from_vector(rotation_vector_between(end, start)) @ start, end, atol=1e-9
    )
    points = random.normal(size=(50, 8, 3))
    moved = points @ np.swapaxes(end, -1, -2) + vectors[:, None]
    found = align(points, moved)
    assert angle_between(found.R, end).max() < 1e-4
    assert np.allclose(found.t, vectors)
    assert (found.scale == 1).all()


def test_a_rotation_vector_gives_the_matrix_that_scipy_gives() -> None:
    vectors = np.random.default_rng(1).normal(size=(30, 3))
    np.testing.assert_allclose(
        rotation_from_vector(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12
    )
    np.testing.assert_array_equal(rotation_from_vector(np.zeros(3)), np.eye(3))
    quarter = rotation_from_vector(np.array([0.0, 0.0, np.pi / 2]))
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_the_matrix_of_a_vector_gives_its_cross_product() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 20, 3))
    np.testing.assert_allclose((skew(a) @ b[..., None])[..., 0], np.cross(a, b))


def test_the_angle_between_rotations_is_in_degrees_and_at_most_180() -> None:
    axis = np.array([1.0, 2.0, -2.0]) / 3
    for degrees in (0.0, 30.0, 179.0, 180.0):
        assert (
            abs(
                angle_between(rotation_from_vector(np.radians(degrees) * axis), np.eye(3)) - degrees
            )
            < 1e-5
        )
    assert abs(angle_between(rotation_from_vector(np.radians(270) * axis), np.eye(3)) - 90) < 1e-5


def test_the_nearest_rotation_to_a_mirror_is_proper() -> None:
    found = nearest_rotation(np.diag([1.0, 1.0, -1.0]))
    np.testing.assert_allclose(np.linalg.det(found), 1)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)


def test_points_without_weight_do_not_change_how_the_others_are_aligned() -> None:
    random = np.random.default_rng(3)
    points, rotation = random.normal(size=(6, 3)), rotation_from_vector(np.array([0.3, -1.0, 0.2]))
    moved = points @ rotation.T + [1.0, 2.0, 3.0]
    moved[4] += 100
    weight = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    for outlier in (moved[4], np.nan):
        moved[4] = outlier
        found = align(points, moved, weight)
        np.testing.assert_allclose(found.R, rotation, atol=1e-9)
        np.testing.assert_allclose(found.t, [1.0, 2.0, 3.0], atol=1e-9)


def test_points_turned_scaled_and_shifted_are_aligned_with_where_they_came_from() -> None:
    random = np.random.default_rng(1)
    points, rotation = random.normal(size=(4, 3)), rotation_from_vector(np.array([0.4, -2.0, 1.0]))
    target = 2.5 * points @ rotation.T + [10.0, -3.0, 1.0]
    target[3] = 1e6
    found = align(points[None], target, np.array([[1.0, 1.0, 1.0, 0.0]]), scale=True)
    np.testing.assert_allclose(found.R[0], rotation, atol=1e-9)
    np.testing.assert_allclose(found.t[0], [10.0, -3.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(found.scale, 2.5)
    np.testing.assert_allclose(found.apply(points)[0, :3], target[:3], atol=1e-9)
