"""The normal equations of a bundle adjustment, against the cost that they are derived from."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.normal_equations import (
    Priors,
    Problem,
    State,
    cost,
    first_lengths,
    linearise,
    local_columns,
    shared_columns,
    stepped,
)
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.multiview.rig import CENTRE, COLUMNS, DELAY, FOCAL, PRINCIPAL, RADIAL, ROTATION
from cvsf.skeleton import H36M_16
from tests.support.camera_ring import VIEWS, changed, keypoints_for, ring, some_joints


def exact(*, pans: bool = False, estimate_radial: bool = True) -> tuple[Problem, State]:
    """A state in which nothing contradicts anything: pixels, bones, lifted poses and lenses."""
    cameras, joints = replace(ring(pans=pans), distortion=np.zeros((VIEWS, 5))), some_joints()
    cameras = replace(cameras, delay_s=np.zeros(VIEWS))
    bones = bones_of(H36M_16)
    keypoints = keypoints_for(cameras, joints)
    problem = Problem(
        keypoints=replace(keypoints, velocity_px_s=None) if pans else keypoints,
        bones=bones,
        body=joints,
        guess_log_focal=cameras.log_focal.reshape(-1, VIEWS)[0],
        is_given=np.zeros(VIEWS, bool),
        reference=1,
        priors=Priors(estimate_radial=estimate_radial),
    )
    return problem, State(rig=cameras, joints=joints, lengths=measures_of(joints, bones))


@pytest.mark.parametrize("pans", [False, True])
def test_the_slope_of_the_cost_equals_the_right_side_of_the_normal_equations(pans: bool) -> None:
    cameras, joints, by = ring(pans=pans), some_joints(), 1e-5
    random = np.random.default_rng(4)
    bones = bones_of(H36M_16)
    keypoints = keypoints_for(ring(), joints + random.normal(0, 0.1, joints.shape))
    problem = Problem(
        keypoints=replace(keypoints, velocity_px_s=None) if pans else keypoints,
        bones=bones,
        body=joints + random.normal(0, 0.3, joints.shape),
        guess_log_focal=np.full(VIEWS, np.log(900.0)),
        is_given=np.zeros(VIEWS, bool),
        reference=1,
        priors=Priors(estimate_radial=True),
    )
    state = State(rig=cameras, joints=joints, lengths=1.1 * measures_of(joints, bones))
    system = linearise(problem, state)
    local = random.normal(size=system.local_right.shape)
    shared = random.normal(size=system.shared_right.shape)
    said = -2 * ((system.local_right * local).sum() + system.shared_right @ shared)
    up, down = (cost(problem, stepped(problem, state, s * local, s * shared)) for s in (by, -by))
    assert (up - down) / (2 * by) == pytest.approx(said, rel=1e-4)


def test_a_camera_with_exact_pixels_has_no_right_side_in_the_normal_equations() -> None:
    problem, state = exact()
    right = linearise(problem, state).shared_right
    columns = shared_columns(problem, state.rig) % COLUMNS
    assert np.abs(right[: len(columns)]).max() < 1e-6
    off = replace(state, rig=changed(state.rig, 0, FOCAL, 0.01))
    pulled = linearise(problem, off).shared_right[: len(columns)]
    assert pulled[columns == FOCAL][0] < -1  # back to the shorter focal length


def test_the_reference_camera_keeps_its_pose_and_delay_and_only_its_lens_is_solved_for() -> None:
    problem, state = exact()
    solved = np.zeros(VIEWS * COLUMNS, bool)
    solved[shared_columns(problem, state.rig)] = True
    by_view = solved.reshape(VIEWS, COLUMNS)
    assert np.flatnonzero(by_view[problem.reference]).tolist() == [FOCAL, RADIAL]
    assert by_view[[0, 2], : PRINCIPAL.start].all()
    assert not by_view[:, PRINCIPAL].any()
    assert local_columns(state.rig) == []


def test_a_given_lens_is_not_solved_for_and_its_focal_length_is_held() -> None:
    problem, state = exact()
    priors = replace(problem.priors, estimate_principal=True)
    given = replace(problem, priors=priors, is_given=np.arange(VIEWS) == 2)
    solved = np.zeros(VIEWS * COLUMNS, bool)
    solved[shared_columns(given, state.rig)] = True
    by_view = solved.reshape(VIEWS, COLUMNS)
    assert by_view[0, PRINCIPAL].all()
    assert not by_view[2, [RADIAL, *range(COLUMNS)[PRINCIPAL]]].any()
    assert given.focal_sigma[2] < 0.01 * given.focal_sigma[0]


def test_panning_cameras_have_rotation_and_focal_length_per_instant_and_one_centre() -> None:
    problem, state = exact(pans=True, estimate_radial=False)
    assert local_columns(state.rig) == [*range(COLUMNS)[ROTATION], FOCAL]
    shared = shared_columns(problem, state.rig)
    views, columns = shared // COLUMNS, shared % COLUMNS
    assert set(columns) == set(range(COLUMNS)[CENTRE])
    assert set(views) == {0, 2}
    assert DELAY not in columns


def test_a_step_of_zero_leaves_the_state_and_its_cost_as_they_were() -> None:
    problem, state = exact()
    system = linearise(problem, state)
    same = stepped(problem, state, 0 * system.local_right, 0 * system.shared_right)
    np.testing.assert_allclose(same.joints, state.joints)
    np.testing.assert_allclose(same.rig.view_from_world, state.rig.view_from_world)
    assert cost(problem, same) == pytest.approx(cost(problem, state))


def test_each_person_has_own_lengths_and_the_first_gives_the_unit() -> None:
    problem, alone = exact()
    random, by = np.random.default_rng(5), 1e-5
    person = np.arange(len(alone.joints)) % 2
    problem = replace(problem, person=person)
    state = replace(alone, lengths=np.stack([1.1 * alone.lengths, 0.8 * alone.lengths]))
    system = linearise(problem, state)
    assert len(system.shared_right) == len(shared_columns(problem, state.rig)) + state.lengths.size
    local = random.normal(size=system.local_right.shape)
    shared = random.normal(size=system.shared_right.shape)
    said = -2 * ((system.local_right * local).sum() + system.shared_right @ shared)
    up, down = (cost(problem, stepped(problem, state, s * local, s * shared)) for s in (by, -by))
    assert (up - down) / (2 * by) == pytest.approx(said, rel=1e-4)
    assert (problem.lengths_at(state) == state.lengths[person]).all()
    assert (first_lengths(state) == state.lengths[0]).all()
