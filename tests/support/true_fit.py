"""A fit that is right: the walker's true cameras and joints, in mean bones."""

from dataclasses import replace

import numpy as np

from cvsf.calibration.mirror_ambiguity import Fitted
from cvsf.calibration.normal_equations import Priors, Problem, State
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.skeleton import H36M_16
from tests.support.rehearsed import Rehearsed


def true_fit(walk: Rehearsed, chosen: LiftedObservations) -> Fitted:
    """Of observations of all the walker's instants, by some or all cameras from the first one."""
    views = range(len(chosen.cameras))
    bones = bones_of(H36M_16)
    joints = walk.world_mm / mean_bone(walk.world_mm, H36M_16).mean()
    rig = walk.true_calibration(0).rig.of_views(list(views))
    problem = Problem(
        keypoints=weighted_keypoints(chosen, 0.01),
        bones=bones,
        body=joints,
        guess_log_focal=rig.log_focal,
        is_given=np.zeros(len(rig.cameras), bool),
        reference=0,
        priors=Priors(),
    )
    state = State(rig=rig, joints=joints, lengths=measures_of(joints, bones))
    return Fitted(chosen=chosen, problem=problem, state=state, mirrored=False)


def reflected(fitted: Fitted) -> Fitted:
    """Necker's reversal about the first view: joints and cameras reflected in depth, as far people
    look alike.
    """
    flip = np.array([1.0, 1.0, -1.0])
    rig, state = fitted.state.rig, fitted.state
    first, shift = rig.view_from_world[0], rig.translation[0]
    in_first = state.joints @ first.T + shift
    middle = in_first[:, :1].mean(0)
    joints = (in_first - middle) * flip + middle
    turned = flip[:, None] * (rig.view_from_world @ first.T) * flip
    centre = (rig.view_from_world @ first.T) @ (middle[0] - shift) + rig.translation
    return replace(
        fitted,
        chosen=fitted.chosen.mirrored(),
        state=replace(
            state,
            joints=joints,
            rig=replace(
                rig,
                view_from_world=turned,
                translation=centre - turned @ middle[0],
            ),
        ),
        problem=replace(fitted.problem, body=joints),
        mirrored=True,
    )
