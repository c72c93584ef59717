"""A session's world skeletons against the truth, after one rigid alignment of the whole take.

No scale is fitted: metres that are wrong count. What was predicted is scored apart.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.evaluation.truth_rows import truth_rows
from cvsf.messages import MultiviewPose, Skeleton
from cvsf.multiview.rotation import Similarity, align
from cvsf.multiview.triangulation import triangulate
from cvsf.session.reader import SessionReader
from cvsf.skeleton import H36M_16
from runtime.bench.score_views import read_truth

Real = npt.NDArray[np.float64]

_SHOWN = 0.5  # share of the joints that a view shows for the person to count as in it
_KEPT_S = 1.0  # a camera is found again when it has been used for so long
_WORLD = "world"


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """The instants of a session that the truth knows, N of them."""

    t_s: Real  # (N,) hub clock
    poses: list[MultiviewPose]
    skeletons: list[Skeleton | None]
    world: Real  # (N, J, 3) what really happened, metres
    shown: npt.NDArray[np.bool_]  # (N, V) cameras that really show the person
    turned: npt.NDArray[np.bool_]  # (N, V) cameras that stand elsewhere than at first
    limit: Real  # (N, J, 3) triangulated with the true cameras

    def rows(self, *, measured: bool) -> list[int]:
        """Instants with a world skeleton of that kind."""
        return [
            n
            for n, s in enumerate(self.skeletons)
            if s and s.frame_of_reference == _WORLD and s.measured is measured
        ]

    def joints(self, rows: list[int]) -> Real:
        """The skeletons of those instants (n, J, 3)."""
        found = [s.joints for n in rows if (s := self.skeletons[n])]
        return np.array(found, np.float64).reshape(-1, len(H36M_16), 3)


def read_take(session: Path, truth_file: Path) -> Take:
    """What the hub recorded beside what happened, joined by the exposure stamps."""
    reader = SessionReader(session)
    row_of = truth_rows(reader, truth_file)
    poses = [pose for pose in reader.poses() if pose.instant in row_of]
    skeletons = {s.instant: s for s in reader.skeletons()}
    rows = np.array([row_of[pose.instant] for pose in poses])
    with np.load(truth_file) as file:
        truth = read_truth(file, rows)
        shift = file["camera_t_mm"][rows].astype(np.float64)
        shown = (file["confidence"][rows] > 0).mean(-1) > _SHOWN
        filmed = file["raw_ns"][rows] > 0
    local = truth.joints_mm - shift[:, :, None]
    world = np.nanmean(np.einsum("nvji,nvkj->nvki", truth.view_from_world, local), 1)
    first = truth.view_from_world[filmed.argmax(0), range(filmed.shape[1])]
    alike = np.einsum("nvij,vij->nv", truth.view_from_world, first)
    cameras = [f"cam{view}" for view in range(filmed.shape[1])]
    keypoints, confidence = (np.zeros((len(poses), len(cameras), len(H36M_16), n)) for n in (2, 1))
    for n, pose in enumerate(poses):
        views = [cameras.index(camera) for camera in pose.cameras]
        keypoints[n, views], confidence[n, views, :, 0] = pose.keypoints_px, pose.confidence
    limit_mm = triangulate(keypoints, confidence[..., 0], truth.projection)
    return Take(
        t_s=np.array([pose.t_ns for pose in poses]) * 1e-9,
        poses=poses,
        skeletons=[skeletons.get(pose.instant) for pose in poses],
        world=world / 1e3,
        shown=shown & filmed,
        turned=filmed & (alike < 3 - 1e-6),
        limit=np.asarray(limit_mm / 1e3, np.float64),
    )


def score_world(take: Take) -> dict[str, float]:
    """Errors of the measured skeletons; all are of one world."""
    rows = take.rows(measured=True)
    found, truth = take.joints(rows), take.world[rows]
    into = align_known(found.reshape(-1, 3), truth.reshape(-1, 3))
    aligned = into.apply(found)
    travelled = float(np.linalg.norm(np.diff(truth[:, 0], axis=0), axis=-1).sum())
    off = np.linalg.norm(aligned[:, 0] - truth[:, 0], axis=-1)
    up = into.R @ np.array([0.0, 0.0, 1.0])
    predicted = take.rows(measured=False)
    guessed = into.apply(take.joints(predicted))
    return {
        "mpjpe_mm": _mpjpe_mm(aligned, truth),
        "limit_mm": _mpjpe_mm(take.limit[rows], truth),
        "root_error_m": float(off.mean()),
        "root_error_share": float(off.mean()) / max(travelled, 1e-9),
        "travelled_m": travelled,
        "up_error_deg": float(np.degrees(np.arccos(np.clip(up[2], -1, 1)))),
        "one_view_mpjpe_mm": _mpjpe_mm(guessed, take.world[predicted]),
    }


def first_world_s(take: Take) -> float:
    """From the first instant with the person in two views to the first skeleton in metres."""
    rows = take.rows(measured=True)
    several = [n for n, p in enumerate(take.poses) if p.confidence.any(-1).sum() > 1]
    return float(take.t_s[rows[0]] - take.t_s[several[0]]) if rows else float("inf")


def score_bump(take: Take, camera: str) -> dict[str, float]:
    """From the moment the camera was turned: until it was left out, until it is used for good."""
    view = int(camera.removeprefix("cam"))
    turned = np.flatnonzero(take.turned[:, view])
    never = {"bump_noticed_s": float("inf"), "bump_recovered_s": float("inf")}
    if not len(turned):
        return never
    since_s = float(take.t_s[turned[0]])
    used: list[tuple[float, bool]] = []
    for n in range(turned[0], len(take.poses)):
        pose, skeleton = take.poses[n], take.skeletons[n]
        saw = camera in pose.cameras and pose.confidence[pose.cameras.index(camera)].any()
        if saw and skeleton and skeleton.frame_of_reference == _WORLD:
            used.append((float(take.t_s[n]) - since_s, camera in skeleton.views))
    left_out = [after_s for after_s, is_used in used if not is_used]
    if not left_out:
        return never
    until_s = next((t for t, is_used in reversed(used) if not is_used), 0.0)
    later = [t for t, is_used in used if is_used and t > until_s]
    found = bool(later) and later[-1] - later[0] >= _KEPT_S
    return {
        "bump_noticed_s": left_out[0],
        "bump_recovered_s": later[0] if found else float("inf"),
    }


def one_view_share(take: Take) -> tuple[float, int]:
    """Share of the instants shown by one camera alone with a whole skeleton, and how many they are.

    In the world, flagged as predicted, and less sure than a measured one.
    """
    rows = take.rows(measured=True)
    measured = [float(s.confidence.mean()) for n in rows if (s := take.skeletons[n])]
    usual = float(np.median(measured)) if measured else 0.0
    alone = [
        n
        for n in range(rows[0] if rows else 0, len(take.poses))
        if take.poses[n].image_px.any(-1).sum() == 1 and take.shown[n].sum() == 1
    ]
    good = [
        s is not None
        and s.frame_of_reference == _WORLD
        and not s.measured
        and bool(np.isfinite(s.joints).all())
        and float(s.confidence.mean()) < usual
        for n in alone
        for s in [take.skeletons[n]]
    ]
    return (float(np.mean(good)) if good else 0.0), len(good)


def align_known(points: Real, onto: Real) -> Similarity:
    """The rigid alignment of points (n, 3) with others; points that are NaN are left out."""
    known = np.isfinite(points).all(-1) & np.isfinite(onto).all(-1)
    return align(points, onto, known.astype(float))


def _mpjpe_mm(found: Real, truth: Real) -> Any:
    """Root-aligned, in the mean."""
    off = np.linalg.norm((found - found[:, :1]) - (truth - truth[:, :1]), axis=-1)
    return float(1e3 * np.nanmean(off)) if np.isfinite(off).any() else float("nan")
