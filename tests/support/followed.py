"""A walker who is followed by a smaller one before the same cameras."""

from dataclasses import replace

import numpy as np

from tests.support.rehearsed import Rehearsed

INTERVAL_S = 1 / 30


def followed(walk: Rehearsed, share: float, *, pause_s: float = 0.0) -> Rehearsed:
    """The walk, a pause, then the same walk by somebody `share` times as large, with the same
    errors of the detector.
    """
    middle = walk.world_mm.mean((0, 1)) * [1, 1, 0]
    smaller = replace(walk, world_mm=(walk.world_mm - middle) * share + middle)
    exact = [one.exact().keypoints_px for one in (walk, smaller)]
    noise = walk.keypoints_px - exact[0]
    later_s = walk.t_s - walk.t_s[0] + walk.t_s[-1] + INTERVAL_S + pause_s
    twice = {
        name: np.concatenate([getattr(walk, name)] * 2)
        for name in ("view_from_world", "translation_mm", "focal_px", "confidence")
    }
    return replace(
        walk,
        t_s=np.concatenate([walk.t_s, later_s]),
        world_mm=np.concatenate([walk.world_mm, smaller.world_mm]),
        keypoints_px=np.concatenate([walk.keypoints_px, exact[1] + share * noise]),
        **twice,
    )
