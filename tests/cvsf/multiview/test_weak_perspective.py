"""How far away a body is, from its size in a view."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import WeightedKeypoints
from cvsf.multiview.weak_perspective import mean_body, mean_bone, roots_in_views
from cvsf.skeleton import H36M_16

FRAMES, VIEWS = 12, 4


@pytest.fixture
def exact() -> LiftedObservations:
    """Every view lifts the same body, some 300 mm a bone."""
    random = np.random.default_rng(0)
    body = 300 * random.normal(size=(FRAMES, len(H36M_16), 3))
    body = body - body[:, :1]
    shape = (FRAMES, VIEWS, len(H36M_16))
    return LiftedObservations(
        joint_set=H36M_16,
        cameras=tuple(f"cam{view}" for view in range(VIEWS)),
        image_px=np.full((*shape[:2], 2), 1000, np.float32),
        t_s=np.arange(FRAMES) / 15,
        keypoints_px=np.zeros((*shape, 2), np.float32),
        confidence=random.uniform(0.7, 1, shape).astype(np.float32),
        canonical=np.repeat(body[:, None], VIEWS, 1).astype(np.float32),
        view_from_canonical=np.zeros((*shape[:2], 3, 3), np.float32),
    )


def test_the_mean_pose_is_of_the_views_that_see_the_person_and_its_mean_bone_is_1(
    exact: LiftedObservations,
) -> None:
    canonical, confidence = exact.canonical.copy(), exact.confidence.copy()
    canonical[:, 1], confidence[:, 1] = 5000.0, 0.0
    confidence[:, :, 3] = 0  # a joint that is hidden in the other views too
    found = mean_body(replace(exact, canonical=canonical, confidence=confidence))
    other = exact.canonical[:, 0].astype(float)
    wanted = other / mean_bone(other, H36M_16)[:, None, None]
    np.testing.assert_allclose(found, wanted, atol=0.02)
    np.testing.assert_allclose(mean_bone(found, H36M_16), 1, rtol=1e-9)


def test_a_flat_body_is_placed_by_its_size_and_four_joints_give_no_distance() -> None:
    body = np.random.default_rng(1).normal(size=(1, len(H36M_16), 3)) * [1, 1, 0]
    centre, focal, place = np.array([[960.0, 540.0]]), np.array([1500.0]), [2.0, -1.0, 20.0]
    local = body + place
    pixels = WeightedKeypoints(
        keypoints_px=(focal * local[..., :2] / local[..., 2:] + centre)[:, None],
        weight=np.ones((1, 1, len(H36M_16))),
        extent_px=np.full((1, 1), 300.0),
        noise_share=0.01,
    )
    roots, sized = roots_in_views(pixels, centre, body, np.eye(3)[None], focal)
    assert sized.all()
    np.testing.assert_allclose(roots[0, 0], place, rtol=1e-9)
    few = np.where(np.arange(len(H36M_16)) < 4, 1.0, 0.0)[None, None]
    roots, sized = roots_in_views(replace(pixels, weight=few), centre, body, np.eye(3)[None], focal)
    assert not sized.any()
    assert roots[0, 0, 2] == pytest.approx(1)


def test_the_mean_bone_grows_with_the_body_and_ignores_where_it_stands() -> None:
    body = np.random.default_rng(2).normal(size=(3, len(H36M_16), 3))
    lengths = [np.linalg.norm(body[0, a] - body[0, b]) for a, b in H36M_16.bones]
    assert mean_bone(body, H36M_16)[0] == pytest.approx(np.mean(lengths))
    np.testing.assert_allclose(mean_bone(4 * body + 7, H36M_16), 4 * mean_bone(body, H36M_16))


def test_a_body_seen_half_as_large_is_placed_twice_as_far_away() -> None:
    body = np.random.default_rng(1).normal(size=(1, len(H36M_16), 3)) * [1, 1, 0]
    centre, focal = np.array([[960.0, 540.0]]), np.array([1500.0])
    places = []
    for size in (100.0, 50.0):
        pixels = WeightedKeypoints(
            keypoints_px=(size * body[..., :2] + centre)[:, None],
            weight=np.ones((1, 1, len(H36M_16))),
            extent_px=np.full((1, 1), 300.0),
            noise_share=0.01,
        )
        places.append(roots_in_views(pixels, centre, body, np.eye(3)[None], focal)[0][0, 0])
    np.testing.assert_allclose(places[0], [0, 0, 15], atol=1e-9)
    np.testing.assert_allclose(places[1], [0, 0, 30], atol=1e-9)
