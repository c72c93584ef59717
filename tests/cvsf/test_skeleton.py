"""Joint sets and how one is read as another."""

import numpy as np
import pytest

from cvsf.skeleton import (
    COCO_17,
    H36M_16,
    H36M_17,
    HALPE_26,
    JOINT_SETS,
    JointSet,
    joint_set,
    remap,
)


@pytest.mark.parametrize("joints", JOINT_SETS.values(), ids=JOINT_SETS)
def test_mirroring_twice_changes_nothing_and_swaps_every_sided_joint(joints: JointSet) -> None:
    order = np.array(joints.mirrored)
    assert (order[order] == np.arange(len(joints))).all()
    assert joints.joints[order[joints.index("lwrist")]] == "rwrist"
    assert joints.mirrored[joints.index("rknee")] == joints.index("lknee")


@pytest.mark.parametrize("joints", JOINT_SETS.values(), ids=JOINT_SETS)
def test_limbs_are_the_moving_joints_of_both_arms_and_of_both_legs(joints: JointSet) -> None:
    arms, legs = ({joints.joints[joint] for joint in limb} for limb in joints.limbs)
    assert arms == {"lelbow", "relbow", "lwrist", "rwrist"}
    assert legs >= {"lknee", "rknee", "lankle", "rankle"}
    assert not any("hip" in joint for joint in legs)


@pytest.mark.parametrize("joints", JOINT_SETS.values(), ids=JOINT_SETS)
def test_every_joint_is_an_end_of_a_bone(joints: JointSet) -> None:
    named = {i for bone in joints.bones for i in bone}
    assert named == set(range(len(joints)))


def test_coco_keypoints_remapped_for_the_lifter_get_midpoints_and_no_head() -> None:
    points = np.arange(len(COCO_17) * 2, dtype=float).reshape(1, -1, 2)
    sure = np.linspace(0.1, 0.9, len(COCO_17))[None]
    got, confidence = remap(points, sure, COCO_17.joints, H36M_16.joints)
    left, right = COCO_17.index("lhip"), COCO_17.index("rhip")
    hip, head = H36M_16.index("hip"), H36M_16.index("head")
    np.testing.assert_allclose(got[0, hip], (points[0, left] + points[0, right]) / 2)
    assert confidence[0, hip] == pytest.approx(min(sure[0, left], sure[0, right]))
    assert confidence[0, head] == 0
    spine, thorax = H36M_16.index("spine"), H36M_16.index("thorax")
    np.testing.assert_allclose(got[0, spine], (got[0, hip] + got[0, thorax]) / 2)


def test_a_joint_that_both_sets_have_is_remapped_unchanged() -> None:
    points = np.random.default_rng(0).normal(size=(4, len(HALPE_26), 2))
    got, confidence = remap(points, np.ones((4, len(HALPE_26))), HALPE_26.joints, H36M_16.joints)
    np.testing.assert_allclose(
        got[:, H36M_16.index("head")], points[:, HALPE_26.index("head")], rtol=1e-6
    )
    assert (confidence == 1).all()
    back, _ = remap(got, confidence, H36M_16.joints, H36M_17.joints)
    assert back.shape == (4, len(H36M_17), 2)


def test_an_unknown_joint_or_set_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'tail'"):
        remap(np.zeros((1, 2)), np.zeros(1), ["tail"], H36M_16.joints)
    with pytest.raises(ValueError, match="'h36m-99'"):
        joint_set("h36m-99")
