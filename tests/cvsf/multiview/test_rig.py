"""The cameras of a session: projection, distortion, moves."""

import numpy as np
import numpy.typing as npt
import pytest

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rig import CENTRE, COLUMNS, PRINCIPAL, RADIAL, Rig
from cvsf.skeleton import H36M_16
from tests.support.made_calibration import made_calibration, made_rig


@pytest.fixture(params=[None, 5], ids=["still", "panning"])
def found(request: pytest.FixtureRequest) -> Calibration:
    return made_calibration(made_rig(instants=request.param))


def some_joints(instants: int = 5) -> npt.NDArray[np.float64]:
    return np.random.default_rng(0).normal(0, 1, (instants, len(H36M_16), 3))


def test_joints_and_cameras_moved_together_give_the_same_pixels(found: Calibration) -> None:
    joints = some_joints()
    angle = 0.7
    around = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    around = np.concatenate([around, [[0, 0, 1.0]]])
    moved = found.rig.transformed(around, np.array([1.0, 2, 3]), 0.3)
    before, after = found.rig.project(joints), moved.project(0.3 * joints @ around.T + [1, 2, 3])
    assert np.allclose(before, after, atol=1e-6)


def test_a_point_off_the_axis_is_projected_by_the_camera_model_of_a_rig() -> None:
    rig, point = made_rig(radial=0.1), np.array([1.0, -2.0, 0.5])
    seen = rig.project(np.broadcast_to(point, (1, len(H36M_16), 3)))
    for view in range(3):
        x, y, z = rig.view_from_world[view] @ point + rig.translation[view]
        square = (x / z) ** 2 + (y / z) ** 2
        wanted = rig.focal_px[view] * (1 + 0.1 * square) * np.array([x, y]) / z + [960, 540]
        np.testing.assert_allclose(seen[0, view, 0], wanted)


def test_pixels_of_a_distorted_lens_are_taken_back_to_those_of_a_straight_one() -> None:
    bent, straight, joints = made_rig(radial=-0.2), made_rig(), some_joints()
    assert np.abs(bent.project(joints) - straight.project(joints)).max() > 1
    np.testing.assert_allclose(
        bent.undistorted(bent.project(joints)), straight.project(joints), atol=1e-6
    )
    through = straight.projection @ np.append(joints[0, 0], 1)
    np.testing.assert_allclose(
        through[:, :2] / through[:, 2:], straight.project(joints)[0, :, 0], atol=1e-9
    )


def test_panning_cameras_at_one_instant_are_those_that_stood_still_then() -> None:
    moving, joints = made_calibration(made_rig(instants=5)), some_joints()
    now = moving.rows(3)
    assert moving.rig.is_panning
    assert not now.rig.is_panning
    np.testing.assert_allclose(now.rig.project(joints)[3], moving.rig.project(joints)[3])
    np.testing.assert_allclose(moving.rig.centres, np.repeat(now.rig.centres[None], 5, 0))


def test_panning_cameras_are_extended_by_later_instants() -> None:
    whole: Rig = made_rig(instants=5)
    parts = [whole.rows(slice(0, 2)), whole.rows(slice(2, 3)), whole.rows(slice(3, 5))]
    again = parts[0].extended(parts[1:])
    assert (again.view_from_world == whole.view_from_world).all()
    assert (again.focal_px == whole.focal_px).all()


def test_a_step_moves_the_principal_point_in_pictures_and_k1_alone_bends() -> None:
    rig = made_rig()
    assert not rig.principal_shift.any()
    step = np.zeros((3, COLUMNS))
    step[1, PRINCIPAL], step[2, RADIAL], step[0, CENTRE] = [0.1, -0.05], 0.2, 1.0
    moved = rig.stepped(step)
    np.testing.assert_allclose(moved.principal_shift, [[0, 0], [0.1, -0.05], [0, 0]])
    np.testing.assert_allclose(moved.centre_px[1] - rig.centre_px[1], [192, -96])
    assert (moved.distortion == [[0] * 5, [0] * 5, [0.2, 0, 0, 0, 0]]).all()
    np.testing.assert_allclose(moved.centres[0] - rig.centres[0], 1.0)
