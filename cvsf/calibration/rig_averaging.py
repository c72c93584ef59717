"""The average of many rigs of the same cameras: aligned centres, and their median."""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rotation import align
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]

_ROUNDS = 6
_KEPT = 0.5  # share of the rigs that are inliers; a guess, not measured


def average_centres(
    centres: Float[Real, "N V 3"], known: Bool[npt.NDArray[np.bool_], "N V"], cost: Float[Real, "N"]
) -> tuple[Float[Real, "V 3"], Bool[npt.NDArray[np.bool_], "N"]]:
    """Centres of the cameras from N rigs in worlds of their own, and which rigs are inliers.

    `known` says which cameras a rig has; only the order of `cost` counts. The world is that of the
    rig nearest to all others.
    """
    apart = np.linalg.norm(centres[:, :, None] - centres[:, None], axis=-1)
    both = np.logical_and(known[:, :, None], known[:, None])
    upper = np.triu_indices(centres.shape[1], 1)
    logs = np.where(both, np.log(np.maximum(apart, 1e-9)), np.nan)[:, upper[0], upper[1]]
    logs = logs - np.nanmedian(logs - np.nanmedian(logs, 0), axis=1)[:, None]
    off = np.nanmean(np.abs(logs - np.nanmedian(logs, 0)), axis=1)
    off = np.where(np.isfinite(off), off, np.inf) + _rank(cost) * np.nanmedian(off)
    whole = known.sum(1) == known.sum(1).max()
    best = int(np.where(whole, off, np.inf).argmin())
    inliers: npt.NDArray[np.bool_] = np.asarray(off <= np.quantile(off, _KEPT))
    rig, observed = centres[best], known[best]
    for _ in range(_ROUNDS):
        weight = np.logical_and(known, observed).astype(float)
        aligned = align(centres, rig, weight, scale=True).apply(centres)
        kept = np.logical_and(known, inliers[:, None])
        aligned = np.where(kept[..., None], aligned, np.nan)
        observed = np.logical_or.reduce(np.isfinite(aligned), axis=(0, 2))
        middle = np.nanmedian(np.where(observed[:, None], aligned, 0.0), 0)
        rig = np.where(observed[:, None], middle, rig)
    return rig, inliers


def _rank(values: Float[Real, "N"]) -> Float[Real, "N"]:
    """0 for the least, 1 for the most."""
    return np.asarray(values.argsort().argsort() / max(len(values) - 1, 1))
