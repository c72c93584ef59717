"""Cameras found from the first second, improved in the same world, found again when knocked."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cvsf.calibration.metric_scale import Scale
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.reconstruction.reconstruct import reconstruct
from cvsf.session.calibrations import CalibrationUpdate
from runtime.calibration.live_lenses import LiveLenses
from runtime.calibration.online_calibrator import OnlineCalibrator
from tests.support.filmed import HZ, SIZE, Filmed, rooted_mm
from tests.support.instants import instants_of
from tests.support.lenses import made_lens

STATURE_M = 1.75


def _shown(
    calibrator: OnlineCalibrator, seen: LiftedObservations, first: int, last: int
) -> list[CalibrationUpdate]:
    """The updates while the instants come in, as soon as there are any."""
    found = []
    for instant in instants_of(seen)[first:last]:
        calibrator.add(instant)
        found += calibrator.update()
    return found


def _begun(take: Filmed, seconds: float) -> list[CalibrationUpdate]:
    calibrator = OnlineCalibrator()
    calibrator.scale = Scale(height_m=STATURE_M)
    return _shown(calibrator, take.observations, 0, round(seconds * HZ))


@pytest.mark.slow
def test_a_second_of_movement_gives_metres_and_more_of_it_stays_in_the_same_world(
    take: Filmed,
) -> None:
    found = _begun(take, 5.5)
    assert [one.cause for one in found[:2]] == ["first", "better"]
    assert found[0].calibration.instants <= 2 * HZ
    assert {one.calibration.scale_source for one in found} == {"height"}
    still = take.observations.take(slice(0, round(5.5 * HZ)))
    placed = [reconstruct(still, one.calibration).joints for one in found]
    errors = [rooted_mm(joints, take.joints[: len(joints)]) for joints in placed]
    assert errors[0] < 45
    assert errors[-1] < 25
    steps = [np.linalg.norm(b[:, 0] - a[:, 0], axis=-1).mean() for a, b in pairwise(placed)]
    assert max(steps) < 0.3, "the skeleton does not jump"
    assert placed[-1][:, 0, 2].mean() == pytest.approx(0.9, abs=0.3), "the ground is at 0"


def test_a_knocked_camera_is_found_in_its_new_place(take: Filmed, known: Calibration) -> None:
    calibrator = OnlineCalibrator()
    calibrator.resume(known)
    knocked_s = float(take.observations.t_s[6 * HZ])
    assert _shown(calibrator, take.observations, 5 * HZ, 6 * HZ + 10) == []
    calibrator.camera_moved("cam2", knocked_s)
    found = _shown(calibrator, take.observations, 6 * HZ + 10, 7 * HZ + 10)
    assert found[0].cause == "moved"
    assert found[0].moved == ("cam2",)
    before, after = known.rig, found[0].calibration.rig
    turn = after.view_from_world[2] @ before.view_from_world[2].T
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(5, abs=0.5)
    assert np.array_equal(after.view_from_world[:2], before.view_from_world[:2])


def test_observations_without_a_solution_give_a_reason_and_no_calibration(take: Filmed) -> None:
    calibrator = OnlineCalibrator()
    one = instants_of(take.observations)[0]
    alone = one.arranged(one.pose.cameras, without=one.pose.cameras[1:])
    for _ in range(40):
        calibrator.add(alone)
    assert calibrator.update() == []
    assert calibrator.reason == ""
    wild = take.observations.take(slice(0, 60))
    noise = np.random.default_rng(0).uniform(0, 480, wild.keypoints_px.shape).astype(np.float32)
    for instant in instants_of(replace(wild, keypoints_px=noise)):
        calibrator.add(instant)
    assert calibrator.update() == []
    assert calibrator.reason
    assert calibrator.new_refusal


def test_a_known_lens_is_used_and_one_that_is_wrong_is_said(take: Filmed) -> None:
    cameras, focal_px = take.observations.cameras, [view.focal_px for view in take.views]
    size = (float(SIZE[0]), float(SIZE[1]))
    right = [made_lens(f, size, ()) for f in focal_px]
    right[3] = made_lens(1.25 * focal_px[3], size, ())
    calibrator = OnlineCalibrator()
    calibrator.lenses = LiveLenses(dict(zip(cameras, right, strict=True)))
    for instant in instants_of(take.observations)[: 3 * HZ]:
        calibrator.add(instant)
    (found,) = calibrator.update()
    rig = found.calibration.rig
    np.testing.assert_allclose(rig.focal_px[:3], focal_px[:3], rtol=2e-3)
    assert rig.focal_px[3] != pytest.approx(1.25 * focal_px[3], rel=0.1)
    assert list(found.calibration.lenses) == [cameras[3]]
