"""All cameras and joints adjusted together, from pixels that are exact."""

import numpy as np

from cvsf.calibration.bundle_adjustment import adjust
from cvsf.calibration.normal_equations import Beliefs, Problem, State
from cvsf.multiview.reprojection import (
    FOCAL,
    noise_of,
)
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.skeleton import H36M_16
from tests.support.camera_ring import VIEWS, changed, pixels_for, ring, some_joints


def test_an_adjustment_from_beside_the_truth_ends_with_a_hundredth_of_the_error() -> None:
    cameras, joints = ring(), some_joints()
    bones = bones_of(H36M_16)
    beliefs = Beliefs(bone_sigma=1e3, lifter_sigma=1e3, focal_sigma=10, seek_radial=True)
    problem = Problem(
        pixels=pixels_for(cameras, joints),
        bones=bones,
        body=joints,
        guess_log_focal=np.full(VIEWS, np.log(1200.0)),
        reference=0,
        beliefs=beliefs,
    )
    off = cameras
    for view, column, by in ((0, FOCAL, 0.05), (1, 1, 0.03), (1, 4, 0.5), (2, FOCAL, -0.1)):
        off = changed(off, view, column, by)
    random = np.random.default_rng(5)
    state = State(
        cameras=off,
        joints=joints + random.normal(0, 0.05, joints.shape),
        lengths=measures_of(joints, bones),
    )
    before = noise_of(problem.pixels, off, state.joints)
    found, _ = adjust(problem, state, 60)
    assert noise_of(problem.pixels, found.cameras, found.joints) < 1e-2 * before
