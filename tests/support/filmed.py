"""The simulated skier as four cameras' 2D would have it, without drawing a picture."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from capture.simulator.ground_truth import visible_joints
from capture.simulator.scene import (
    Viewpoint,
    camera_at,
    make_slope,
    place_camera,
    project,
    rotated_left,
)
from capture.simulator.skier import pose_skier
from cvsf.engine.engine import Engine, load_engine
from cvsf.messages import MultiviewPose
from cvsf.multiview.observations import LiftedObservations, lift_observations
from cvsf.skeleton import H36M_16
from tests.support.instants import instants_of

SIZE, HZ = (640, 480), 20
NOISE_PX = 1.2

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """A take of the slope: 2D with a detector's errors, and what really happened."""

    observations: LiftedObservations
    joints: Real  # (N, J, 3) metres
    views: tuple[Viewpoint, ...]  # as they are at the end

    def poses(self) -> list[MultiviewPose]:
        """The take as the hub's instants."""
        return [lifted.pose for lifted in instants_of(self.observations)]


@cache
def engine() -> Engine:
    """The lifter of the package."""
    return load_engine()


def film_skier(
    seconds: float,
    *,
    seed: int = 1_000_001,
    cams: int = 4,
    take: int = 0,
    bias_share: float = 0.0,
    knock: tuple[int, float, float] | None = None,
) -> Filmed:
    """The skier for so long; `knock` is a camera, degrees and the second it is turned at, `bias`
    how far up or down a detector marks each joint, as a share of the person's height.
    """
    slope = make_slope(seed, False, take)
    stamps = (np.arange(round(seconds * HZ)) * (1_000_000_000 // HZ) + 10**12).astype(np.int64)
    joints = pose_skier(slope.build, slope.course, stamps).joints
    random = np.random.default_rng([seed, take] if take else seed)
    bias = np.random.default_rng([seed, 77]).normal(0, bias_share, joints.shape[1])
    keypoints, confidence, views = [], [], []
    for index in range(cams):
        view = place_camera(slope, index, SIZE)
        later = rotated_left(view, knock[1]) if knock and knock[0] == index else view
        from_s = knock[2] if knock and knock[0] == index else 0.0
        px, sure = _watch(view, stamps, joints)
        if later is not view:
            row = round(from_s * HZ)
            px[row:], sure[row:] = _watch(later, stamps[row:], joints[row:])
        views.append(later)
        px[..., 1] += np.ptp(px[..., 1], axis=-1, keepdims=True) * bias
        keypoints.append(px + random.normal(0, NOISE_PX, px.shape))
        confidence.append(sure)
    pixels = np.stack(keypoints, 1).astype(np.float32)
    cameras = tuple(f"cam{index}" for index in range(cams))
    image = np.tile(np.array(SIZE, np.float32), (len(stamps), cams, 1))
    seen = lift_observations(
        engine().lift_many,
        H36M_16,
        cameras,
        np.asarray(stamps * 1e-9, np.float64),
        (pixels, np.stack(confidence, 1).astype(np.float32), image),
    )
    return Filmed(observations=seen, joints=joints, views=tuple(views))


def _watch(view: Viewpoint, stamps: npt.NDArray[np.int64], joints: Real) -> tuple[Real, Real]:
    rotation, focal = camera_at(view, stamps, joints[:, 0])
    px = project(joints, view.eye, rotation, focal, SIZE)[1]
    shown = visible_joints(joints, view, rotation, focal)
    inside = np.logical_and(px >= 0, px < np.array(SIZE)).all(-1)
    return px, np.where(shown, 0.95, np.where(inside, 0.45, 0.0))


def rooted_mm(found: Real, truth: Real) -> float:
    """Mean joint distance, roots together, after one rotation of the whole take."""
    a, b = found - found[:, :1], truth - truth[:, :1]
    u, _, vt = np.linalg.svd(b.reshape(-1, 3).T @ a.reshape(-1, 3))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return float(1e3 * np.linalg.norm(a @ turn.T - b, axis=-1).mean())
