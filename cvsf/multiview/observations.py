"""What V cameras saw of one person over N instants, and what the lifter made of each view alone.

It is all that self-calibration knows: no board, no intrinsics, no truth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import Array, JointSet

Real = npt.NDArray[np.float64]

Lift = Callable[[Array, Array, Array], dict[str, Array]]
"""keypoints_px, confidence, image_px of (N, V) to the engine's outputs by name."""

_BATCH = 256
_Some = TypeVar("_Some", bound="Observations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """N instants of V views; a view that did not see the person is confidence 0."""

    joint_set: JointSet
    cameras: tuple[str, ...]  # V names, in the order of the view axis
    image_px: Array  # (N, V, 2) width, height; 0 where the view has no picture
    t_s: Real  # (N,) rising
    keypoints_px: Array  # (N, V, J, 2)
    confidence: Array  # (N, V, J)

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def size_px(self) -> Array:
        """Width and height of every camera's pictures, (V, 2); 0 where no instant has any."""
        return np.asarray(self.image_px.max(0))

    def take(self: _Some, rows: npt.NDArray[Any] | slice) -> _Some:
        """The instants of a mask, an index array or a slice."""
        return replace(self, **{name: getattr(self, name)[rows] for name in self._per_instant()})

    def of_views(self: _Some, views: Sequence[int]) -> _Some:
        """The same instants as only some of the cameras observed them."""
        index = list(views)
        arrays = {
            name: getattr(self, name)[:, index] for name in self._per_instant() if name != "t_s"
        }
        return replace(self, cameras=tuple(self.cameras[view] for view in index), **arrays)

    def _per_instant(self) -> tuple[str, ...]:
        """Fields with a leading axis of instants."""
        return tuple(f.name for f in fields(self) if f.name not in ("joint_set", "cameras"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftedObservations(Observations):
    """Observations and what the lifter made of each view alone."""

    canonical: Array  # (N, V, J, 3) body frame, unit scale
    view_from_canonical: Array  # (N, V, 3, 3)

    def mirrored(self) -> "LiftedObservations":
        """As if the lifter had taken near for far all along; 2D cannot tell (Necker's reversal)."""
        flip = np.array([1, 1, -1], np.float32)
        return replace(
            self,
            canonical=self.canonical * flip,
            view_from_canonical=flip[:, None] * self.view_from_canonical * flip,
        )


def lift_observations(
    lift: Lift,
    joint_set: JointSet,
    cameras: tuple[str, ...],
    t_s: Real,
    pixels: tuple[Array, Array, Array],
) -> LiftedObservations:
    """Lift what was seen: keypoints_px (N, V, J, 2), confidence (N, V, J), image_px (N, V, 2)."""
    keypoints, confidence, image = pixels
    lifted = [
        lift(keypoints[at : at + _BATCH], confidence[at : at + _BATCH], image[at : at + _BATCH])
        for at in range(0, len(confidence), _BATCH)
    ]
    return LiftedObservations(
        joint_set=joint_set,
        cameras=cameras,
        image_px=image,
        t_s=t_s,
        keypoints_px=keypoints,
        confidence=confidence,
        canonical=np.concatenate([part["canonical"] for part in lifted]),
        view_from_canonical=np.concatenate([part["view_from_canonical"] for part in lifted]),
    )


def in_step(observations: LiftedObservations, delay_s: Real) -> LiftedObservations:
    """The same with every late camera's keypoints taken at the instants' own time."""
    if not delay_s.any() or len(observations) < 2:
        return observations
    keypoints = observations.keypoints_px.copy()
    for view, delay in enumerate(delay_s):
        low, share = _between(observations.t_s, observations.t_s - delay)
        both = (observations.confidence[low, view] > 0) & (
            observations.confidence[low + 1, view] > 0
        )
        a, b = observations.keypoints_px[low, view], observations.keypoints_px[low + 1, view]
        moved = a + share[:, None, None] * (b - a)
        keypoints[:, view] = np.where(both[..., None], moved, keypoints[:, view])
    return replace(observations, keypoints_px=keypoints)


def _between(t_s: Real, wanted_s: Real) -> tuple[npt.NDArray[np.intp], Real]:
    low = np.clip(np.searchsorted(t_s, wanted_s, side="right") - 1, 0, len(t_s) - 2)
    share = (wanted_s - t_s[low]) / np.maximum(t_s[low + 1] - t_s[low], 1e-9)
    return low, np.clip(share, -1.0, 2.0)
