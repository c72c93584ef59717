"""One similarity for a whole take: what it forgives, and what it does not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.train.evaluation.test_calibration_errors import (
    FRAMES,
    JOINTS,
    VIEWS,
    found,
    observations,
    truth,
    world_mm,
)
from train.evaluation.take_errors import errors_of_take, limit_of_take, take_errors

EVERY = np.ones((FRAMES, JOINTS), bool)


def test_a_take_of_another_size_in_another_place_has_no_error() -> None:
    turn = Rotation.from_rotvec([0.3, -1.0, 0.6]).as_matrix()
    take = take_errors(0.001 * world_mm() @ turn.T + [3.0, -1, 2], world_mm(), EVERY)
    assert take is not None
    assert take.rooted_mm == pytest.approx(0, abs=1e-6)
    assert take.place_mm == pytest.approx(0, abs=1e-6)


def test_bodies_that_grow_are_wrong_though_each_instant_is_right() -> None:
    growing = world_mm() * np.linspace(0.9, 1.1, FRAMES)[:, None, None]
    take = take_errors(growing, world_mm(), EVERY)
    assert take is not None
    assert take.rooted_mm > 10


def test_a_way_that_bends_is_an_error_of_place_alone() -> None:
    away = np.array([0.0, 300, -300, 0])[:, None, None] * [0.0, 0, 1]
    take = take_errors(world_mm() + away, world_mm(), EVERY)
    assert take is not None
    assert take.place_mm > 100
    assert take.rooted_mm < 0.5 * take.place_mm  # the similarity takes some of the way up


def test_a_joint_that_was_not_given_counts_as_at_the_true_hip() -> None:
    lost = world_mm()
    lost[:, 9] = np.nan
    take = take_errors(lost, world_mm(), EVERY)
    assert take is not None
    length = np.linalg.norm(world_mm()[:, 9] - world_mm()[:, 0], axis=-1).mean()
    assert take.rooted_mm == pytest.approx(length / JOINTS)
    known = EVERY.copy()
    known[:, 9] = False
    unasked = take_errors(lost, world_mm(), known)
    assert unasked is not None
    assert unasked.rooted_mm == pytest.approx(0, abs=1e-6)
    assert take_errors(lost, world_mm(), ~EVERY) is None


def test_with_exact_pixels_the_limit_is_nothing_and_needs_true_cameras() -> None:
    best = limit_of_take(observations(), truth())
    assert best is not None
    assert best.rooted_mm < 0.1
    assert best.place_mm < 0.1
    assert limit_of_take(observations(), replace(truth(), rig=None)) is None


def test_a_rig_in_a_tilted_world_has_no_error_with_and_without_true_cameras() -> None:
    calibration, reconstruction = found(tilt_deg=20)
    for real in (truth(), replace(truth(), rig=None)):
        ours = errors_of_take(observations(), calibration.rig, reconstruction, real)
        assert ours is not None
        assert ours.facts == {"rooted_mm": 0.0, "place_mm": 0.0}


def test_an_instant_that_one_view_alone_saw_does_not_count() -> None:
    calibration, reconstruction = found()
    confidence = np.ones((FRAMES, VIEWS, JOINTS), np.float32)
    confidence[2, 1:] = 0
    wrong = reconstruction.joints.copy()
    wrong[2] += 5.0
    ours = errors_of_take(
        observations(confidence=confidence),
        calibration.rig,
        replace(reconstruction, joints=wrong),
        truth(),
    )
    assert ours is not None
    assert ours.place_mm == pytest.approx(0, abs=1e-6)
