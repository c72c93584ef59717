"""A session calibrated and scored: what comes of it, and what cannot be calibrated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.metric_scale import Scale
from tests.support.filmed import engine
from tests.support.walkers import walkers
from train.data.calibration_input import CalibrationInput, calibration_inputs, read_observations
from train.data.read import Choice
from train.evaluation.calibrate_and_score import (
    SUCCESS,
    CalibrationOptions,
    CalibrationResult,
    calibrate_and_score,
)
from train.evaluation.calibration_errors import Errors

OPTIONS = CalibrationOptions(scale=Scale(height_m=1.7), moving="still")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> CalibrationInput:
    file = walkers(tmp_path_factory.mktemp("walkers") / "w.npz", frames=40)
    observations = read_observations(file, Choice(names=("ann",)))
    return next(calibration_inputs(observations, engine(), views=4))


@pytest.fixture(scope="module")
def outcome(session: CalibrationInput) -> CalibrationResult:
    return calibrate_and_score(session, OPTIONS)


def test_a_session_is_calibrated_about_as_well_as_its_true_cameras_would_allow(
    outcome: CalibrationResult,
) -> None:
    assert outcome.succeeded
    assert outcome.over_limit is not None
    assert outcome.over_limit < SUCCESS
    assert outcome.badness == outcome.over_limit
    assert outcome.calibration is not None
    assert outcome.calibration.scale_source == "height"
    assert set(outcome.errors) == {
        *("calibrated_limit", "lifter_fused", "mean_of_canonical", "fused"),
    }
    assert outcome.cameras["bones"]["thigh"]["self_calibrated"] > 0


def test_a_session_without_a_truth_is_calibrated_to_the_same_skeletons(
    session: CalibrationInput, outcome: CalibrationResult
) -> None:
    alone = calibrate_and_score(replace(session, truth=None), OPTIONS)
    assert (alone.errors, alone.cameras) == ({}, {})
    assert alone.over_limit is None
    assert alone.succeeded
    assert alone.plain() == outcome.plain()
    assert alone.reconstruction is not None
    assert outcome.reconstruction is not None
    np.testing.assert_array_equal(alone.reconstruction.joints, outcome.reconstruction.joints)


def test_written_skeletons_are_the_placed_ones_with_their_views(
    outcome: CalibrationResult, tmp_path: Path
) -> None:
    outcome.write_skeletons(tmp_path / "w.npz")
    assert outcome.reconstruction is not None
    with np.load(tmp_path / "w.npz") as file:
        np.testing.assert_allclose(
            file["joints"], outcome.reconstruction.joints, rtol=1e-5, atol=1e-5
        )
        assert file["views_seen"].max() == 4
        assert (file["person_id"] == 0).all()
        assert file["joint_names"][0] == "hip"
        assert len(file["t_s"]) == 40


def test_a_picture_of_unknown_size_is_refused_and_the_lifter_alone_still_scored(
    session: CalibrationInput,
) -> None:
    image = session.observations.image_px.copy()
    image[:, 2] = 0
    seen = replace(session.observations, image_px=image)
    refused = calibrate_and_score(replace(session, observations=seen), OPTIONS)
    assert refused.refused == "the size of the pictures of cam2 is not known; record it"
    assert refused.calibration is None
    assert not refused.succeeded
    assert refused.badness == -1
    assert "fused" not in refused.errors
    assert refused.errors["lifter_fused"].count == 40 * 4


@pytest.mark.parametrize(("n_mm", "count", "over"), [(30.0, 1, 1.5), (64.0, 2, 1.6)])
def test_a_session_fails_where_it_is_worse_than_true_cameras_by_more_than_it_may_be(
    outcome: CalibrationResult, n_mm: float, count: int, over: float
) -> None:
    scored = {
        "fused": Errors(n_mm=n_mm, p_mm=0.0, count=count),
        "calibrated_limit": Errors(n_mm=40.0, p_mm=0.0, count=2),
    }
    changed = replace(outcome, errors=scored)
    assert changed.over_limit == pytest.approx(over)
    assert changed.succeeded == (over <= SUCCESS)
