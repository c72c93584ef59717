"""The upright world of metres: scale, up, origin and heading."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.world_frame import find_world_frame, stature_of, to_world_frame
from cvsf.multiview.body import Body
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rig import Rig
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.skeleton import H36M_16
from tests.support.made_calibration import calibration_of

VIEWS, FRAMES, STATURE = 4, 60, 1.8
SHARES = {"ankle": 0.039, "knee": 0.285, "hip": 0.53, "shoulder": 0.818}


def athlete() -> np.ndarray:
    """Joints (N, J, 3) of somebody 1.8 m tall who walks 3 m along y from (2, 1) on ground 0.5."""
    across = {"hip": 0.1, "knee": 0.1, "ankle": 0.1, "shoulder": 0.2, "elbow": 0.2, "wrist": 0.2}
    height = SHARES | {"elbow": 0.818 - 0.186, "wrist": 0.818 - 0.186 - 0.146, "spine": 0.674}
    pose = np.zeros((len(H36M_16), 3))
    for row, joint in enumerate(H36M_16.joints):
        side = {"l": -1.0, "r": 1.0}.get(joint[0], 0.0) if joint[1:] in across else 0.0
        name = joint[1:] if side else joint
        share = {"thorax": 0.818, "head": 1.0}.get(name, height.get(name, 0.53))
        pose[row] = [side * across.get(name, 0.0), 0, share * STATURE]
    stride = np.linspace(0, 3, FRAMES)
    path = np.column_stack([np.full(FRAMES, 2.0), 1 + stride, np.full(FRAMES, 0.5)])
    return np.asarray(pose + path[:, None])


def cameras(roll: float = 0.0) -> Rig:
    """Four around the athlete, 1.5 m above the ground; the first looks north."""
    around = 2 * np.pi / VIEWS * np.arange(VIEWS) - np.pi / 2
    eyes = np.stack([2 + 6 * np.cos(around), 2.5 + 6 * np.sin(around), np.full(VIEWS, 2.0)], -1)
    ahead = np.stack([-np.cos(around), -np.sin(around), np.full(VIEWS, -0.1)], -1)
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    right = np.cross(ahead, [0, 0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    turn = np.stack([right, np.cross(ahead, right), ahead], 1)
    turn = Rotation.from_rotvec([[0, 0, roll * v] for v in (1, -1, 1, -1)]).as_matrix() @ turn
    return Rig(
        cameras=tuple(f"cam{v}" for v in range(VIEWS)),
        image_px=np.full((VIEWS, 2), 1000.0),
        view_from_world=turn,
        translation=-np.einsum("vij,vj->vi", turn, eyes),
        focal_px=np.full(VIEWS, 900.0),
        centre_px=np.full((VIEWS, 2), 500.0),
        distortion=np.zeros((VIEWS, 5)),
        delay_s=np.zeros(VIEWS),
    )


def found(joints: np.ndarray, rig: Rig) -> tuple[Calibration, Reconstruction]:
    """What a calibration would hold: some other world of another size, and the skeletons in it."""
    turn = Rotation.from_rotvec([1.0, -0.7, 2.0]).as_matrix()
    shift, size = np.array([3.0, -1, 2]), 3.7
    start, end = np.array(H36M_16.bones).T
    bones = np.linalg.norm(joints[:, end] - joints[:, start], axis=-1).mean(0)
    calibration = calibration_of(
        rig.transformed(turn, shift, size),
        body=Body(joint_set=H36M_16, bones=size * bones),
        instants=FRAMES,
    )
    placed = Reconstruction(
        joints=size * joints @ turn.T + shift,
        deviation=np.full(joints.shape[:2], 0.01 * size),
        views_seen=np.full(joints.shape[:2], VIEWS),
        residual_share=np.zeros((len(joints), VIEWS)),
    )
    return calibration, placed


def test_the_world_is_metres_with_the_ground_at_zero_and_y_where_the_first_camera_looks() -> None:
    joints, rig = athlete(), cameras()
    calibration, placed = found(joints, rig)
    here = find_world_frame(calibration, placed, Scale(height_m=STATURE))
    there = joints - [2.0, 1.0 + 3 * 4.5 / (FRAMES - 1), 0.5]  # under the first ten instants
    np.testing.assert_allclose(here.points(placed.joints), there, atol=2e-3)
    upright = to_world_frame(calibration, placed, Scale(height_m=STATURE))
    assert upright.scale_source == "height"
    np.testing.assert_allclose(upright.rig.centres[:, 2], 1.5, atol=2e-3)
    np.testing.assert_allclose(upright.rig.project(there), rig.project(joints), atol=1.0)


def test_a_bone_or_a_camera_distance_gives_the_same_metres() -> None:
    joints, rig = athlete(), cameras()
    calibration, placed = found(joints, rig)
    apart = float(np.linalg.norm(rig.centres[2] - rig.centres[0]))
    for scale, source in (
        (Scale(bone=("thigh", 0.245 * STATURE)), "bone"),
        (Scale(cameras=("cam0", "cam2", apart)), "distance"),
    ):
        here = find_world_frame(calibration, placed, scale)
        assert here.source == source
        assert here.scale == pytest.approx(1 / 3.7, rel=1e-6)


def test_an_athlete_of_unknown_height_is_scaled_as_an_adult() -> None:
    calibration, placed = found(athlete(), cameras())
    assert find_world_frame(calibration, placed, Scale()).source == "adult"
    upright = to_world_frame(calibration, placed, Scale())
    assert stature_of(upright.body, placed.views_seen) == pytest.approx(1.7)


def test_the_stature_without_a_head_is_found_from_limbs_despite_one_wrong_bone() -> None:
    joints = athlete()
    calibration, placed = found(joints, cameras())
    placed.views_seen[:, H36M_16.index("head")] = 0
    bones = calibration.body.bones.copy()
    bones[H36M_16.bones.index((H36M_16.index("lelbow"), H36M_16.index("lwrist")))] *= 2
    body = replace(calibration.body, bones=bones)
    assert stature_of(body, placed.views_seen) == pytest.approx(3.7 * STATURE, rel=0.01)


def test_up_is_found_with_rolled_cameras_or_an_athlete_who_lies_or_leans() -> None:
    for pose, roll in (("upright", 0.04), ("lying", 0.0), ("leaning", 0.0)):
        joints = athlete()
        tilt = {"upright": 0.0, "lying": np.pi / 2, "leaning": 0.6}[pose]
        root = joints[:, :1].copy()
        joints = (joints - root) @ Rotation.from_rotvec([tilt, 0, 0]).as_matrix().T + root
        calibration, placed = found(joints, cameras(roll))
        here = find_world_frame(calibration, placed, Scale(height_m=STATURE))
        up = here.R @ Rotation.from_rotvec([1.0, -0.7, 2.0]).as_matrix()[:, 2]
        assert np.degrees(np.arccos(up[2])) < 1.5, pose


def test_cameras_side_by_side_find_up_from_the_body() -> None:
    calibration, placed = found(athlete(), cameras())
    rig = calibration.rig
    twins = replace(
        rig,
        view_from_world=np.stack([rig.view_from_world[0]] * VIEWS),
        translation=np.stack([rig.translation[0]] * VIEWS),
    )
    here = find_world_frame(replace(calibration, rig=twins), placed, Scale())
    up = here.R @ Rotation.from_rotvec([1.0, -0.7, 2.0]).as_matrix()[:, 2]
    assert np.degrees(np.arccos(up[2])) < 5


def test_panning_cameras_are_placed_in_the_world_like_still_ones() -> None:
    joints, rig = athlete(), cameras()
    pan = Rotation.from_rotvec(np.linspace(-0.3, 0.3, FRAMES)[:, None] * [0, 0, 1]).as_matrix()
    turning = rig.view_from_world @ pan[:, None]
    moving = replace(
        rig,
        view_from_world=turning,
        translation=-np.einsum("nvij,vj->nvi", turning, rig.centres),
        focal_px=np.full((FRAMES, VIEWS), 900.0),
    )
    calibration, placed = found(joints, moving)
    upright = to_world_frame(calibration, placed, Scale(cameras=("cam0", "cam2", 12.0)))
    np.testing.assert_allclose(upright.rig.centres[:, :, 2], 1.5, atol=5e-3)


def test_skeletons_are_moved_and_scaled_with_their_world() -> None:
    calibration, placed = found(athlete(), cameras())
    here = find_world_frame(calibration, placed, Scale(height_m=STATURE))
    there = here.reconstruction(placed)
    np.testing.assert_allclose(there.deviation, 0.01, rtol=1e-3)
    np.testing.assert_allclose(there.joints, here.points(placed.joints))


def test_a_scale_that_is_no_length_or_a_bone_nobody_saw_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a length"):
        Scale(height_m=-1.7)
    with pytest.raises(ValueError, match="expected only one"):
        Scale(height_m=1.7, bone=("thigh", 0.4))
    calibration, placed = found(athlete(), cameras())
    with pytest.raises(ValueError, match="expected one of thigh"):
        to_world_frame(calibration, placed, Scale(bone=("nose", 0.1)))
    with pytest.raises(ValueError, match="the distance of cam0 and top is given, but top is not"):
        to_world_frame(calibration, placed, Scale(cameras=("cam0", "top", 7.5)))
    placed.views_seen[:] = 1
    with pytest.raises(ValueError, match="thigh was not observed by two cameras"):
        to_world_frame(calibration, placed, Scale(bone=("thigh", 0.4)))
