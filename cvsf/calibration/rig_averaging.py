"""The median of the camera centres of many rigs, aligned to each other."""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rotation import align
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]

_ROUNDS = 6  # a guess, not measured
_INLIERS = 0.5  # share of the rigs that are inliers; a guess, not measured


def average_centres(
    centres: Float[Real, "N V 3"], known: Bool[npt.NDArray[np.bool_], "N V"], cost: Float[Real, "N"]
) -> tuple[Float[Real, "V 3"], Bool[npt.NDArray[np.bool_], "N"]]:
    """Camera centres from N rigs, each in a world and unit of its own, and which rigs are inliers:
    about half, those of low cost whose distances between cameras differ least from the median.

    `known` is True where a rig has a camera; of `cost` only the order is used. The result is in the
    world and unit of the best of the rigs with most cameras.
    """
    distance = np.linalg.norm(centres[:, :, None] - centres[:, None], axis=-1)
    both = np.logical_and(known[:, :, None], known[:, None])
    upper = np.triu_indices(centres.shape[1], 1)
    logs = np.where(both, np.log(np.maximum(distance, 1e-9)), np.nan)[:, upper[0], upper[1]]
    logs = logs - np.nanmedian(logs - np.nanmedian(logs, 0), axis=1)[:, None]
    error = np.nanmean(np.abs(logs - np.nanmedian(logs, 0)), axis=1)
    error = np.where(np.isfinite(error), error, np.inf) + _rank(cost) * np.nanmedian(error)
    is_complete = known.sum(1) == known.sum(1).max()
    best = int(np.where(is_complete, error, np.inf).argmin())
    inliers: npt.NDArray[np.bool_] = np.asarray(error <= np.quantile(error, _INLIERS))
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
