"""All cameras and joints adjusted together, from pixels that are exact."""

import numpy as np

from cvsf.calibration.bundle_adjustment import adjust
from cvsf.calibration.normal_equations import Priors, Problem, State
from cvsf.multiview.reprojection import estimate_noise
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.multiview.rig import FOCAL
from cvsf.skeleton import H36M_16
from tests.support.camera_ring import VIEWS, changed, keypoints_for, ring, some_joints


def test_an_adjustment_from_beside_the_truth_ends_with_a_hundredth_of_the_error() -> None:
    cameras, joints = ring(), some_joints()
    bones = bones_of(H36M_16)
    priors = Priors(bone_sigma=1e3, lifter_sigma=1e3, focal_sigma=10, estimate_radial=True)
    problem = Problem(
        keypoints=keypoints_for(cameras, joints),
        bones=bones,
        body=joints,
        guess_log_focal=np.full(VIEWS, np.log(1200.0)),
        is_given=np.zeros(VIEWS, bool),
        reference=0,
        priors=priors,
    )
    off = cameras
    for view, column, by in ((0, FOCAL, 0.05), (1, 1, 0.03), (1, 4, 0.5), (2, FOCAL, -0.1)):
        off = changed(off, view, column, by)
    random = np.random.default_rng(5)
    state = State(
        rig=off,
        joints=joints + random.normal(0, 0.05, joints.shape),
        lengths=measures_of(joints, bones),
    )
    before = estimate_noise(problem.keypoints, off, state.joints)
    found, _ = adjust(problem, state, 60)
    assert estimate_noise(problem.keypoints, found.rig, found.joints) < 1e-2 * before
