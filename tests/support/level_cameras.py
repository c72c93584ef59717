"""Level cameras around a standing body, what is known of the body, and exact keypoints."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cvsf.multiview.reprojection import Real, WeightedKeypoints
from cvsf.multiview.residuals import BONE_SIGMA, LIFTER_SIGMA, bones_of, measures_of
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.reconstruction.pose_solver import BodyPrior
from cvsf.skeleton import H36M_16
from train.batches.probe_inputs import STANDING


def bent(k1: Sequence[float]) -> Real:
    """Distortions (V, 5) of lenses with these k1 and nothing else."""
    return np.asarray(np.array(k1)[:, None] * np.eye(5)[0], float)


def rotations_around(angle: npt.NDArray[np.floating]) -> Real:
    """`view_from_world` (V, 3, 3) of level cameras at these angles (rad) around the z axis."""
    level = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    return np.asarray(
        level @ rotation_from_vector(np.stack([0 * angle, 0 * angle, -angle], -1)), float
    )


def rig_around(angle: Real) -> Rig:
    """Cameras 25 bones from the origin, at these angles (rad) around it."""
    views, rotation = len(angle), rotations_around(angle)
    return Rig.pinhole(
        tuple(f"cam{view}" for view in range(views)),
        np.full((views, 2), 1000.0),
        view_from_world=rotation,
        centres=np.einsum("vji,j->vi", rotation, [0.0, 0.0, -25.0]),
        focal_px=np.full(views, 1500.0),
    )


def standing_body(*, symmetric: bool) -> Real:
    """Joints (J, 3) of a standing body; the mean bone is 1, left and right equal if `symmetric`."""
    body = np.array([STANDING[joint] for joint in H36M_16.joints])
    if symmetric:
        body = (body + body[list(H36M_16.mirrored)] * [1, -1, 1]) / 2
    return np.asarray(body / mean_bone(body, H36M_16))


def body_prior_of(body: Real, measured: Real, unit: float = 1.0) -> BodyPrior:
    """This lifted body (N, J, 3), with the bone lengths of the joints `measured` (N, J, 3)."""
    bones = bones_of(H36M_16)
    return BodyPrior(
        joint_set=H36M_16,
        bones=bones,
        lengths=unit * measures_of(measured, bones),
        body=unit * body,
        bone_sigma=unit * BONE_SIGMA,
        lifter_sigma=unit * LIFTER_SIGMA,
    )


def exact_keypoints(rig: Rig, joints: Real) -> WeightedKeypoints:
    """Projections of the joints (N, J, 3), of equal weight; every person is 300 px tall."""
    keypoints_px = rig.project(joints)
    return WeightedKeypoints(
        keypoints_px=keypoints_px,
        weight=np.ones(keypoints_px.shape[:-1]),
        extent_px=np.full(keypoints_px.shape[:2], 300.0),
        noise_share=0.01,
    )
