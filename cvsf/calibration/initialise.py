"""The first guess of a rig: the lifter's own rotations, and weak perspective for the distances.

Unit scale throughout: the mean bone is 1. The world's axes are those of the reference view.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import pixels_of
from cvsf.multiview.rotation import angle_between, nearest_rotation
from cvsf.multiview.weak_perspective import mean_body, roots_in_views

Real = npt.NDArray[np.float64]

_ROUNDS = 12
_DOUBT_DEG = 20.0
"""A view's rotation this far from the others' counts half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What bundle adjustment begins with."""

    view_from_world: Real  # (V, 3, 3)
    centres: Real  # (V, 3)
    focal_px: Real  # (V,)
    joints: Real  # (N, J, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """Rotations of views and bodies that explain the lifter's V x N rotations best."""

    view_from_world: Real  # (V, 3, 3)
    world_from_canonical: Real  # (N, 3, 3)


def average_rotations(observations: LiftedObservations) -> Turned:
    """Chordal means, views and bodies in turn, each rotation by its view's confidence and by how
    far it lies from what the others say.
    """
    found = observations.view_from_canonical.astype(float)
    trust = observations.confidence.mean(-1).astype(float)
    weight = trust
    reference = int(trust.sum(0).argmax())
    relative = found @ np.swapaxes(found[:, reference, None], -1, -2)
    shared = (trust * trust[:, reference, None])[..., None, None]
    views = nearest_rotation((shared * relative).sum(0) + 1e-9 * np.eye(3))
    bodies = np.swapaxes(found[:, reference], -1, -2)
    for _ in range(_ROUNDS):
        w = weight[..., None, None]
        bodies = nearest_rotation((w * (np.swapaxes(views, -1, -2) @ found)).sum(1))
        views = nearest_rotation((w * (found @ np.swapaxes(bodies[:, None], -1, -2))).sum(0))
        apart = angle_between(views @ bodies[:, None], found)
        weight = trust / (1 + np.square(apart / _DOUBT_DEG))
    home = views[reference].T
    return Turned(view_from_world=views @ home, world_from_canonical=views[reference] @ bodies)


def first_guess(observations: LiftedObservations, turned: Turned, focal_px: Real) -> Start:
    """Distances from the ratio of 2D and 3D size at the guessed focal lengths."""
    body = mean_body(observations) @ np.swapaxes(turned.world_from_canonical, -1, -2)
    pixels, middle = pixels_of(observations, 1.0), observations.size_px.astype(float) / 2
    roots, sure = roots_in_views(pixels, middle, body, turned.view_from_world, focal_px)
    views = turned.view_from_world
    reference = int(np.abs(views - np.eye(3)).sum((-2, -1)).argmin())
    away = np.zeros((len(views), 3))
    roots_world = np.where(sure[:, reference, None], roots[:, reference], np.nan)
    for _ in range(4):
        shifts = roots - np.einsum("vij,nj->nvi", views, roots_world)
        away = _median(np.where(sure[..., None], shifts, np.nan), 0, away)
        away -= np.einsum("vij,j->vi", views, views[reference].T @ away[reference])
        back = np.einsum("vji,nvj->nvi", views, roots - away)
        roots_world = _median(np.where(sure[..., None], back, np.nan), 1, np.nan)
    lost = ~np.isfinite(roots_world).all(-1)
    roots_world[lost] = np.nanmedian(roots_world, 0) if not lost.all() else 0.0
    return Start(
        view_from_world=views,
        centres=-np.einsum("vji,vj->vi", views, away),
        focal_px=focal_px.copy(),
        joints=body + roots_world[:, None],
    )


def _median(values: Real, axis: int, otherwise: Any) -> Real:
    known = np.isfinite(values).any(axis)
    filled = np.where(np.expand_dims(known, axis), values, 0.0)
    return np.asarray(np.where(known, np.nanmedian(filled, axis), otherwise))
