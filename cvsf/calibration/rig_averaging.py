"""One rig that many agree on: centres of cameras laid over each other, and the median taken."""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rotation import nearest_rotation

Real = npt.NDArray[np.float64]

_ROUNDS = 6
_KEPT = 0.5


def agreed_centres(
    centres: Real, known: npt.NDArray[np.bool_], doubt: Real
) -> tuple[Real, npt.NDArray[np.bool_]]:
    """Centres (V, 3) from N rigs (N, V, 3) in worlds of their own, and which rigs agree (N,).

    `known` (N, V) says which cameras a rig has; `doubt` (N,) ranks rigs, more is worse. The world
    is that of the rig nearest to all others.
    """
    apart = np.linalg.norm(centres[:, :, None] - centres[:, None], axis=-1)
    both = np.logical_and(known[:, :, None], known[:, None])
    upper = np.triu_indices(centres.shape[1], 1)
    logs = np.where(both, np.log(np.maximum(apart, 1e-9)), np.nan)[:, upper[0], upper[1]]
    logs = logs - np.nanmedian(logs - np.nanmedian(logs, 0), axis=1)[:, None]
    off = np.nanmean(np.abs(logs - np.nanmedian(logs, 0)), axis=1)
    off = np.where(np.isfinite(off), off, np.inf) + _rank(doubt) * np.nanmedian(off)
    whole = known.sum(1) == known.sum(1).max()
    best = int(np.where(whole, off, np.inf).argmin())
    agreed: npt.NDArray[np.bool_] = np.asarray(off <= np.quantile(off, _KEPT))
    rig, there = centres[best], known[best]
    for _ in range(_ROUNDS):
        rotation, shift, scale = lay_over(centres, rig, known & there)
        laid = scale[:, None, None] * centres @ np.swapaxes(rotation, -1, -2) + shift[:, None]
        kept = np.logical_and(known, agreed[:, None])
        laid = np.where(kept[..., None], laid, np.nan)
        there = np.logical_or.reduce(np.isfinite(laid), axis=(0, 2))
        middle = np.nanmedian(np.where(there[:, None], laid, 0.0), 0)
        rig = np.where(there[:, None], middle, rig)
    return rig, agreed


def lay_over(source: Real, target: Real, known: npt.NDArray[np.bool_]) -> tuple[Real, Real, Real]:
    """Rotations (N, 3, 3), shifts (N, 3) and scales (N,) that bring points (N, V, 3) nearest to
    others (V, 3), those that are known (Umeyama 1991).
    """
    weight = known.astype(float)
    total = np.maximum(weight.sum(1), 1)[:, None]
    middle = (weight[..., None] * source).sum(1) / total
    centre = (weight[..., None] * target).sum(1) / total
    from_ = weight[..., None] * (source - middle[:, None])
    to = weight[..., None] * (target - centre[:, None])
    rotation = nearest_rotation(np.swapaxes(to, -1, -2) @ from_)
    turned = from_ @ np.swapaxes(rotation, -1, -2)
    scale = (turned * to).sum((1, 2)) / np.maximum(np.square(from_).sum((1, 2)), 1e-9)
    shift = centre - scale[:, None] * (rotation @ middle[..., None])[..., 0]
    return np.asarray(rotation, float), np.asarray(shift), np.asarray(scale)


def _rank(values: Real) -> Real:
    """0 for the least, 1 for the most."""
    return np.asarray(values.argsort().argsort() / max(len(values) - 1, 1))
