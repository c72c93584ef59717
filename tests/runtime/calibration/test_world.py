"""Skeletons among the cameras that hold: measured, predicted, and with a camera that moved."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.world_frame import to_world_frame
from cvsf.messages import MultiviewPose, Skeleton
from cvsf.multiview.calibration import Calibration
from cvsf.reconstruction.reconstruct import reconstruct
from cvsf.session.calibrations import CalibrationUpdate
from runtime.calibration.known_cameras import KnownCameras
from runtime.calibration.world import World
from runtime.lifting.lift import lift
from tests.support.filmed import HZ, Filmed, engine, film_skier, rooted_mm

BUMP_S = 5.0


@pytest.fixture(scope="module")
def take() -> Filmed:
    return film_skier(9, knock=(1, -5.0, BUMP_S), seed=1_000_004)


@pytest.fixture(scope="module")
def cameras(take: Filmed) -> Calibration:
    seen = take.observations.take(slice(0, round(BUMP_S * HZ)))
    found = calibrate(seen)
    return to_world_frame(found, reconstruct(seen, found), Scale(height_m=1.75))


def _world(cameras: Calibration) -> World:
    return World(KnownCameras([CalibrationUpdate(calibration=cameras, cause="known")]))


def _reconstructed(world: World, pose: MultiviewPose) -> Skeleton | None:
    lifted, skeleton = lift(engine(), pose, 0) or (None, None)
    return world.reconstruct(pose, lifted, skeleton) if lifted and skeleton else None


def _blind(pose: MultiviewPose, *views: int) -> MultiviewPose:
    confidence = pose.confidence.copy()
    confidence[list(views)] = 0
    return replace(pose, confidence=confidence)


def test_without_cameras_a_skeleton_stays_in_the_bodys_own_frame(take: Filmed) -> None:
    for world in (World(None), World(KnownCameras([]))):
        skeleton = _reconstructed(world, take.poses()[0])
        assert skeleton is not None
        assert (skeleton.frame_of_reference, skeleton.scale_source) == ("canonical", "unit")
        assert skeleton.calibration == 0
        assert world.about() is None
        world.close()
    assert World(None).stats().to_map() == {"world": None}
    assert "waiting_for" in World(KnownCameras([])).stats().to_map()["world"]


def test_with_cameras_it_is_in_metres_where_the_skier_is(
    take: Filmed, cameras: Calibration
) -> None:
    updates: list[CalibrationUpdate] = []
    world = World(
        KnownCameras([CalibrationUpdate(calibration=cameras, cause="known")]), updates.append
    )
    skeletons = [_reconstructed(world, pose) for pose in take.poses()[: 4 * HZ]]
    assert all(s is not None and s.measured for s in skeletons)
    joints = np.array([s.joints for s in skeletons if s], np.float64)
    assert rooted_mm(joints, take.joints[: len(joints)]) < 25
    first = skeletons[0]
    assert first is not None
    assert (first.frame_of_reference, first.scale_source) == ("world", "height")
    assert first.calibration == updates[0].number == 1
    about = world.about()
    assert about is not None
    assert set(about["cameras"]) == {"cam0", "cam1", "cam2", "cam3"}
    assert about["number"] == 1
    travelled = np.linalg.norm(np.diff(joints[:, 0], axis=0), axis=-1).sum()
    truly = np.linalg.norm(np.diff(take.joints[: len(joints), 0], axis=0), axis=-1).sum()
    assert travelled == pytest.approx(truly, rel=0.06), "the root track is the skier's way"


def test_one_view_gives_a_whole_skeleton_flagged_and_less_sure(
    take: Filmed, cameras: Calibration
) -> None:
    world = _world(cameras)
    poses = take.poses()
    sure = [_reconstructed(world, pose) for pose in poses[:40]]
    alone = [_reconstructed(world, _blind(pose, 0, 1, 3)) for pose in poses[40:70]]
    assert all(s is not None and not s.measured and s.views == ("cam2",) for s in alone)
    assert all(s is not None and np.isfinite(s.joints).all() for s in alone)
    mean = [np.mean([s.confidence.mean() for s in group if s]) for group in (sure, alone)]
    assert mean[1] < 0.6 * mean[0]
    joints = np.array([s.joints for s in [*sure, *alone] if s], np.float64)
    steps = np.linalg.norm(np.diff(joints[:, 0], axis=0), axis=-1)
    assert steps.max() < 0.6, "the root does not jump when views go"
    assert rooted_mm(joints[40:], take.joints[40:70]) < 130
    assert _reconstructed(world, _blind(poses[70], 0, 1, 2, 3)) is None


def test_a_view_of_a_single_joint_does_not_displace_the_skeleton(
    take: Filmed, cameras: Calibration
) -> None:
    world = _world(cameras)
    for pose in take.poses()[:20]:
        confidence = pose.confidence.copy()
        confidence[2, 1:] = 0
        whole = _reconstructed(world, replace(pose, confidence=confidence))
        assert whole is not None
        assert np.linalg.norm(whole.joints - whole.joints[0], axis=-1).max() < 1.5
        confidence[[0, 1, 3]] = 0
        assert _reconstructed(world, replace(pose, confidence=confidence)) is None


@pytest.mark.slow
def test_a_knocked_camera_is_left_out_within_a_second_and_the_rest_go_on(
    take: Filmed, cameras: Calibration
) -> None:
    world = _world(cameras)
    skeletons = [_reconstructed(world, pose) for pose in take.poses()]
    knocked = round(BUMP_S * HZ)
    used = ["cam1" in s.views for s in skeletons if s]
    assert all(used[:knocked])
    assert not any(used[knocked + HZ :])
    assert world.moves == 1
    assert world.stats().to_map()["world"]["moved"] == ["cam1"]
    about = world.about()
    assert about is not None
    assert [c for c, told in about["cameras"].items() if told["moved"]] == ["cam1"]
    joints = np.array([s.joints for s in skeletons[knocked + HZ :] if s], np.float64)
    assert rooted_mm(joints, take.joints[knocked + HZ :]) < 25


@pytest.mark.slow
def test_a_camera_turned_back_is_used_again(take: Filmed, cameras: Calibration) -> None:
    world = _world(cameras)
    poses = take.poses()
    for pose in poses[: round((BUMP_S + 1) * HZ)]:
        _reconstructed(world, pose)
    assert world.stats().to_map()["world"]["moved"] == ["cam1"]
    for n, pose in enumerate(poses[:HZ]):  # as it stood at first
        last = _reconstructed(world, replace(pose, t_ns=poses[-1].t_ns + n * 10**9 // HZ))
    assert world.stats().to_map()["world"]["moved"] == []
    assert last is not None
    assert "cam1" in last.views


def test_two_cameras_that_disagree_leave_no_calibration(take: Filmed, cameras: Calibration) -> None:
    world = _world(cameras)
    for pose in take.poses():
        last = _reconstructed(world, _blind(pose, 0, 3))
    assert last is not None
    assert last.frame_of_reference == "canonical", "of two, nobody can say which has moved"
    assert world.current is None
