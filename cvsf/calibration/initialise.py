"""The first guess of a rig: rotations from the lifter, distances from weak perspective.

At unit scale: the mean bone is 1. The world has the axes of the reference view.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import angle_between, nearest_rotation
from cvsf.multiview.weak_perspective import mean_body, roots_in_views
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

_ROUNDS = 12  # a guess, not measured
_HALF_WEIGHT_DEG = 20.0
"""Angle between a lifted and an averaged rotation at which it has weight 1/2; a guess, not
measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragedRotations:
    """Rotations of V views and N bodies, averaged from the lifter's N x V rotations."""

    view_from_world: Float[Real, "V 3 3"]
    world_from_canonical: Float[Real, "N 3 3"]

    @property
    def reference(self) -> int:
        """Index of the view whose axes are those of the world: the one whose rotation is nearest to
        the identity.
        """
        return int(np.abs(self.view_from_world - np.eye(3)).sum((-2, -1)).argmin())


def average_rotations(observations: LiftedObservations) -> AveragedRotations:
    """Robust rotation averaging (Hartley et al. 2013): chordal means of views and of bodies, by
    turns. The world has the axes of the view with most confidence, so that view's rotation is the
    identity.

    The weight of a lifted rotation is its view's confidence times a robust weight.
    """
    lifted = observations.view_from_canonical.astype(float)
    confidence = observations.confidence.mean(-1).astype(float)
    weight = confidence
    reference = int(confidence.sum(0).argmax())
    relative = lifted @ np.swapaxes(lifted[:, reference, None], -1, -2)
    shared = (confidence * confidence[:, reference, None])[..., None, None]
    views = nearest_rotation((shared * relative).sum(0) + 1e-9 * np.eye(3))
    bodies = np.swapaxes(lifted[:, reference], -1, -2)
    for _ in range(_ROUNDS):
        w = weight[..., None, None]
        bodies = nearest_rotation((w * (np.swapaxes(views, -1, -2) @ lifted)).sum(1))
        views = nearest_rotation((w * (lifted @ np.swapaxes(bodies[:, None], -1, -2))).sum(0))
        error_deg = angle_between(views @ bodies[:, None], lifted)
        weight = confidence / (1 + np.square(error_deg / _HALF_WEIGHT_DEG))
    world_from_reference = views[reference].T
    return AveragedRotations(
        view_from_world=views @ world_from_reference, world_from_canonical=views[reference] @ bodies
    )


def first_guess(
    observations: LiftedObservations, rotations: AveragedRotations, focal_px: Float[Real, "V"]
) -> tuple[Rig, Float[Real, "N J 3"]]:
    """Rig of still cameras and joints in the world of the averaged rotations, in mean bones; the
    reference camera is at the origin. Depths come from the ratio of 3D and 2D size, at guessed
    focal lengths (px). An instant with no usable view gets the median position.
    """
    body = mean_body(observations) @ np.swapaxes(rotations.world_from_canonical, -1, -2)
    image = observations.size_px.astype(float)
    views, reference = rotations.view_from_world, rotations.reference
    roots, has_size = roots_in_views(
        weighted_keypoints(observations, 1.0), image / 2, body, views, focal_px
    )
    translation = np.zeros((len(views), 3))
    roots_world = np.where(has_size[:, reference, None], roots[:, reference], np.nan)
    for _ in range(4):
        translations = roots - np.einsum("vij,nj->nvi", views, roots_world)
        translation = _median(np.where(has_size[..., None], translations, np.nan), 0, translation)
        translation -= np.einsum("vij,j->vi", views, views[reference].T @ translation[reference])
        in_world = np.einsum("vji,nvj->nvi", views, roots - translation)
        roots_world = _median(np.where(has_size[..., None], in_world, np.nan), 1, np.nan)
    lost = ~np.isfinite(roots_world).all(-1)
    roots_world[lost] = np.nanmedian(roots_world, 0) if not lost.all() else 0.0
    rig = Rig.pinhole(
        observations.cameras,
        image,
        view_from_world=views,
        centres=-np.einsum("vji,vj->vi", views, translation),
        focal_px=focal_px,
    )
    return rig, body + roots_world[:, None]


def _median(values: Float[Real, "N V 3"], axis: int, otherwise: Any) -> Float[Real, "M 3"]:
    known = np.isfinite(values).any(axis)
    filled = np.where(np.expand_dims(known, axis), values, 0.0)
    return np.asarray(np.where(known, np.nanmedian(filled, axis), otherwise))
