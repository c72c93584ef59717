"""Instants of garbage in one of two views, which cameras do not explain."""

from dataclasses import replace

import numpy as np

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.outlier_instants import without_outlier_instants
from cvsf.evaluation.metrics import n_mpjpe
from cvsf.multiview.observations import LiftedObservations
from cvsf.reconstruction.reconstruct import reconstruct
from tests.support.rehearsed import Rehearsed
from tests.support.true_fit import true_fit

GARBLED = 5


def garbled(pair: LiftedObservations) -> LiftedObservations:
    """The second view shows something else at the end."""
    keypoints = pair.keypoints_px.copy()
    keypoints[-GARBLED:, 1] = keypoints[:GARBLED, 0] * 0.6 + 200
    return replace(pair, keypoints_px=keypoints)


def test_garbled_instants_are_left_out_and_others_stay(
    walk: Rehearsed, seen: LiftedObservations
) -> None:
    pair = seen.of_views([0, 1])
    sound = true_fit(walk, pair)
    assert without_outlier_instants(sound) is sound
    fitting = without_outlier_instants(true_fit(walk, garbled(pair)))
    assert (fitting.chosen.t_s == pair.t_s[:-GARBLED]).all()
    assert len(fitting.state.joints) == len(fitting.problem.body) == len(fitting.chosen)


def test_two_views_are_calibrated_as_well_with_garbage_as_without(
    walk: Rehearsed, seen: LiftedObservations
) -> None:
    pair = seen.of_views([0, 1])
    error = []
    for given in (pair, garbled(pair)):
        found = calibrate(given)
        joints = reconstruct(given, found).joints[:-GARBLED, None]
        ours = joints @ np.swapaxes(found.rig.view_from_world, -1, -2)
        error.append(n_mpjpe(ours, walk.in_views_mm[:-GARBLED, :2]).mean())
    assert error[1] < 1.1 * error[0]
