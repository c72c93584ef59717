"""The first guess of a rig, from what a lifter says of every view."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.initialise import average_rotations, first_guess
from cvsf.multiview.observations import Sightings
from cvsf.multiview.reprojection import Pixels
from cvsf.multiview.rotation import angle_between, turn
from cvsf.multiview.weak_perspective import mean_body, mean_bone, roots_in_views
from cvsf.skeleton import H36M_16
from tests.support.rehearsed import Rehearsed, rehearsed

FRAMES, VIEWS = 12, 4


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("walk"), frames=FRAMES, views=VIEWS)


@pytest.fixture(scope="module")
def exact(walk: Rehearsed) -> Sightings:
    """Pixels without noise, lifted without error; every instant has body axes of its own."""
    local = walk.in_views_mm
    keypoints = walk.focal_px[..., None, None] * local[..., :2] / local[..., 2:]
    world_from_body = turn(np.random.default_rng(0).normal(size=(FRAMES, 3)))
    body = (walk.world_mm - walk.world_mm[:, :1]) @ world_from_body
    return replace(
        walk.seen(keypoints_px=keypoints + walk.image_px[:, None] / 2),
        canonical=np.repeat(body[:, None], VIEWS, 1).astype(np.float32),
        view_from_canonical=(walk.view_from_world @ world_from_body[:, None]).astype(np.float32),
    )


def relative(view_from_world: np.ndarray) -> np.ndarray:
    """Every view's rotation against the first one's."""
    return np.asarray(view_from_world @ view_from_world[0].T)


def test_exact_rotations_of_the_lifter_are_averaged_to_themselves(
    walk: Rehearsed, exact: Sightings
) -> None:
    turned = average_rotations(exact)
    true = walk.view_from_world[0]
    assert angle_between(relative(turned.view_from_world), relative(true)).max() < 0.05
    together = turned.view_from_world @ turned.world_from_canonical[:, None]
    assert angle_between(together, exact.view_from_canonical).max() < 0.05


def test_a_view_whose_rotations_are_wrong_now_and_then_is_outvoted(
    walk: Rehearsed, exact: Sightings
) -> None:
    said = exact.view_from_canonical.copy()
    said[::4, 2] = turn(np.array([0.0, 2.0, 0.0])) @ said[::4, 2]
    turned = average_rotations(replace(exact, view_from_canonical=said))
    off = angle_between(relative(turned.view_from_world), relative(walk.view_from_world[0]))
    assert off.max() < 3  # the plain mean is further off


def test_a_pose_is_the_mean_of_the_views_that_see_somebody_and_its_mean_bone_is_1(
    exact: Sightings,
) -> None:
    canonical, confidence = exact.canonical.copy(), exact.confidence.copy()
    canonical[:, 1], confidence[:, 1] = 5000.0, 0.0
    confidence[:, :, 3] = 0  # a joint that is hidden in the other views too
    found = mean_body(replace(exact, canonical=canonical, confidence=confidence))
    other = exact.canonical[:, 0].astype(float)
    wanted = other / mean_bone(other, H36M_16)[:, None, None]
    np.testing.assert_allclose(found, wanted, atol=0.02)
    np.testing.assert_allclose(mean_bone(found, H36M_16), 1, rtol=1e-9)


def test_a_flat_body_is_as_far_away_as_its_size_says_and_four_joints_tell_no_size() -> None:
    body = np.random.default_rng(1).normal(size=(1, len(H36M_16), 3)) * [1, 1, 0]
    centre, focal, place = np.array([[960.0, 540.0]]), np.array([1500.0]), [2.0, -1.0, 20.0]
    local = body + place
    pixels = Pixels(
        keypoints_px=(focal * local[..., :2] / local[..., 2:] + centre)[:, None],
        trust=np.ones((1, 1, len(H36M_16))),
        extent_px=np.full((1, 1), 300.0),
        noise=0.01,
    )
    roots, sized = roots_in_views(pixels, centre, body, np.eye(3)[None], focal)
    assert sized.all()
    np.testing.assert_allclose(roots[0, 0], place, rtol=1e-9)
    few = np.where(np.arange(len(H36M_16)) < 4, 1.0, 0.0)[None, None]
    roots, sized = roots_in_views(replace(pixels, trust=few), centre, body, np.eye(3)[None], focal)
    assert not sized.any()
    assert roots[0, 0, 2] == pytest.approx(1)


def test_with_the_true_focal_lengths_cameras_begin_near_where_they_stand(
    walk: Rehearsed, exact: Sightings
) -> None:
    start = first_guess(exact, average_rotations(exact), walk.focal_px[0])
    unit = float(mean_bone(walk.world_mm, H36M_16).mean())
    true = -np.einsum("vji,vj->vi", walk.view_from_world[0], walk.translation_mm[0]) / unit
    apart, wanted = (np.linalg.norm(c[:, None] - c, axis=-1) for c in (start.centres, true))
    others = ~np.eye(VIEWS, dtype=bool)
    assert np.abs(apart[others] / wanted[others] - 1).max() < 0.05
    twice = first_guess(exact, average_rotations(exact), 2 * walk.focal_px[0])
    assert np.linalg.norm(twice.centres[1] - twice.centres[0]) > 1.8 * apart[0, 1]
