"""A walker seen by cameras whose stamps are late: exact pixels, and pixels that move on lines."""

from dataclasses import replace

import numpy as np

from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed


def keypoints_of(walk: Rehearsed) -> np.ndarray:
    """Without noise."""
    local = walk.in_views_mm
    flat = walk.focal_px[..., None, None] * local[..., :2] / local[..., 2:]
    return np.asarray(flat + walk.image_px[:, None] / 2)


def observations_of(walk: Rehearsed, keypoints: np.ndarray) -> LiftedObservations:
    """Those pixels, lifted without error."""
    body = walk.world_mm - walk.world_mm[:, :1]
    return replace(
        walk.seen(keypoints_px=keypoints, confidence=np.ones(keypoints.shape[:-1])),
        canonical=np.repeat(body[:, None], keypoints.shape[1], 1).astype(np.float32),
        view_from_canonical=walk.view_from_world.astype(np.float32),
    )


def straight(walk: Rehearsed, late_s: np.ndarray) -> tuple[LiftedObservations, np.ndarray]:
    """Pixels that move along lines, seen by late cameras; and their speed in px / s."""
    speed = np.random.default_rng(0).normal(0, 200, keypoints_of(walk).shape[1:])
    happened = walk.t_s[:, None, None, None] + late_s[:, None, None]
    return observations_of(walk, keypoints_of(walk)[:1] + happened * speed), speed
