"""Panning cameras followed from instant to instant, and held to turn smoothly."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from cvsf.calibration.normal_equations import Priors, Problem, State
from cvsf.calibration.per_instant_adjustment import Solutions
from cvsf.calibration.ptz_smoothing import neighbour_prior, track_instants, weak_prior
from cvsf.multiview import observations
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import angle_between, nearest_rotation, rotation_from_vector
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.skeleton import H36M_16
from tests.support.rehearsed import Rehearsed, rehearsed

FRAMES, VIEWS = 25, 3
T_S = np.arange(FRAMES) / 25


def turning(rate: float = 0.5) -> Solutions:
    """Cameras that pan at a steady rate (rad / s) and zoom at a steady one."""
    steady = T_S[:, None] * np.ones(VIEWS)
    rig = Rig.pinhole(
        tuple(f"cam{view}" for view in range(VIEWS)),
        np.full((VIEWS, 2), 1000.0),
        view_from_world=np.asarray(
            rotation_from_vector(rate * steady[..., None] * [0.0, 1.0, 0.0]), float
        ),
        centres=np.zeros((VIEWS, 3)),
        focal_px=np.exp(7 + 0.2 * steady),
    )
    return Solutions(rig=rig, joints=np.zeros((FRAMES, len(H36M_16), 3)), cost=np.ones(FRAMES))


def test_a_camera_that_turns_steadily_is_expected_where_it_is() -> None:
    found = turning()
    prior = neighbour_prior(T_S, found, np.ones((FRAMES, VIEWS)))
    inner = slice(6, -6)  # at the ends all neighbours are on one side
    off = angle_between(prior.view_from_world, found.rig.view_from_world)
    assert off[inner].max() < 0.01
    np.testing.assert_allclose(prior.log_focal[inner], found.rig.log_focal[inner], atol=1e-4)
    assert 0.5 < off[0].min() < np.degrees(0.5 * 0.12)  # its next neighbours' mean, 2 sigma at most


def test_one_instant_that_looks_elsewhere_is_expected_where_its_neighbours_look() -> None:
    found, bad = turning(rate=0.0), 12
    view_from_world = found.rig.view_from_world.copy()
    view_from_world[bad, 1] = (
        rotation_from_vector(np.array([0.0, 0.1, 0.0])) @ view_from_world[bad, 1]
    )
    cost = np.where(np.arange(FRAMES) == bad, 20.0, 1.0)
    rig = replace(found.rig, view_from_world=view_from_world)
    prior = neighbour_prior(T_S, replace(found, rig=rig, cost=cost), np.ones((FRAMES, VIEWS)))
    off = angle_between(prior.view_from_world, found.rig.view_from_world)
    assert off[bad, 1] < 0.01
    assert off[bad - 1 : bad + 2].max() < 0.05  # it hardly pulls at those beside it


def test_the_expected_deviation_grows_with_how_much_a_camera_shakes() -> None:
    found, random = turning(), np.random.default_rng(0)
    shake = np.array([1e-3, 4e-3, 16e-3])[:, None] * random.normal(size=(FRAMES, VIEWS, 3))
    view_from_world = rotation_from_vector(shake) @ found.rig.view_from_world
    rig = replace(found.rig, view_from_world=view_from_world)
    sigma = neighbour_prior(T_S, replace(found, rig=rig), np.ones((FRAMES, VIEWS))).rotation_sigma
    np.testing.assert_allclose(np.asarray(sigma)[1:] / np.asarray(sigma)[:-1], 4, rtol=0.5)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("pans"), frames=FRAMES, views=VIEWS, pans=True)


def test_windows_of_a_long_take_expect_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found, t_s = (
        turning(),
        0.2 * np.arange(FRAMES, dtype=np.float64),
    )  # of the others some are out of reach
    whole = neighbour_prior(t_s, found, np.ones((FRAMES, VIEWS)))
    monkeypatch.setattr(observations, "WINDOW", 8)
    parts = neighbour_prior(t_s, found, np.ones((FRAMES, VIEWS)))
    np.testing.assert_allclose(parts.log_focal, whole.log_focal, atol=1e-6)
    assert angle_between(parts.view_from_world, whole.view_from_world).max() < 1e-3


def adjusted(
    walk: Rehearsed, exact: LiftedObservations, rows: npt.NDArray[np.intp]
) -> tuple[Problem, State]:
    """Some instants as they truly are; the mean bone is 1."""
    unit = float(mean_bone(walk.world_mm, H36M_16).mean())
    joints, bones = walk.world_mm / unit, bones_of(H36M_16)
    some = exact.take(rows)
    rig = Rig.pinhole(
        some.cameras,
        walk.image_px,
        view_from_world=np.asarray(nearest_rotation(walk.view_from_world[rows]), float),
        centres=-np.einsum("vji,vj->vi", walk.view_from_world[0], walk.translation_mm[0]) / unit,
        focal_px=walk.focal_px[rows],
    )
    problem = Problem(
        keypoints=weighted_keypoints(some, 0.005),
        bones=bones,
        body=joints[rows] - joints[rows, :1],
        guess_log_focal=np.log(walk.focal_px[0]),
        is_given=np.zeros(len(rig.cameras), bool),
        reference=0,
        priors=Priors(),
    )
    return problem, State(rig=rig, joints=joints[rows], lengths=measures_of(joints, bones))


def test_instants_between_those_adjusted_are_found_from_their_neighbours(
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    rows = np.arange(4, FRAMES, 8)
    problem, state = adjusted(walk, exact, rows)
    between = angle_between(walk.view_from_world[8], walk.view_from_world[4])
    assert between.max() > 2  # so far an instant begins from where its cameras look
    found, sigma = track_instants(exact, rows, problem, state)
    inner = slice(4, -4)  # the first and last lean towards their neighbours, all on one side
    off = angle_between(found.rig.view_from_world, walk.view_from_world)[inner]
    assert off.max() < 0.6
    zoomed = np.exp(found.rig.log_focal) / walk.focal_px
    assert np.abs(zoomed - 1)[inner].max() < 0.01
    unit = float(mean_bone(walk.world_mm, H36M_16).mean())
    apart = np.linalg.norm(found.joints - walk.world_mm / unit, axis=-1)[inner]
    assert apart.mean() < 0.2
    assert apart.max() < 0.4
    np.testing.assert_allclose(found.rig.centres - state.rig.centres[0], 0, atol=1e-12)
    assert sigma.shape == (VIEWS, 4)
    assert (sigma > 0).all()


def test_an_instant_whose_pose_was_lifted_wrongly_keeps_its_cameras(
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    bad, rows = 12, np.arange(4, FRAMES, 8)
    canonical = exact.canonical.copy()
    canonical[bad, :, :, 2] *= -1
    wrong = replace(exact, canonical=canonical)
    problem, state = adjusted(walk, exact, rows)
    found, _ = track_instants(wrong, rows, problem, state)
    off = angle_between(found.rig.view_from_world, walk.view_from_world)
    assert off[bad].max() < 0.6


def test_noise_of_three_pixels_shakes_followed_cameras_by_about_a_degree(
    walk: Rehearsed, exact: LiftedObservations
) -> None:
    noise = np.random.default_rng(0).normal(0, 3, exact.keypoints_px.shape)
    noisy = replace(exact, keypoints_px=(exact.keypoints_px + noise).astype(np.float32))
    rows = np.arange(4, FRAMES, 8)
    problem, state = adjusted(walk, noisy, rows)
    found, _ = track_instants(noisy, rows, problem, state)
    off = angle_between(found.rig.view_from_world, walk.view_from_world)
    assert off[4:-4].mean() < 1.3  # each instant by itself: 2.3


def test_free_cameras_are_expected_only_within_wide_deviations() -> None:
    rig = turning().rig
    prior = weak_prior(rig)
    assert prior.view_from_world is rig.view_from_world
    assert (prior.log_focal == rig.log_focal).all()
    assert float(np.degrees(prior.rotation_sigma)) > 20
    assert float(prior.focal_sigma) > np.log(1.5)
