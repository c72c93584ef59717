"""A session's world skeletons against the truth, after one rigid alignment of the whole session.

No scale is fitted: a wrong metre is an error. Predicted skeletons are scored separately.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.evaluation.ground_truth import GroundTruth, read_ground_truth
from cvsf.evaluation.truth_rows import truth_rows
from cvsf.messages import MultiviewPose, Skeleton
from cvsf.multiview.rotation import Similarity, align
from cvsf.multiview.triangulation import triangulate
from cvsf.session.pose_stack import stack_poses
from cvsf.session.reader import SessionReader
from cvsf.shapes import Bool, Float
from cvsf.skeleton import H36M_16

Real = npt.NDArray[np.float64]

_VISIBLE = 0.5
"""Share of the joints that must be visible in a view for the person to count as in it; a guess, not
measured."""
_RECOVERED_S = 1.0
"""A camera is recovered when it has been used for so long; a guess, not measured."""
_WORLD = "world"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSession:
    """The N instants of a session that the truth knows."""

    t_s: Float[Real, "N"]  # hub clock
    poses: list[MultiviewPose]
    skeletons: list[Skeleton | None]
    truth: GroundTruth
    in_view: Bool[npt.NDArray[np.bool_], "N V"]  # the person is in its picture
    moved: Bool[
        npt.NDArray[np.bool_], "N V"
    ]  # its rotation differs from that of its first exposure
    limit_mm: Float[Real, "N J 3"]  # triangulated with the true cameras

    @property
    def world(self) -> Float[Real, "N J 3"]:
        """The true joints in metres, in the world frame of the ground truth, a row for each
        instant.
        """
        return self.truth.world_mm / 1e3

    def rows(self, *, measured: bool) -> list[int]:
        """Row numbers of the instants with a skeleton in the world frame, in order of time.

        Either the measured or the predicted ones; empty if there is none.
        """
        return [
            n
            for n, s in enumerate(self.skeletons)
            if s and s.frame_of_reference == _WORLD and s.measured is measured
        ]

    def joints(self, rows: list[int]) -> Float[Real, "rows J 3"]:
        """The skeletons of those rows, in m, world frame; rows without a skeleton are left out.

        So the result may be shorter than `rows`; of shape (0, J, 3) if none has one. It is a new
        array.
        """
        found = [s.joints for n in rows if (s := self.skeletons[n])]
        return np.array(found, np.float64).reshape(-1, len(H36M_16), 3)


def read_scored_session(folder: Path, truth_file: Path) -> ScoredSession:
    """What the hub recorded, with the truth of the same exposures.

    Instants that the truth does not know are left out. `truth_file` is the `.npz` that
    `cvsf-capture --truth` writes; it must have cameras (AssertionError).
    """
    reader = SessionReader(folder)
    row_of = truth_rows(reader, truth_file)
    poses = [pose for pose in reader.poses() if pose.instant in row_of]
    skeletons = {s.instant: s for s in reader.skeletons()}
    rows = np.array([row_of[pose.instant] for pose in poses])
    with np.load(truth_file) as file:
        truth = read_ground_truth(file, rows)
        in_view = (file["confidence"][rows] > 0).mean(-1) > _VISIBLE
        exposed = file["raw_ns"][rows] > 0
    assert truth.rig is not None
    rotations, cameras = truth.rig.view_from_world, truth.rig.cameras
    first = rotations[exposed.argmax(0), range(len(cameras))]
    trace = np.einsum("nvij,vij->nv", rotations, first)
    observations = stack_poses(poses, H36M_16, cameras)
    keypoints, confidence = (
        array.astype(float) for array in (observations.keypoints_px, observations.confidence)
    )
    limit_mm = triangulate(keypoints, confidence, truth.rig.projection)
    return ScoredSession(
        t_s=observations.t_s,
        poses=poses,
        skeletons=[skeletons.get(pose.instant) for pose in poses],
        truth=truth,
        in_view=in_view & exposed,
        moved=exposed & (trace < 3 - 1e-6),
        limit_mm=np.asarray(limit_mm, float),
    )


def score_world(session: ScoredSession) -> dict[str, float]:
    """Errors of the skeletons, by key, after one rigid alignment of all measured ones to the truth.

    No scale is fitted. `mpjpe_mm` is also root-aligned, as is `limit_mm`, that of triangulation
    with the true cameras (not turned). Predicted skeletons use the same alignment and have their
    own key, `one_view_mpjpe_mm` (NaN if there is none). `root_error_m` is the mean root error,
    `root_error_share` that over the way travelled (`travelled_m`); `up_error_deg` the angle between
    the two upward directions. There must be a measured skeleton in the world frame.
    """
    rows, world = session.rows(measured=True), session.world
    found, truth = session.joints(rows), world[rows]
    into = align_known(found.reshape(-1, 3), truth.reshape(-1, 3))
    aligned = into.apply(found)
    travelled = float(np.linalg.norm(np.diff(truth[:, 0], axis=0), axis=-1).sum())
    error = np.linalg.norm(aligned[:, 0] - truth[:, 0], axis=-1)
    up = into.R @ np.array([0.0, 0.0, 1.0])
    predicted = session.rows(measured=False)
    extrapolated = into.apply(session.joints(predicted))
    return {
        "mpjpe_mm": _mpjpe_mm(aligned, truth),
        "limit_mm": _mpjpe_mm(session.limit_mm[rows] / 1e3, truth),
        "root_error_m": float(error.mean()),
        "root_error_share": float(error.mean()) / max(travelled, 1e-9),
        "travelled_m": travelled,
        "up_error_deg": float(np.degrees(np.arccos(np.clip(up[2], -1, 1)))),
        "one_view_mpjpe_mm": _mpjpe_mm(extrapolated, world[predicted]),
    }


def first_world_s(session: ScoredSession) -> float:
    """Seconds from the first instant with the person in two views to the first measured skeleton in
    the world frame; infinite without one.
    """
    rows = session.rows(measured=True)
    several = [n for n, p in enumerate(session.poses) if p.confidence.any(-1).sum() > 1]
    return float(session.t_s[rows[0]] - session.t_s[several[0]]) if rows else float("inf")


def score_bump(session: ScoredSession, camera: str) -> dict[str, float]:
    """Seconds from a camera's true move until it is left out, and until it is used again for good.

    `camera` is a name such as `cam0`. Infinite if it never moved or was never left out; the second
    also if it was not used for 1 s afterwards.
    """
    view = int(camera.removeprefix("cam"))
    moved = np.flatnonzero(session.moved[:, view])
    never = {"bump_noticed_s": float("inf"), "bump_recovered_s": float("inf")}
    if not len(moved):
        return never
    since_s = float(session.t_s[moved[0]])
    used: list[tuple[float, bool]] = []
    for n in range(moved[0], len(session.poses)):
        pose, skeleton = session.poses[n], session.skeletons[n]
        detected = camera in pose.cameras and pose.confidence[pose.cameras.index(camera)].any()
        if detected and skeleton and skeleton.frame_of_reference == _WORLD:
            used.append((float(session.t_s[n]) - since_s, camera in skeleton.views))
    left_out = [after_s for after_s, is_used in used if not is_used]
    if not left_out:
        return never
    until_s = next((t for t, is_used in reversed(used) if not is_used), 0.0)
    later = [t for t, is_used in used if is_used and t > until_s]
    found = bool(later) and later[-1] - later[0] >= _RECOVERED_S
    return {
        "bump_noticed_s": left_out[0],
        "bump_recovered_s": later[0] if found else float("inf"),
    }


def one_view_share(session: ScoredSession) -> tuple[float, int]:
    """Share of the instants in the view of one camera alone that have a good skeleton, and how many
    such instants there are.

    Good is whole, in the world frame, flagged as predicted, and of less confidence than measured
    ones. Instants before the first measured skeleton do not count; (0.0, 0) if there is none.
    """
    rows = session.rows(measured=True)
    measured = [float(s.confidence.mean()) for n in rows if (s := session.skeletons[n])]
    usual = float(np.median(measured)) if measured else 0.0
    alone = [
        n
        for n in range(rows[0] if rows else 0, len(session.poses))
        if session.poses[n].image_px.any(-1).sum() == 1 and session.in_view[n].sum() == 1
    ]
    good = [
        s is not None
        and s.frame_of_reference == _WORLD
        and not s.measured
        and bool(np.isfinite(s.joints).all())
        and float(s.confidence.mean()) < usual
        for n in alone
        for s in [session.skeletons[n]]
    ]
    return (float(np.mean(good)) if good else 0.0), len(good)


def align_known(points: Real, onto: Real) -> Similarity:
    """The rigid alignment (scale 1) that turns and shifts points (n, 3) onto others of that shape.

    Pairs with a NaN or an infinite number in either are left out. Lengths are in the unit of the
    points.
    """
    known = np.isfinite(points).all(-1) & np.isfinite(onto).all(-1)
    return align(points, onto, known.astype(float))


def _mpjpe_mm(found: Real, truth: Real) -> Any:
    """MPJPE in mm, root-aligned."""
    error = np.linalg.norm((found - found[:, :1]) - (truth - truth[:, :1]), axis=-1)
    return float(1e3 * np.nanmean(error)) if np.isfinite(error).any() else float("nan")
