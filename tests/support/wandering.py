"""A walker who does not repeat themselves, and takes of them in which something is wrong.

They walk now fast, now slowly, so that no two seconds look alike.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.skeleton import H36M_16
from tests.support.rehearsed import Rehearsed, follow, rehearsed

INTERVAL_S = 1 / 15
NOISE_PX = 3.0

Real = npt.NDArray[np.float64]


def wandering(folder: Path, *, frames: int = 150, views: int = 4, pans: bool = False) -> Rehearsed:
    """The walker of `rehearsed`, at a pace of their own, before still cameras; with `pans`, cameras
    that follow and zoom after them.
    """
    walk = rehearsed(folder, frames=frames, views=views)
    t_s = walk.t_s
    pace = 1 + 0.9 * np.sin(1.3 * t_s) * np.cos(0.37 * t_s + 0.4)
    at_s = np.cumsum(pace) * INTERVAL_S
    world_mm = moved(walk.world_mm, t_s, at_s * t_s[-1] / at_s[-1])
    if pans:
        rotation, shift, focal = follow(world_mm, walk.view_from_world, walk.translation_mm, t_s)
        walk = replace(walk, view_from_world=rotation, translation_mm=shift, focal_px=focal)
    return of_motion(walk, world_mm)


def moved(track: npt.NDArray[Any], t_s: Real, at_s: Real) -> Real:
    """What has the first axis of the instants `t_s`, at other times (s), between them on lines."""
    low = np.clip(np.searchsorted(t_s, at_s, side="right") - 1, 0, len(t_s) - 2)
    share = ((at_s - t_s[low]) / (t_s[low + 1] - t_s[low])).clip(0, 1)
    share = share.reshape(-1, *[1] * (track.ndim - 1))
    return np.asarray(track[low] + share * (track[low + 1] - track[low]))


def of_motion(walk: Rehearsed, world_mm: Real, seed: int = 4) -> Rehearsed:
    """Joints before the cameras of a walk, with a detector's errors."""
    again = replace(walk, world_mm=world_mm)
    pixels = again.exact().keypoints_px
    noise = np.random.default_rng(seed).normal(0, NOISE_PX, pixels.shape)
    return replace(again, keypoints_px=pixels + noise)


def late(walk: Rehearsed, view: int, delay_s: float | Real) -> Real:
    """Keypoints (N, V, J, 2) of which one view shows what happened so much later."""
    pixels = walk.keypoints_px.copy()
    pixels[:, view] = moved(pixels[:, view], walk.t_s, walk.t_s + delay_s)
    return pixels


def mirrored(walk: Rehearsed, view: int) -> Real:
    """Keypoints of which one view is a mirrored picture: the detector takes left for right."""
    pixels = walk.keypoints_px.copy()
    turned = pixels[:, view][:, list(H36M_16.mirrored)]
    pixels[:, view] = [walk.image_px[view, 0], 0] + turned * [-1, 1]
    return pixels


def another(walk: Rehearsed, view: int, rows: slice) -> Real:
    """Keypoints of which one view shows another person for some instants."""
    pixels = walk.keypoints_px.copy()
    pixels[rows, view] = pixels[::-1, view][rows] * 0.8 + walk.image_px[view] * 0.15
    return pixels


def exchanged(walk: Rehearsed, a: int, b: int, rows: slice) -> Real:
    """Keypoints of which two views have each other's pictures for some instants."""
    pixels = walk.keypoints_px.copy()
    pixels[rows, a], pixels[rows, b] = walk.keypoints_px[rows, b], walk.keypoints_px[rows, a]
    return pixels


def exact_of(walk: Rehearsed, pixels: Real | None = None) -> LiftedObservations:
    """Those keypoints, of confidence 1, with the true body of each instant as canonical pose."""
    exact = walk.exact()
    seen_px = exact.keypoints_px if pixels is None else pixels.astype(np.float32)
    return replace(exact, keypoints_px=seen_px, confidence=np.ones_like(exact.confidence))


def shifted_poses(seen: LiftedObservations, view: int, delay_s: float | Real) -> LiftedObservations:
    """Observations of which one view's keypoints and canonical poses are so much later."""
    later = seen.t_s + delay_s
    canonical, pixels = seen.canonical.copy(), seen.keypoints_px.copy()
    canonical[:, view] = moved(canonical[:, view], seen.t_s, later)
    pixels[:, view] = moved(pixels[:, view], seen.t_s, later)
    return replace(seen, canonical=canonical, keypoints_px=pixels)


def noisy_poses(seen: LiftedObservations, sigma: float = 15.0) -> LiftedObservations:
    """Canonical poses (mm) with errors of each view's own, which stay for the whole take."""
    random = np.random.default_rng(7)
    steady = random.normal(0, 2 * sigma, seen.canonical.shape[1:])
    canonical = seen.canonical + steady + random.normal(0, sigma, seen.canonical.shape)
    return replace(seen, canonical=canonical.astype(np.float32))
