"""Reprojection errors of every view at every instant, and the instants of the least and the largest
one.

They are of all keypoints that a view observed, also of those that the reconstruction does not
believe: a person who looks at the picture sees them too.
"""

from dataclasses import dataclass

import numpy as np

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import median_reprojection_px, weighted_keypoints
from cvsf.multiview.rig import Rig
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.shapes import Bool, Float, Int, Mask, Real
from cvsf.shapes import Index as Indices

_INSTANTS = 4096  # at once, so that long takes need little memory; a guess, not measured
_ENOUGH = 0.5
"""Of a view's usual number of joints, for its best and worst instant: the error of two or three
joints is an accident. A guess, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewErrors:
    """Median errors over the observed joints; NaN where the view has no part in the skeleton."""

    px: Float[Real, "N V"]
    share: Float[Real, "N V"]
    """Over the person's extent in the view."""
    joints_seen: Int[Indices, "N V"]

    def best_and_worst(self, view: int) -> tuple[int, int] | None:
        """The instants with the least and the largest error over the extent of a view, among those
        at which it saw at least half of its usual number of joints; None if it has no part in any.
        """
        share, seen = self.share[:, view], self.joints_seen[:, view]
        known = np.isfinite(share)
        if not known.any():
            return None
        rows = np.flatnonzero(known & (seen >= _ENOUGH * np.median(seen[known])))
        return int(rows[share[rows].argmin()]), int(rows[share[rows].argmax()])

    def median_px(self, view: int) -> float:
        """The median of a view's errors in px over the instants; NaN if it has no part in any."""
        known = np.isfinite(self.px[:, view])
        return float(np.median(self.px[known, view])) if known.any() else np.nan


def took_part(reconstruction: Reconstruction) -> Bool[Mask, "N V"]:
    """Which views have a part in which skeletons; none has where there is no skeleton."""
    has_skeleton = np.asarray(np.isfinite(reconstruction.joints).all((1, 2)))
    return np.asarray(np.isfinite(reconstruction.residual_share) & has_skeleton[:, None])


def view_errors(
    observations: LiftedObservations,
    rig: Rig,
    reconstruction: Reconstruction,
    rows: Int[Indices, "M"] | None = None,
) -> ViewErrors:
    """The errors of a reconstruction from time-aligned observations of the rig's cameras, at some
    instants, at least one, or at all.
    """
    rows = np.arange(len(observations)) if rows is None else rows
    px, share, seen = [], [], []
    for first in range(0, len(rows), _INSTANTS):
        some = rows[first : first + _INSTANTS]
        keypoints = weighted_keypoints(observations.take(some), 1.0)
        px.append(median_reprojection_px(keypoints, rig.rows(some), reconstruction.joints[some]))
        share.append(px[-1] / keypoints.extent_px)
        seen.append((keypoints.weight > 0).sum(-1))
    part = took_part(reconstruction)[rows]
    return ViewErrors(
        px=np.where(part, np.concatenate(px), np.nan),
        share=np.where(part, np.concatenate(share), np.nan),
        joints_seen=np.concatenate(seen),
    )
