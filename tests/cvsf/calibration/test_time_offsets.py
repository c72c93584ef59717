"""Cameras whose stamps are late: their delay found, and their keypoints taken back in time."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from cvsf.calibration.bundle_adjustment import adjust
from cvsf.calibration.normal_equations import Priors, Problem, State
from cvsf.calibration.time_offsets import with_velocities, without_velocities
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.multiview.rig import Rig
from cvsf.multiview.weak_perspective import mean_body, mean_bone
from cvsf.skeleton import H36M_16
from tests.support.late_walk import keypoints_of, observations_of, straight
from tests.support.rehearsed import Rehearsed, rehearsed

FRAMES, VIEWS = 45, 3
LATE_S = np.array([0.0, 0.05, -0.03])


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("walk"), frames=FRAMES, views=VIEWS)


def posed(walk: Rehearsed, seen: LiftedObservations) -> tuple[Problem, State]:
    """The true cameras, thought to be in time."""
    unit = float(mean_bone(walk.world_mm, H36M_16).mean())
    joints, bones, body = walk.world_mm / unit, bones_of(H36M_16), mean_body(seen)
    rig = Rig.pinhole(
        seen.cameras,
        walk.image_px,
        view_from_world=walk.view_from_world[0],
        centres=-np.einsum("vji,vj->vi", walk.view_from_world[0], walk.translation_mm[0]) / unit,
        focal_px=walk.focal_px[0],
    )
    problem = Problem(
        keypoints=weighted_keypoints(seen, 0.01),
        bones=bones,
        body=body,
        guess_log_focal=np.log(walk.focal_px[0]),
        is_given=np.zeros(len(rig.cameras), bool),
        reference=0,
        priors=Priors(),
    )
    return problem, State(rig=rig, joints=joints, lengths=measures_of(joints, bones))


def test_the_speed_of_keypoints_is_the_slope_of_the_line_they_move_on(walk: Rehearsed) -> None:
    late, speed = straight(walk, LATE_S)
    problem, state = posed(walk, late)
    delayed = replace(state, rig=replace(state.rig, delay_s=LATE_S))
    for now in (state, delayed):
        pixels = with_velocities(late, late, problem, now).keypoints
        assert pixels.velocity_px_s is not None
        inner = slice(3, -3)
        np.testing.assert_allclose(
            pixels.velocity_px_s[inner], np.broadcast_to(speed, late.keypoints_px[inner].shape),
            rtol=1e-3, atol=0.1,
        )  # fmt: skip
        np.testing.assert_allclose(pixels.keypoints_px, late.keypoints_px, atol=0.02)
    right, _ = straight(walk, np.zeros(VIEWS))
    there = without_velocities(late, late.take(slice(4, 9)), problem, delayed).keypoints
    np.testing.assert_allclose(there.keypoints_px, right.keypoints_px[4:9], atol=0.01)


def test_the_delays_of_cameras_are_found_from_a_body_that_changes_its_speed(
    walk: Rehearsed,
) -> None:
    # on a circle at one speed, a late camera and one that stands further round see the same
    phase = 2 * np.pi * np.outer(walk.t_s, [0.4, 0.55, 0.7]) + [0, 1, 0]
    sways = replace(walk, world_mm=walk.world_mm + [600, 600, 200] * np.sin(phase)[:, None])
    keypoints = keypoints_of(sways)
    for view, late_s in enumerate(LATE_S):
        track = CubicSpline(walk.t_s, keypoints[:, view])
        keypoints[:, view] = track(walk.t_s + late_s)
    seen, inner = observations_of(sways, keypoints), slice(2, -2)
    chosen = seen.take(inner)
    problem, state = posed(sways, seen)
    state = replace(state, joints=state.joints[inner])
    problem = replace(problem, body=problem.body[inner], keypoints=weighted_keypoints(chosen, 0.01))
    for _ in range(4):
        problem = with_velocities(seen, chosen, problem, state)
        state, _ = adjust(problem, state, 8)
    assert state.rig.delay_s == pytest.approx(LATE_S, abs=0.003)
