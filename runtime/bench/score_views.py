"""A session's poses against the truth: one view, all views, and triangulation with true cameras.

Skeletons are compared in the axes of each view that detected the person: root-aligned at the
one best scale (N-MPJPE) and after the best similarity transform (P-MPJPE), then averaged over views
and instants.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.engine.engine import Engine
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.evaluation.metrics import n_mpjpe, p_mpjpe
from cvsf.messages import MultiviewPose
from cvsf.multiview.rotation import nearest_rotation
from cvsf.multiview.triangulation import triangulate
from cvsf.session.calibrations import calibrations
from cvsf.session.pose_stack import stack_poses
from cvsf.session.reader import SessionReader
from cvsf.skeleton import H36M_16

Real = npt.NDArray[np.floating[Any]]
Errors = dict[str, float]
SCORED = ("fused", "lifter_fused", "one_view", "calibrated_limit")


def score(
    engine: Engine,
    session: SessionReader,
    poses: Sequence[MultiviewPose],
    truth: GroundTruth,
) -> dict[str, Errors]:
    """Errors of the poses of a session, by key, root-aligned at the hip in each view's axes.

    Each value is a map of `n_mpjpe_mm` and `p_mpjpe_mm`, means in mm. `fused` is of the measured
    skeletons that clients got, `lifter_fused` and `one_view` of the lifter alone,
    `calibrated_limit` of triangulation with the true cameras. Only instants with the person
    detected in two views or more count; NaN if there is none. `truth` has a row for each pose, and
    must know joints and cameras (AssertionError).
    """
    assert truth.joints_mm is not None
    assert truth.rig is not None
    root = engine.joint_set.index("hip")
    observations = stack_poses(poses, engine.joint_set)
    keypoints, confidence = observations.keypoints_px, observations.confidence
    detected = np.any(confidence > 0, axis=-1)
    lifted = engine.lift_many(keypoints, confidence, observations.image_px)
    view_from_body = lifted["view_from_canonical"].astype(np.float64)
    one_view = np.einsum("nvij,nvkj->nvki", view_from_body, lifted["canonical"])
    fused = np.einsum("nvij,nkj->nvki", view_from_body, lifted["fused"])
    streamed = _streamed(session, poses, view_from_body, truth)
    world = triangulate(keypoints.astype(np.float64), confidence, truth.rig.projection)
    triangulated = np.einsum("nvij,nkj->nvki", truth.rig.view_from_world, world)
    counted = detected & (np.sum(detected, axis=1, keepdims=True) > 1)
    return {
        name: _errors(found, truth.joints_mm, counted, truth.scored, root)
        for name, found in (
            ("fused", streamed),
            ("lifter_fused", fused),
            ("one_view", one_view),
            ("calibrated_limit", triangulated),
        )
    }


def _streamed(
    session: SessionReader, poses: Sequence[MultiviewPose], view_from_body: Real, truth: GroundTruth
) -> Real:
    """Measured skeletons (N, V, J, 3) in the axes of the views, NaN where there is none.

    Skeletons in the world are rotated by the cameras in use at the time, those in the body's frame
    by the lifter's rotation of each view. A session does not hold the rotations of cameras that
    pan: there, one rotation aligns all skeletons of one world with the truth, and the true cameras
    rotate them into the views.
    """
    rigs = {held.number: held.calibration.rig for held in calibrations(session)}
    sent = {s.instant: s for s in session.skeletons() if s.measured}
    cameras = sorted({camera for pose in poses for camera in pose.cameras})
    panning: dict[int, list[int]] = {}
    found = np.full((*view_from_body.shape[:2], len(H36M_16), 3), np.nan)
    for n, pose in enumerate(poses):
        skeleton = sent.get(pose.instant)
        if skeleton is None:
            continue
        rotations = view_from_body[n]
        if skeleton.frame_of_reference == "world":
            rig = rigs[skeleton.calibration]
            if rig.is_panning:
                panning.setdefault(skeleton.calibration, []).append(n)
                found[n] = skeleton.joints
                continue
            known = [cameras.index(camera) for camera in rig.cameras]
            rotations = np.full_like(rotations, np.nan)
            rotations[known] = rig.view_from_world
        found[n] = skeleton.joints @ np.swapaxes(rotations, -1, -2)
    for rows in panning.values():
        found[rows] = _in_true_views(found[rows][:, 0], rows, truth)
    return found


def _in_true_views(joints: Real, rows: list[int], truth: GroundTruth) -> Real:
    """Skeletons (n, J, 3) of one world, rotated as one onto the true world, in the true views."""
    assert truth.joints_mm is not None
    assert truth.rig is not None
    views, local = truth.rig.view_from_world[rows], truth.joints_mm[rows]
    away = (local - local[:, :, :1]) @ views  # from the hip, in the true world
    world = np.nan_to_num(np.nanmean(away, axis=1))
    ours = joints - joints[:, :1]
    rotation = nearest_rotation(np.einsum("nji,njk->ik", world, ours))
    return np.asarray((ours @ rotation.T)[:, None] @ np.swapaxes(views, -1, -2))


def _errors(
    found: Real,
    truth: npt.NDArray[np.floating[Any]],
    counted: npt.NDArray[np.bool_],
    joints: Sequence[int],
    root: int,
) -> Errors:
    """Mean over the counted views of the instants where the root and most joints are known."""
    a, b = found[counted], truth[counted]
    a, b = a - a[:, root : root + 1], b - b[:, root : root + 1]
    a, b = a[:, joints], b[:, joints]
    known = np.logical_and(np.isfinite(a).all(-1), np.isfinite(b).all(-1))
    whole = known.sum(1) > len(joints) // 2
    a, b = np.where(known[..., None], a, 0.0)[whole], np.where(known[..., None], b, np.nan)[whole]
    if not len(a):
        return {"n_mpjpe_mm": float("nan"), "p_mpjpe_mm": float("nan")}
    return {
        "n_mpjpe_mm": round(float(n_mpjpe(a, b, root=None).mean()), 2),
        "p_mpjpe_mm": round(float(p_mpjpe(a, b).mean()), 2),
    }
