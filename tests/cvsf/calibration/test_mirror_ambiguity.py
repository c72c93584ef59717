"""Right or the mirror image in depth: what decides, and what is said where nothing does."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.mirror_ambiguity import (
    MIRROR_GAIN,
    Fitted,
    camera_height,
    decide_mirror,
    depth_ambiguity,
    trimmed_cost,
)
from cvsf.calibration.normal_equations import Problem, State
from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed
from tests.support.true_fit import reflected, true_fit

NOISE = 0.01


@pytest.fixture(scope="module")
def pair(walk: Rehearsed) -> Fitted:
    return true_fit(walk, walk.exact().of_views([0, 1]))


def fit_of(right: Fitted, wrong: Fitted, right_is: LiftedObservations):  # type: ignore[no-untyped-def]
    """A fit that returns one of two made ones, by the depth of the poses it is given."""

    def fit(poses: LiftedObservations, _: LiftedObservations) -> tuple[Problem, State]:
        chosen = right if (poses.canonical == right_is.canonical).all() else wrong
        return chosen.problem, chosen.state

    return fit


def test_perspective_decides_for_the_poses_as_lifted(pair: Fitted) -> None:
    mirror = reflected(pair)
    assert trimmed_cost(mirror, NOISE) > MIRROR_GAIN * trimmed_cost(pair, NOISE)
    decided, said = decide_mirror(pair.chosen, fit_of(pair, mirror, pair.chosen))
    assert not decided.mirrored
    assert not said


def test_a_reflection_in_two_views_is_said(pair: Fitted) -> None:
    mirror = reflected(pair)
    turned = pair.chosen.mirrored()
    decided, said = decide_mirror(turned, fit_of(pair, mirror, pair.chosen))
    assert decided.mirrored
    assert "mirror image" in said


def test_where_nothing_decides_the_lifter_is_believed_and_it_is_said(pair: Fitted) -> None:
    decided, said = decide_mirror(pair.chosen, lambda *_: (pair.problem, pair.state))
    assert not decided.mirrored
    assert "leave open" in said


def test_a_fit_that_fails_from_every_start_is_an_error(pair: Fitted) -> None:
    def fail(*_: LiftedObservations) -> tuple[Problem, State]:
        raise np.linalg.LinAlgError("singular")

    with pytest.raises(np.linalg.LinAlgError):
        decide_mirror(pair.chosen, fail)


def test_the_lowest_camera_is_measured_from_the_feet(
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    fit = true_fit(walk, exact)
    rig = fit.state.rig
    raised = replace(rig, translation=rig.translation - rig.view_from_world[..., 2] * 2)
    sunk = camera_height(replace(fit, state=replace(fit.state, rig=raised)))
    # the vertical is estimated from the cameras' axes and the balance, which stay
    assert camera_height(fit) - sunk == pytest.approx(-2, abs=0.15)


def test_joints_of_the_other_side_are_doubted(pair: Fitted) -> None:
    assert not depth_ambiguity(pair)
    assert "mirror image" in depth_ambiguity(replace(reflected(pair), chosen=pair.chosen))


def test_a_few_garbled_instants_do_not_count(pair: Fitted) -> None:
    keypoints = pair.chosen.keypoints_px.copy()
    keypoints[:5, 1] += 300
    garbled = replace(pair, chosen=replace(pair.chosen, keypoints_px=keypoints))
    assert trimmed_cost(garbled, NOISE) == pytest.approx(trimmed_cost(pair, NOISE), rel=0.2)


def test_a_healthy_pair_is_not_flagged(seen: LiftedObservations) -> None:
    found = calibrate(seen.of_views([0, 1]))
    assert not found.ambiguous
    assert not found.mirrored


def test_a_pair_whose_lifter_reflects_depth_is_corrected_with_a_word(
    seen: LiftedObservations,
) -> None:
    found = calibrate(seen.of_views([0, 1]).mirrored())
    assert found.mirrored
    assert "mirror image" in found.ambiguous
