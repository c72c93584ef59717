"""The first guess of a rig, from what a lifter says of every view."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.initialise import average_rotations, first_guess
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rotation import angle_between, rotation_from_vector
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.skeleton import H36M_16
from tests.support.rehearsed import Rehearsed, rehearsed

FRAMES, VIEWS = 12, 4


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("walk"), frames=FRAMES, views=VIEWS)


@pytest.fixture(scope="module")
def exact(walk: Rehearsed) -> LiftedObservations:
    """Pixels without noise, lifted without error; every instant has body axes of its own."""
    local = walk.in_views_mm
    keypoints = walk.focal_px[..., None, None] * local[..., :2] / local[..., 2:]
    world_from_body = rotation_from_vector(np.random.default_rng(0).normal(size=(FRAMES, 3)))
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
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    turned = average_rotations(exact)
    true = walk.view_from_world[0]
    assert angle_between(relative(turned.view_from_world), relative(true)).max() < 0.05
    together = turned.view_from_world @ turned.world_from_canonical[:, None]
    assert angle_between(together, exact.view_from_canonical).max() < 0.05


def test_a_view_with_wrong_rotations_at_some_instants_hardly_changes_the_average(
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    said = exact.view_from_canonical.copy()
    said[::4, 2] = rotation_from_vector(np.array([0.0, 2.0, 0.0])) @ said[::4, 2]
    turned = average_rotations(replace(exact, view_from_canonical=said))
    off = angle_between(relative(turned.view_from_world), relative(walk.view_from_world[0]))
    assert off.max() < 3  # the plain mean is further off


def test_with_the_true_focal_lengths_cameras_begin_near_where_they_stand(
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    rig, _ = first_guess(exact, average_rotations(exact), walk.focal_px[0])
    unit = float(mean_bone(walk.world_mm, H36M_16).mean())
    true = -np.einsum("vji,vj->vi", walk.view_from_world[0], walk.translation_mm[0]) / unit
    apart, wanted = (np.linalg.norm(c[:, None] - c, axis=-1) for c in (rig.centres, true))
    others = ~np.eye(VIEWS, dtype=bool)
    assert np.abs(apart[others] / wanted[others] - 1).max() < 0.05
    twice, _ = first_guess(exact, average_rotations(exact), 2 * walk.focal_px[0])
    assert np.linalg.norm(twice.centres[1] - twice.centres[0]) > 1.8 * apart[0, 1]
