"""Instants that the cameras do not explain, as where one of two views shows somebody else.

With three views such a view is rejected at each instant; with two it takes the cameras with it.
"""

from dataclasses import replace

import numpy as np

from cvsf.calibration.mirror_ambiguity import Fitted
from cvsf.multiview.reprojection import reprojection_cost, weighted_keypoints

_MISFIT = 4.0
"""Reprojection cost of an instant over the median of all; a guess, not measured."""


def without_outlier_instants(fitted: Fitted) -> Fitted:
    """The fit with only the instants whose reprojection cost is at most 4 times the median; the
    same object if that are all. Nothing is adjusted.
    """
    problem, state = fitted.problem, fitted.state
    keypoints = weighted_keypoints(fitted.chosen, problem.keypoints.noise_share)
    cost = reprojection_cost(keypoints, state.rig, state.joints)
    rows = np.flatnonzero(cost <= _MISFIT * np.median(cost))
    if len(rows) == len(cost):
        return fitted
    return replace(
        fitted,
        chosen=fitted.chosen.take(rows),
        problem=replace(problem, keypoints=problem.keypoints.take(rows), body=problem.body[rows]),
        state=replace(state, joints=state.joints[rows]),
    )
