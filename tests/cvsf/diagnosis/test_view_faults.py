"""What is said to be wrong with a view, from the joints that the others give."""

import re
from dataclasses import replace

import numpy as np
import pytest

from cvsf.diagnosis.attempt import Attempt, examined
from cvsf.diagnosis.view_faults import (
    ELSEWHERE,
    MIRRORED,
    PANS,
    PARTLY,
    SIDES,
    fault_of,
    fit_camera,
    instants_that_fit,
    mirrored_back,
)
from cvsf.engine.engine import load_engine
from cvsf.multiview.observations import LiftedObservations, lift_observations
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.skeleton import H36M_16
from tests.support.made_calibration import made_calibration
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import (
    Real,
    another,
    exact_of,
    late,
    mirrored,
    noisy_poses,
    shifted_poses,
    wandering,
)

WRONG, RIGHT = 1, [0, 2, 3]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("walk"), frames=120)


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> LiftedObservations:
    return exact_of(walk, walk.keypoints_px)


@pytest.fixture(scope="module")
def others(walk: Rehearsed, seen: LiftedObservations) -> Attempt:
    """The true cameras but one."""
    true = walk.true_calibration(0)
    few = made_calibration(true.rig.of_views(RIGHT), bones=true.body.bones, noise_share=0.008)
    return examined(seen.of_views(RIGHT), few)


def fault(walk: Rehearsed, others: Attempt, pixels: Real) -> str:
    return fault_of(exact_of(walk, pixels), WRONG, others)


def test_a_mirrored_picture_is_told_as_such(walk: Rehearsed, others: Attempt) -> None:
    assert fault(walk, others, mirrored(walk, WRONG)) == MIRRORED


def test_a_view_mirrored_back_has_the_outputs_of_the_lifter_for_the_picture_as_it_was(
    walk: Rehearsed,
) -> None:
    sure = np.ones_like(walk.confidence)
    as_it_was, turned = (
        lift_observations(
            load_engine().lift_many,
            H36M_16,
            (view.cameras[WRONG],),
            view.t_s,
            (view.keypoints_px[:, [WRONG]], view.confidence[:, [WRONG]], view.image_px[:, [WRONG]]),
        )  # alone: views of one instant change each other's rotations
        for view in (
            walk.seen(confidence=sure),
            walk.seen(confidence=sure, keypoints_px=mirrored(walk, WRONG)),
        )
    )
    again = mirrored_back(turned, 0)
    for name in ("keypoints_px", "canonical", "view_from_canonical"):
        np.testing.assert_allclose(getattr(again, name), getattr(as_it_was, name), atol=2e-3)


def test_joints_of_the_other_side_in_a_picture_that_is_not_mirrored_are_told_as_such(
    walk: Rehearsed, others: Attempt
) -> None:
    pixels = walk.keypoints_px.copy()
    pixels[:, WRONG] = pixels[:, WRONG, list(H36M_16.mirrored)]
    assert fault(walk, others, pixels) == SIDES


def test_a_camera_that_pans_while_the_others_stand_still_is_told_as_such(
    walk: Rehearsed, others: Attempt
) -> None:
    turn = 0.25 * np.sin(walk.t_s)[:, None] * [0.0, 1.0, 0.0]
    rotation, shift = walk.view_from_world.copy(), walk.translation_mm.copy()
    turned = rotation_from_vector(turn)
    rotation[:, WRONG] = turned @ rotation[:, WRONG]
    shift[:, WRONG] = (turned @ shift[:, WRONG, :, None])[..., 0]
    pans = replace(walk, view_from_world=rotation, translation_mm=shift).exact().keypoints_px
    noise = walk.keypoints_px - walk.exact().keypoints_px
    assert fault(walk, others, pans + noise) == PANS


def test_another_person_all_the_time_is_somewhere_else(walk: Rehearsed, others: Attempt) -> None:
    pixels = another(walk, WRONG, slice(None))
    seen = noisy_poses(exact_of(walk, pixels))
    seen.canonical[:, WRONG] = seen.canonical[::-1, WRONG] * np.array([1, -1, 1])
    assert fault_of(seen, WRONG, others) == ELSEWHERE


def test_a_delay_that_changes_is_told_from_when_to_when(walk: Rehearsed, others: Attempt) -> None:
    drift = shifted_poses(noisy_poses(exact_of(walk, walk.keypoints_px)), WRONG, 0.1 * walk.t_s)
    said = fault_of(drift, WRONG, others)
    told = re.fullmatch(
        r"its delay changes from (\S+) to (\S+) s during the take; frames are .*", said
    )
    assert told is not None
    assert [float(delay_s) for delay_s in told.groups()] == pytest.approx([0, 0.8], abs=0.2)


def test_a_view_that_fits_for_some_time_comes_with_the_instants(
    walk: Rehearsed, others: Attempt
) -> None:
    pixels = another(walk, WRONG, slice(50, 120))
    assert fault(walk, others, pixels) == PARTLY
    fits = instants_that_fit(exact_of(walk, pixels), WRONG, others)
    assert fits[:50].mean() > 0.9
    assert not fits[50:].any()


def test_a_late_view_is_not_taken_for_a_panning_one(walk: Rehearsed, others: Attempt) -> None:
    assert fault(walk, others, late(walk, WRONG, 0.6)) != PANS


def test_the_best_camera_projects_the_joints_to_the_keypoints(walk: Rehearsed) -> None:
    pixels = walk.exact().keypoints_px[:, WRONG].astype(float)
    extent = np.ptp(pixels, axis=1).max(-1)
    usable = np.ones(pixels.shape[:-1], bool)
    assert fit_camera(walk.world_mm, pixels, usable, extent).all()
    pixels[40:60] = pixels[::-1][40:60] + 100
    fits = fit_camera(walk.world_mm, pixels, usable, extent)
    assert not fits[40:60].any()
    assert np.delete(fits, slice(40, 60)).all()


def test_instants_with_fewer_than_6_joints_fit_no_camera(walk: Rehearsed) -> None:
    pixels = walk.exact().keypoints_px[:, WRONG].astype(float)
    extent = np.ptp(pixels, axis=1).max(-1)
    usable = np.zeros(pixels.shape[:-1], bool)
    usable[:, :5] = True
    assert not fit_camera(walk.world_mm, pixels, usable, extent).any()
