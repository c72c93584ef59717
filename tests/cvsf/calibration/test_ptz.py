"""Cameras that pan and zoom, found from the person they follow."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.ptz import LEAST_PANNING, calibrate_panning, solve_per_instant
from cvsf.evaluation.metrics import p_mpjpe
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rotation import angle_between, nearest_rotation
from cvsf.reconstruction.reconstruct import reconstruct
from tests.support.reconstruction_errors import errors_mm, limit_mm
from tests.support.rehearsed import Rehearsed, rehearsed


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("pans"), pans=True)


def test_panning_cameras_are_calibrated(walk: Rehearsed, seen: LiftedObservations) -> None:
    found = calibrate(seen, moving="panning")
    assert found.rig.focal_px.shape == walk.focal_px.shape
    assert np.ptp(found.rig.centres, axis=0).max() < 1e-6
    n, p = errors_mm(walk, found, reconstruct(seen, found))
    assert n < 1.6 * limit_mm(walk)
    assert p < 1.3 * limit_mm(walk)


def test_two_panning_cameras_are_refused(seen: LiftedObservations) -> None:
    with pytest.raises(Undetermined, match="2 panning cameras"):
        calibrate(seen.of_views([0, 1]), moving="panning")


FRAMES, VIEWS = 24, 4


@pytest.fixture(scope="module")
def short_walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("pans"), frames=FRAMES, views=VIEWS, pans=True)


@pytest.fixture(scope="module")
def exact(short_walk: Rehearsed) -> LiftedObservations:
    return short_walk.exact()


def test_one_instant_gives_joints_and_cameras_from_the_true_focal_lengths(
    short_walk: Rehearsed, exact: LiftedObservations
) -> None:
    few = exact.take(slice(0, 4))
    found = solve_per_instant(few, short_walk.focal_px[:4].mean(0), 0.012, 12)
    assert p_mpjpe(found.joints, short_walk.world_mm[:4]).max() < 10  # mm
    rotation, true = found.rig.view_from_world, short_walk.view_from_world[:4]
    back = (np.swapaxes(each[:, :1], -1, -2) for each in (rotation, true))
    off = angle_between(*(each @ b for each, b in zip((rotation, true), back, strict=True)))
    assert off.max() < 1.5
    far_off = solve_per_instant(few, 4 * short_walk.focal_px[:4].mean(0), 0.012, 2)
    assert np.median(far_off.cost) > np.median(
        solve_per_instant(few, short_walk.focal_px[0], 0.012, 2).cost
    )


def test_without_noise_cameras_that_follow_and_zoom_are_found(
    short_walk: Rehearsed, exact: LiftedObservations
) -> None:
    found = calibrate_panning(exact)
    assert found.rig.focal_px.shape == (FRAMES, VIEWS)
    rotation, true = found.rig.view_from_world, short_walk.view_from_world
    gauge = nearest_rotation((np.swapaxes(true, -1, -2) @ rotation).sum((0, 1)))
    off = angle_between(rotation, true @ gauge)  # the world that was found has axes of its own
    assert np.median(off) < 0.7
    assert off.max() < 2.5
    assert np.abs(found.rig.focal_px / short_walk.focal_px - 1).max() < 0.05
    centres = -np.einsum("vji,vj->vi", short_walk.view_from_world[0], short_walk.translation_mm[0])
    apart, wanted = (
        np.linalg.norm(c[:, None] - c, axis=-1)[np.triu_indices(VIEWS, 1)]
        for c in (found.rig.centres[0], centres)
    )
    np.testing.assert_allclose(apart / apart[0], wanted / wanted[0], rtol=0.03)
    np.testing.assert_allclose(found.rig.centres[1:], found.rig.centres[:-1], atol=1e-6)
    assert found.body.bones.mean() == pytest.approx(1, abs=0.01)


def test_two_views_or_too_few_instants_are_refused(exact: LiftedObservations) -> None:
    with pytest.raises(Undetermined, match="2 panning cameras cannot be calibrated, expected 3"):
        calibrate_panning(exact.of_views([0, 1]))
    with pytest.raises(Undetermined, match="9 instants were observed by 3 views, expected 10"):
        calibrate_panning(exact.take(slice(0, 9)))


def test_a_camera_that_hardly_saw_the_athlete_beside_two_others_is_refused_by_name(
    exact: LiftedObservations,
) -> None:
    confidence = exact.confidence.copy()
    confidence[LEAST_PANNING - 1 :, 2] = 0
    with pytest.raises(Undetermined, match="cam2 saw the athlete beside two other cameras"):
        calibrate_panning(replace(exact, confidence=confidence))
