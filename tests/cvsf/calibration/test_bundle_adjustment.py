from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.bundle_adjustment import adjust
from cvsf.calibration.normal_equations import Beliefs, Problem, State, cost, linearise, moved
from cvsf.multiview.reprojection import (
    CENTRE,
    COLUMNS,
    DELAY,
    FOCAL,
    RADIAL,
    ROTATION,
    Cameras,
    Pixels,
    Real,
    compare,
    noise_of,
)
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.multiview.rotation import align, angle_between, nearest_rotation, turn, turned_by
from cvsf.skeleton import H36M_16

VIEWS, INSTANTS, COUNT = 3, 6, len(H36M_16)


def ring(*, pans: bool = False) -> Cameras:
    """Cameras that look at the origin from all around."""
    angle = 2 * np.pi * np.arange(VIEWS) / VIEWS
    look = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    rotation = look @ turn(np.stack([0 * angle, 0 * angle, -angle], -1))
    back = np.einsum("vji,j->vi", rotation, [0.0, 0, -20])
    rows = INSTANTS if pans else 1
    return Cameras(
        view_from_world=np.repeat(rotation[None], rows, 0),
        centres=back,
        log_focal=np.full((rows, VIEWS), np.log(1200.0)),
        centre_px=np.full((VIEWS, 2), 500.0),
        radial=np.array([0.1, -0.05, 0.0]),
        delay_s=np.array([0.0, 0.01, -0.02]),
    )


def pixels_for(cameras: Cameras, joints: Real) -> Pixels:
    random = np.random.default_rng(2)
    shape = (len(joints), VIEWS, COUNT)
    velocity = random.normal(0, 300, (*shape, 2))
    late = cameras.delay_s[:, None, None] * velocity
    return Pixels(
        keypoints_px=cameras.project(joints) + late,
        trust=random.uniform(0.3, 1, shape),
        extent_px=np.full(shape[:2], 300.0),
        noise=0.01,
        velocity_px_s=velocity,
    )


def some_joints() -> Real:
    return np.random.default_rng(1).normal(0, 2, (INSTANTS, COUNT, 3))


def changed(cameras: Cameras, view: int, column: int, by: float) -> Cameras:
    step = np.zeros((VIEWS, COLUMNS))
    step[view, column] = by
    return replace(
        cameras,
        view_from_world=turn(step[:, ROTATION]) @ cameras.view_from_world,
        centres=cameras.centres + step[:, CENTRE],
        log_focal=cameras.log_focal + step[:, FOCAL],
        radial=cameras.radial + step[:, RADIAL],
        delay_s=cameras.delay_s + step[:, DELAY],
    )


@pytest.mark.parametrize("column", range(COLUMNS))
def test_derivatives_by_the_cameras_are_those_of_the_projection(column: int) -> None:
    cameras, joints, by = ring(), some_joints(), 1e-6
    pixels = pixels_for(cameras, joints + 0.1)
    said = compare(pixels, cameras, joints, with_cameras=True).by_camera
    assert said is not None
    for view in range(VIEWS):
        up, down = (
            compare(pixels, changed(cameras, view, column, step), joints).residual
            for step in (by, -by)
        )
        wanted = ((up - down) / (2 * by))[:, view]
        assert np.allclose(said[:, view, ..., column], wanted, rtol=1e-5, atol=1e-4)


def test_derivatives_by_the_joints_are_those_of_the_projection() -> None:
    cameras, joints, by = ring(), some_joints(), 1e-6
    pixels = pixels_for(cameras, joints + 0.1)
    said = compare(pixels, cameras, joints).by_joint
    for axis in range(3):
        step = by * np.eye(3)[axis]
        up, down = (compare(pixels, cameras, joints + way * step).residual for way in (1, -1))
        assert np.allclose(said[..., axis], (up - down) / (2 * by), rtol=1e-5, atol=1e-4)


def test_adjustment_returns_to_cameras_that_see_without_error() -> None:
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


@pytest.mark.parametrize("pans", [False, True])
def test_the_slope_of_the_cost_is_what_the_normal_equations_say(pans: bool) -> None:
    cameras, joints, by = ring(pans=pans), some_joints(), 1e-5
    random = np.random.default_rng(4)
    bones = bones_of(H36M_16)
    pixels = pixels_for(ring(), joints + random.normal(0, 0.1, joints.shape))
    problem = Problem(
        pixels=replace(pixels, velocity_px_s=None) if pans else pixels,
        bones=bones,
        body=joints + random.normal(0, 0.3, joints.shape),
        guess_log_focal=np.full(VIEWS, np.log(900.0)),
        reference=1,
        beliefs=Beliefs(seek_radial=True),
    )
    state = State(cameras=cameras, joints=joints, lengths=1.1 * measures_of(joints, bones))
    system = linearise(problem, state)
    local = random.normal(size=system.local_right.shape)
    shared = random.normal(size=system.shared_right.shape)
    said = -2 * ((system.local_right * local).sum() + system.shared_right @ shared)
    up, down = (cost(problem, moved(problem, state, s * local, s * shared)) for s in (by, -by))
    assert (up - down) / (2 * by) == pytest.approx(said, rel=1e-4)


def test_a_rotation_is_found_again_from_its_turn_and_from_points() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 3))
    start = nearest_rotation(random.normal(size=(50, 3, 3)))
    assert np.allclose(np.linalg.det(start), 1)
    end = turn(vectors) @ start
    assert np.allclose(turn(turned_by(end, start)) @ start, end, atol=1e-9)
    points = random.normal(size=(50, 8, 3))
    moved = points @ np.swapaxes(end, -1, -2) + vectors[:, None]
    rotation, shift = align(points, moved, np.ones((50, 8)))
    assert angle_between(rotation, end).max() < 1e-4
    assert np.allclose(shift, vectors)
