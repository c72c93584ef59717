"""One instant, its bytes, and the order of its views."""

from dataclasses import replace

import numpy as np

from cvsf.messages import MultiviewPose, pack, unpack
from cvsf.skeleton import H36M_16, joint_set
from runtime.calibration.observation_codec import LiftedPose, from_map, lifted_pose, stack, to_map
from tests.support.filmed import Filmed, engine
from tests.support.instants import instants_of
from tests.support.material import make_pose


def test_an_instant_that_was_packed_and_unpacked_is_unchanged(take: Filmed) -> None:
    seen = instants_of(take.observations)[3]
    again = from_map(unpack(pack(to_map(seen)), trusted=True))
    assert again.pose.cameras == seen.pose.cameras
    assert again.t_s == seen.t_s
    for name in ("keypoints_px", "confidence", "image_px"):
        assert np.array_equal(getattr(again.pose, name), getattr(seen.pose, name))
    for name in ("canonical", "view_from_canonical"):
        assert np.array_equal(getattr(again, name), getattr(seen, name))


def test_cameras_that_come_and_go_keep_their_order(take: Filmed) -> None:
    seen = instants_of(take.observations)[0]
    two = seen.arranged(("cam2", "cam0"))
    whole = two.arranged(("cam0", "cam1", "cam2"))
    assert np.array_equal(whole.pose.keypoints_px[2], seen.pose.keypoints_px[2])
    assert np.array_equal(whole.canonical[2], seen.canonical[2])
    assert not whole.pose.confidence[1].any()
    assert not whole.pose.image_px[1].any()
    both = stack([_at(seen, 2), _at(two, 1)])
    assert both.cameras == seen.pose.cameras
    assert both.t_s.tolist() == [1.0, 2.0]
    assert both.confidence.any(-1).sum(1).tolist() == [2, seen.views]


def _at(seen: LiftedPose, second: int) -> LiftedPose:
    return replace(seen, pose=replace(seen.pose, t_ns=second * 10**9))


def test_stacked_instants_are_the_take_that_they_came_from(take: Filmed) -> None:
    stacked, wanted = stack(instants_of(take.observations)), take.observations
    assert stacked.cameras == wanted.cameras
    np.testing.assert_allclose(stacked.t_s, wanted.t_s, atol=1e-9)
    for name in ("image_px", "keypoints_px", "confidence", "canonical", "view_from_canonical"):
        assert np.array_equal(getattr(stacked, name), getattr(wanted, name))
    left_out = stack(instants_of(wanted), ("cam1", "cam9"), without=("cam1",))
    assert left_out.cameras == ("cam1", "cam9")
    assert not left_out.confidence.any()


def test_keypoints_of_another_joint_set_are_put_in_the_lifters_order() -> None:
    pose = make_pose(0)
    lifted = engine().lift(pose)
    same = lifted_pose(pose, lifted, H36M_16)
    assert np.array_equal(same.pose.keypoints_px, pose.keypoints_px)
    assert same.t_s == pose.t_ns * 1e-9
    coco = joint_set("coco-17")
    other = MultiviewPose(
        t_ns=pose.t_ns,
        instant=0,
        cameras=pose.cameras,
        image_px=pose.image_px,
        keypoints_px=np.arange(2 * 17 * 2, dtype=np.float32).reshape(2, 17, 2),
        confidence=np.ones((2, 17), np.float32),
        joint_set="coco-17",
    )
    found = lifted_pose(other, lifted, H36M_16)
    for joint in ("lknee", "rwrist", "lshoulder"):
        ours, theirs = H36M_16.index(joint), coco.index(joint)
        assert np.array_equal(found.pose.keypoints_px[:, ours], other.keypoints_px[:, theirs])
