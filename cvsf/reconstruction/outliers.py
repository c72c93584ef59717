"""What a detector says that cannot be: left taken for right, and a view that sees somebody else.

Both are told by the joints that the other views agree on; nothing is decided by one view alone.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.reprojection import CAUCHY, Cameras, Pixels, median_off, pixel_cost, rows_of
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]
Settle = Callable[[Pixels, npt.NDArray[np.intp], Real], tuple[Real, Real]]
"""Pixels of some instants, which instants, a first guess (R, J, 3), to joints and deviations."""

_MARGIN = 10.0  # of the cost: what an exchange of sides must save
_STRANGE = 6.0  # standard deviations: a view whose median joint is further off
_LEAST = 3  # views an instant needs before one of them is doubted as a whole


def relabelled(
    pixels: Pixels, cameras: Cameras, joints: Real, joint_set: JointSet
) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Left and right exchanged wherever that fits the joints better, and at which instants (N,)."""
    other = list(joint_set.mirrored)
    seen = cameras.project(joints)
    as_is = _misfit(pixels, seen, pixels.keypoints_px, pixels.trust)
    trust = pixels.trust[..., other]
    exchanged = _misfit(pixels, seen, pixels.keypoints_px[..., other, :], trust)
    # of both joints of a pair together
    saved = (as_is - exchanged) + (as_is - exchanged)[..., other]
    both: npt.NDArray[np.bool_] = np.minimum(pixels.trust, trust) > 0
    swap = both & (saved > _MARGIN) & (np.array(other) != np.arange(len(other)))
    keypoints = np.where(swap[..., None], pixels.keypoints_px[..., other, :], pixels.keypoints_px)
    changed = replace(pixels, keypoints_px=keypoints, trust=np.where(swap, trust, pixels.trust))
    return changed, np.logical_or.reduce(swap, axis=(1, 2))


def without_strangers(
    pixels: Pixels, cameras: Cameras, settled: tuple[Real, Real], settle: Settle
) -> tuple[Pixels, tuple[Real, Real]]:
    """Instants where a view as a whole does not fit, settled again without each view in turn; the
    view is left out without which all pixels, its own among them, fit best.
    """
    joints, deviation = settled
    off = median_off(pixels, cameras, joints) / pixels.sigma_px
    several = np.isfinite(off).sum(1) >= _LEAST
    rows = np.flatnonzero(several & (np.nan_to_num(off).max(1) > _STRANGE))
    if not len(rows):
        return pixels, settled
    some, joints, deviation = rows_of(pixels, rows), joints.copy(), deviation.copy()
    best, spread = joints[rows], deviation[rows]
    least = pixel_cost(some, rows_of_cameras(cameras, rows), joints[rows])
    left_out = np.full(len(rows), -1)
    for view in range(off.shape[1]):
        trust = some.trust.copy()
        trust[:, view] = 0
        tried, unsure = settle(replace(some, trust=trust), rows, joints[rows])
        cost = pixel_cost(some, rows_of_cameras(cameras, rows), tried)
        better = (cost < least) & np.isfinite(off[rows, view])
        least = np.where(better, cost, least)
        best = np.where(better[:, None, None], tried, best)
        spread = np.where(better[:, None], unsure, spread)
        left_out = np.where(better, view, left_out)
    joints[rows], deviation[rows] = best, spread
    trust = pixels.trust.copy()
    trust[rows[left_out >= 0], left_out[left_out >= 0]] = 0
    return replace(pixels, trust=trust), (joints, deviation)


def rows_of_cameras(cameras: Cameras, rows: npt.NDArray[np.intp]) -> Cameras:
    """Those of some instants, if they differ from instant to instant."""
    if not cameras.pan:
        return cameras
    return replace(
        cameras,
        view_from_world=cameras.view_from_world[rows],
        log_focal=cameras.log_focal[rows],
    )


def _misfit(pixels: Pixels, seen: Real, keypoints: Real, trust: Real) -> Real:
    square = np.square((seen - keypoints) / pixels.sigma_px[..., None, None]).sum(-1)
    return np.asarray(trust * CAUCHY * np.log1p(square / CAUCHY))
