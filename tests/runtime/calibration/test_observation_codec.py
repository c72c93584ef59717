"""One instant's observations, their bytes, and the order of their views."""

from dataclasses import replace

import numpy as np

from cvsf.messages import MultiviewPose, pack, unpack
from cvsf.multiview.observations import LiftedObservations
from cvsf.skeleton import H36M_16, joint_set
from runtime.calibration.observation_codec import arranged, from_map, joined, seen_now, to_map
from tests.support.filmed import Filmed, engine
from tests.support.material import make_pose


def test_observations_that_were_packed_and_unpacked_are_unchanged(take: Filmed) -> None:
    seen = take.observations.take(slice(3, 4))
    again = from_map(unpack(pack(to_map(seen)), trusted=True))
    assert again.cameras == seen.cameras
    assert again.t_s == seen.t_s
    for name in ("keypoints_px", "confidence", "canonical", "view_from_canonical"):
        assert np.array_equal(getattr(again, name), getattr(seen, name))


def test_cameras_that_come_and_go_keep_their_order(take: Filmed) -> None:
    seen = take.observations.take(slice(0, 1))
    two = seen.of_views([2, 0])
    whole = arranged(two, ("cam0", "cam1", "cam2"))
    assert np.array_equal(whole.keypoints_px[:, 2], seen.keypoints_px[:, 2])
    assert not whole.confidence[:, 1].any()
    assert not whole.image_px[:, 1].any()
    both = joined([_at(seen, 2.0), _at(two, 1.0)])
    assert both.cameras == seen.cameras
    assert both.t_s.tolist() == [1.0, 2.0]
    assert both.confidence.any(-1).sum(1).tolist() == [2, int(seen.confidence.any(-1).sum())]


def _at(seen: LiftedObservations, t_s: float) -> LiftedObservations:
    return replace(seen, t_s=np.array([t_s]))


def test_keypoints_of_another_joint_set_are_put_in_the_lifters_order() -> None:
    pose = make_pose(0)
    lifted = engine().lift(pose)
    same = seen_now(pose, lifted, H36M_16)
    assert np.array_equal(same.keypoints_px[0], pose.keypoints_px)
    assert same.t_s.tolist() == [pose.t_ns * 1e-9]
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
    found = seen_now(other, lifted, H36M_16)
    for joint in ("lknee", "rwrist", "lshoulder"):
        ours, theirs = H36M_16.index(joint), coco.index(joint)
        assert np.array_equal(found.keypoints_px[0, :, ours], other.keypoints_px[:, theirs])
