"""What the views saw: some instants or views of it, mirrored, lifted, and brought into step."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.multiview.observations import (
    WINDOW,
    LiftedObservations,
    lift_observations,
    time_aligned,
    windows,
)
from cvsf.skeleton import H36M_16, Array
from tests.support.late_walk import straight
from tests.support.rehearsed import Rehearsed, rehearsed

FRAMES, VIEWS, COUNT = 45, 3, len(H36M_16)
LATE_S = np.array([0.0, 0.05, -0.03])


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("walk"), frames=FRAMES, views=VIEWS)


def some(instants: int = 6) -> LiftedObservations:
    """Random numbers in every array."""
    random = np.random.default_rng(0)
    shape = (instants, VIEWS, COUNT)
    turned = np.linalg.qr(random.normal(size=(*shape[:2], 3, 3))).Q
    return LiftedObservations(
        joint_set=H36M_16,
        cameras=("left", "middle", "right"),
        image_px=random.uniform(500, 1000, (instants, VIEWS, 2)).astype(np.float32),
        t_s=np.arange(instants) / 15,
        keypoints_px=random.normal(size=(*shape, 2)).astype(np.float32),
        confidence=random.random(shape).astype(np.float32),
        canonical=random.normal(size=(*shape, 3)).astype(np.float32),
        view_from_canonical=turned.astype(np.float32),
    )


def test_keypoints_that_move_on_lines_are_brought_into_step_exactly(
    walk: Rehearsed,
) -> None:
    late, _ = straight(walk, LATE_S)
    right, _ = straight(walk, np.zeros(VIEWS))
    np.testing.assert_allclose(
        time_aligned(late, LATE_S).keypoints_px, right.keypoints_px, atol=0.01
    )
    assert time_aligned(late, np.zeros(VIEWS)) is late


def test_a_joint_not_seen_at_the_instant_beside_is_not_observed_in_time(
    walk: Rehearsed,
) -> None:
    late, _ = straight(walk, LATE_S)
    confidence = late.confidence.copy()
    confidence[10, 1, 4] = 0
    found = time_aligned(replace(late, confidence=confidence), LATE_S).confidence
    assert np.argwhere(found[5:15, 1] == 0).tolist() == [[5, 4], [6, 4]]  # instants 10 and 11


def test_a_camera_eight_intervals_late_shows_the_poses_of_eight_intervals_ago(
    walk: Rehearsed,
) -> None:
    seen, _ = straight(walk, np.zeros(VIEWS))
    interval_s = float(np.median(np.diff(seen.t_s)))
    found = time_aligned(seen, np.array([0.0, 8 * interval_s, *np.zeros(VIEWS - 2)]))
    np.testing.assert_allclose(found.keypoints_px[8:, 1], seen.keypoints_px[:-8, 1], atol=1e-2)
    np.testing.assert_array_equal(found.canonical[8:, 1], seen.canonical[:-8, 1])
    assert not found.confidence[:7, 1].any()  # beyond the first instant, but for one interval
    np.testing.assert_array_equal(found.keypoints_px[:, 0], seen.keypoints_px[:, 0])


def test_some_instants_and_views_keep_the_rows_of_every_array() -> None:
    seen = some()
    found = seen.take(np.array([4, 1])).of_views([2, 0])
    assert len(found) == 2
    assert found.cameras == ("right", "left")
    assert found.t_s.tolist() == seen.t_s[[4, 1]].tolist()
    for name in ("image_px", "keypoints_px", "confidence", "canonical", "view_from_canonical"):
        np.testing.assert_array_equal(
            getattr(found, name), getattr(seen, name)[[4, 1]][:, [2, 0]], err_msg=name
        )


def test_poses_mirrored_in_depth_have_the_same_pixels_and_mirroring_twice_undoes_it() -> None:
    seen = some()
    other = seen.mirrored()
    here, there = (
        each.canonical @ np.swapaxes(each.view_from_canonical, -1, -2) for each in (seen, other)
    )
    np.testing.assert_allclose(there[..., :2], here[..., :2], atol=1e-5)
    np.testing.assert_allclose(there[..., 2], -here[..., 2], atol=1e-5)
    np.testing.assert_array_equal(other.mirrored().canonical, seen.canonical)
    np.testing.assert_array_equal(other.mirrored().view_from_canonical, seen.view_from_canonical)


def test_a_long_take_is_lifted_in_batches_and_put_together_in_order() -> None:
    sizes = []

    def lift(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        sizes.append(len(keypoints_px))
        depth = keypoints_px.sum(-1, keepdims=True)
        turned = np.broadcast_to(np.eye(3, dtype=np.float32), (*confidence.shape[:2], 3, 3))
        return {
            "canonical": np.concatenate([keypoints_px, depth], -1),
            "view_from_canonical": turned,
        }

    long = some(600)
    image = long.image_px.copy()
    image[:300] = 0  # no picture yet
    pixels = (long.keypoints_px, long.confidence, image)
    found = lift_observations(lift, H36M_16, long.cameras, long.t_s, pixels)
    assert sum(sizes) == 600
    assert len(sizes) > 1
    np.testing.assert_array_equal(found.canonical[..., :2], long.keypoints_px)
    np.testing.assert_array_equal(found.image_px, image)
    np.testing.assert_array_equal(found.size_px, image[300:].max(0))


def test_windows_hold_every_instant_once_and_none_is_one_empty_window() -> None:
    parts = [np.arange(1300)[at] for at in windows(1300)]
    assert [len(part) for part in parts] == [WINDOW, WINDOW, 1300 - 2 * WINDOW]
    assert (np.concatenate(parts) == np.arange(1300)).all()
    assert windows(0) == [slice(0, WINDOW)]
