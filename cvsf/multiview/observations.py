"""What V cameras saw of one person over N instants, and what the lifter made of each view alone.

It is all that self-calibration knows: no board, no intrinsics, no truth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import Array, JointSet

Real = npt.NDArray[np.float64]

Lift = Callable[[Array, Array, Array], dict[str, Array]]
"""keypoints_px, confidence, image_px of (N, V) to the engine's outputs by name."""

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """N instants of one take; a view that did not see the person is confidence 0."""

    joint_set: JointSet
    cameras: tuple[str, ...]  # V names, in the order of the view axis
    image_px: Array  # (V, 2) width, height
    t_s: Real  # (N,) rising
    keypoints_px: Array  # (N, V, J, 2)
    confidence: Array  # (N, V, J)
    canonical: Array  # (N, V, J, 3) body frame, unit scale, each view lifted
    view_from_canonical: Array  # (N, V, 3, 3)

    def __len__(self) -> int:
        return len(self.confidence)

    def take(self, rows: npt.NDArray[Any] | slice) -> "Sightings":
        """The instants of a mask, an index array or a slice."""
        return replace(
            self,
            t_s=self.t_s[rows],
            keypoints_px=self.keypoints_px[rows],
            confidence=self.confidence[rows],
            canonical=self.canonical[rows],
            view_from_canonical=self.view_from_canonical[rows],
        )

    def of_views(self, views: Sequence[int]) -> "Sightings":
        """The same instants as only some of the cameras saw them."""
        index = list(views)
        return replace(
            self,
            cameras=tuple(self.cameras[view] for view in index),
            image_px=self.image_px[index],
            keypoints_px=self.keypoints_px[:, index],
            confidence=self.confidence[:, index],
            canonical=self.canonical[:, index],
            view_from_canonical=self.view_from_canonical[:, index],
        )

    def mirrored(self) -> "Sightings":
        """As if the lifter had taken near for far all along; 2D cannot tell (Necker's reversal)."""
        flip = np.array([1, 1, -1], np.float32)
        return replace(
            self,
            canonical=self.canonical * flip,
            view_from_canonical=flip[:, None] * self.view_from_canonical * flip,
        )


def sight(
    lift: Lift,
    joint_set: JointSet,
    cameras: tuple[str, ...],
    t_s: Real,
    pixels: tuple[Array, Array, Array],
) -> Sightings:
    """Lift what was seen: keypoints_px (N, V, J, 2), confidence (N, V, J), image_px (N, V, 2)."""
    keypoints, confidence, image = pixels
    lifted = [
        lift(keypoints[at : at + _BATCH], confidence[at : at + _BATCH], image[at : at + _BATCH])
        for at in range(0, len(confidence), _BATCH)
    ]
    return Sightings(
        joint_set=joint_set,
        cameras=cameras,
        image_px=image.max(0),  # 0 where an instant has no picture
        t_s=t_s,
        keypoints_px=keypoints,
        confidence=confidence,
        canonical=np.concatenate([part["canonical"] for part in lifted]),
        view_from_canonical=np.concatenate([part["view_from_canonical"] for part in lifted]),
    )


def in_step(sightings: Sightings, delay_s: Real) -> Sightings:
    """The same with every late camera's keypoints taken at the instants' own time."""
    if not delay_s.any() or len(sightings) < 2:
        return sightings
    keypoints = sightings.keypoints_px.copy()
    for view, delay in enumerate(delay_s):
        low, share = _between(sightings.t_s, sightings.t_s - delay)
        both = (sightings.confidence[low, view] > 0) & (sightings.confidence[low + 1, view] > 0)
        a, b = sightings.keypoints_px[low, view], sightings.keypoints_px[low + 1, view]
        moved = a + share[:, None, None] * (b - a)
        keypoints[:, view] = np.where(both[..., None], moved, keypoints[:, view])
    return replace(sightings, keypoints_px=keypoints)


def _between(t_s: Real, wanted_s: Real) -> tuple[npt.NDArray[np.intp], Real]:
    low = np.clip(np.searchsorted(t_s, wanted_s, side="right") - 1, 0, len(t_s) - 2)
    share = (wanted_s - t_s[low]) / np.maximum(t_s[low + 1] - t_s[low], 1e-9)
    return low, np.clip(share, -1.0, 2.0)
