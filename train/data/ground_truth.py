"""What really was in a session: joints in each view's axes, and the cameras where they are known.

Calibration never sees it; it is what skeletons and cameras are scored by.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rig import Real
from cvsf.multiview.triangulation import projection_of
from cvsf.skeleton import H36M_16
from train.data.instants import Instants

Index = npt.NDArray[Any] | slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Cameras:
    """The true cameras at N instants."""

    view_from_world: Real  # (N, V, 3, 3)
    translation_mm: Real  # (N, V, 3)
    projection: Real  # (N, V, 3, 4) of the pixels below
    straight_px: Real  # (N, V, J, 2) keypoints as a lens without distortion shows them

    @property
    def focal_px(self) -> Real:
        """(N, V)."""
        across, ahead = self.projection[..., 0, :3], self.projection[..., 2, :3]
        return np.asarray(np.linalg.norm(np.cross(across, ahead), axis=-1))

    @property
    def centres(self) -> Real:
        """(N, V, 3)."""
        return np.asarray(-np.einsum("nvji,nvj->nvi", self.view_from_world, self.translation_mm))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reality:
    """What really was in one session; cameras where they are known."""

    joints_mm: Real  # (N, V, J, 3) in each view's axes, NaN where unknown
    cameras: Cameras | None
    joints: tuple[int, ...] = tuple(range(len(H36M_16)))  # those that count

    def some(self, rows: Index, views: Index) -> "Reality":
        """Of some instants and some views."""

        def part(array: Real) -> Real:
            return array[rows][:, views]

        cameras = self.cameras
        if cameras is not None:
            cameras = Cameras(
                view_from_world=part(cameras.view_from_world),
                translation_mm=part(cameras.translation_mm),
                projection=part(cameras.projection),
                straight_px=part(cameras.straight_px),
            )
        return replace(self, joints_mm=part(self.joints_mm), cameras=cameras)

    def of_views(self, views: Sequence[int]) -> "Reality":
        """The same as only some of the cameras saw it."""
        index, true = list(views), self.cameras
        if true is not None:
            true = Cameras(
                view_from_world=true.view_from_world[:, index],
                translation_mm=true.translation_mm[:, index],
                projection=true.projection[:, index],
                straight_px=true.straight_px[:, index],
            )
        return replace(self, joints_mm=self.joints_mm[:, index], cameras=true)


def reality(instants: Instants) -> Reality | None:
    """The truth of one session's instants; None if its joints are not known."""
    truth = instants.truth
    if truth.joints_mm is None or not np.isfinite(truth.joints_mm).any():
        return None
    cameras = None
    given = truth.view_from_world, truth.translation_mm, truth.focal_px
    if all(array is not None for array in given):
        turn, shift, focal = (np.asarray(array, float) for array in given)
        middle = np.asarray(instants.image_px.max(0) / 2, float)
        cameras = Cameras(
            view_from_world=turn,
            translation_mm=shift,
            projection=np.asarray(
                projection_of(turn, shift, focal, np.broadcast_to(middle, (*focal.shape, 2))), float
            ),
            straight_px=instants.keypoints_px.astype(float),
        )
    return Reality(joints_mm=truth.joints_mm.astype(float), cameras=cameras)


def joints_named(names: Sequence[str]) -> tuple[int, ...]:
    """Their indices in the lifter's set."""
    return tuple(H36M_16.index(name) for name in names)
