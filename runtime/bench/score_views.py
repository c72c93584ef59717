"""A session's poses against the truth: one view, all views, and what calibration would give.

Skeletons are compared in the axes of each view that saw the person: root-aligned at the one best
scale (N-MPJPE) and after the best similarity transform (P-MPJPE), then averaged over views and
instants.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.engine.engine import Engine
from cvsf.evaluation.metrics import n_mpjpe, p_mpjpe
from cvsf.messages import MultiviewPose
from cvsf.multiview.rotation import nearest_rotation
from cvsf.multiview.triangulation import projection_of, triangulate
from cvsf.session.calibrations import calibrations
from cvsf.session.reader import SessionReader
from cvsf.skeleton import Array

Real = npt.NDArray[np.float64]
Errors = dict[str, float]
SCORED = ("fused", "lifter_fused", "one_view", "calibrated_limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really happened at the instants of a session, N instants by V views."""

    joints_mm: Real  # (N, V, J, 3) in each camera's axes; NaN where it is not known
    view_from_world: Real  # (N, V, 3, 3)
    projection: Real  # (N, V, 3, 4) camera matrices from the world in mm


def score(
    engine: Engine,
    session: SessionReader,
    poses: Sequence[MultiviewPose],
    truth: Truth,
    joints: Sequence[int],
) -> dict[str, Errors]:
    """Over those joints, root-aligned at the hip: `fused` as clients got it, measured skeletons
    only; what the lifter alone makes of all views and of one; `calibrated_limit`.
    """
    root = engine.joint_set.index("hip")
    keypoints, confidence, image = _stacked(poses)
    seen = np.any(confidence > 0, axis=-1)
    lifted = engine.lift_many(keypoints, confidence, image)
    view_from_body = lifted["view_from_canonical"].astype(np.float64)
    one_view = np.einsum("nvij,nvkj->nvki", view_from_body, lifted["canonical"])
    fused = np.einsum("nvij,nkj->nvki", view_from_body, lifted["fused"])
    streamed = _streamed(session, poses, view_from_body, truth)
    world = triangulate(keypoints.astype(np.float64), confidence, truth.projection)
    triangulated = np.einsum("nvij,nkj->nvki", truth.view_from_world, world)
    counted = seen & (np.sum(seen, axis=1, keepdims=True) > 1)
    return {
        name: _errors(found, truth.joints_mm, counted, joints, root)
        for name, found in (
            ("fused", streamed),
            ("lifter_fused", fused),
            ("one_view", one_view),
            ("calibrated_limit", triangulated),
        )
    }


def read_truth(file: Any, rows: Any) -> Truth:
    """The truth of those rows of an open file."""
    rotation = file["camera_R"][rows].astype(np.float64)
    shift_mm = file["camera_t_mm"][rows].astype(np.float64)
    focal_px, centre_px = file["focal_px"][rows].astype(np.float64), file["image_px"] / 2
    return Truth(
        joints_mm=file["joints_mm"][rows].astype(np.float64),
        view_from_world=rotation,
        projection=projection_of(rotation, shift_mm, focal_px, centre_px).astype(np.float64),
    )


def _streamed(
    session: SessionReader, poses: Sequence[MultiviewPose], view_from_body: Real, truth: Truth
) -> Real:
    """Measured skeletons (N, V, J, 3) in the axes of the views: the world's by the cameras that
    held then, the body's by what the lifter says of each view; NaN where there is none.

    Where cameras pan, no session says how each looked at each instant: all skeletons of one world
    are turned alike, as they fit the truth best, and then seen by the true cameras.
    """
    rigs = {held.number: held.calibration.rig for held in calibrations(session)}
    sent = {s.instant: s for s in session.skeletons() if s.measured}
    cameras = sorted({camera for pose in poses for camera in pose.cameras})
    panned: dict[int, list[int]] = {}
    found = np.full((*view_from_body.shape[:2], poses[0].confidence.shape[1], 3), np.nan)
    for n, pose in enumerate(poses):
        skeleton = sent.get(pose.instant)
        if skeleton is None:
            continue
        turns = view_from_body[n]
        if skeleton.frame_of_reference == "world":
            rig = rigs[skeleton.calibration]
            if rig.is_panning:
                panned.setdefault(skeleton.calibration, []).append(n)
                found[n] = skeleton.joints
                continue
            known = [cameras.index(camera) for camera in rig.cameras]
            turns = np.full_like(turns, np.nan)
            turns[known] = rig.view_from_world
        found[n] = skeleton.joints @ np.swapaxes(turns, -1, -2)
    for rows in panned.values():
        found[rows] = _seen_truly(found[rows][:, 0], rows, truth)
    return found


def _seen_truly(joints: Real, rows: list[int], truth: Truth) -> Real:
    """Skeletons (n, J, 3) of a world turned as one to the true world, in the true views' axes."""
    views = truth.view_from_world[rows]
    local = truth.joints_mm[rows]
    away = (local - local[:, :, :1]) @ views  # of the hip, in the true world
    world = np.nan_to_num(np.nanmean(away, axis=1))
    ours = joints - joints[:, :1]
    turn = nearest_rotation(np.einsum("nji,njk->ik", world, ours))
    return np.asarray((ours @ turn.T)[:, None] @ np.swapaxes(views, -1, -2))


def _stacked(poses: Sequence[MultiviewPose]) -> tuple[Array, Array, Array]:
    """Keypoints, confidence and image sizes; a camera not yet known at an instant saw nobody."""
    cameras = sorted({camera for pose in poses for camera in pose.cameras})
    joints = poses[0].confidence.shape[1]
    keypoints = np.zeros((len(poses), len(cameras), joints, 2), np.float32)
    confidence, image = keypoints[..., 0].copy(), keypoints[:, :, 0].copy()
    for n, pose in enumerate(poses):
        views = [cameras.index(camera) for camera in pose.cameras]
        keypoints[n, views], confidence[n, views] = pose.keypoints_px, pose.confidence
        image[n, views] = pose.image_px
    return keypoints, confidence, image


def _errors(
    found: Real, truth: Real, counted: npt.NDArray[np.bool_], joints: Sequence[int], root: int
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
