"""2D observations of one person by V cameras over N instants, and the lifter's outputs.

They are the only input of self-calibration: no board, no ground truth; intrinsics if known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cvsf.multiview.guessed_keypoints import guessed_joints
from cvsf.multiview.intrinsics import Intrinsics
from cvsf.shapes import Bool, Float, Int
from cvsf.skeleton import Array, JointSet
from cvsf.system.progress import reported

Real = npt.NDArray[np.float64]

Lift = Callable[[Array, Array, Array], dict[str, Array]]
"""keypoints_px, confidence, image_px of (N, V) to the engine's outputs by name."""

_BATCH = 256  # instants; a guess, not measured
# guesses, not measured
_NEAR = 0.1  # of an interval: a stamp so near to an instant is that instant's
_MOST_GAP = 2.5  # usual intervals between which keypoints are interpolated
_PER_VIEW = ("keypoints_px", "confidence", "canonical", "view_from_canonical")
"""Arrays of lifted observations that depend on when a view took its picture."""

_FOR_ALL = ("joint_set", "cameras", "intrinsics")  # of all instants


WINDOW = 512
"""Instants that are computed at a time, so that memory is bounded however long a take is: their
normal equations with six panning cameras are 22 MB. A guess, not measured."""


def windows(instants: int) -> list[slice]:
    """The instants in stretches of `WINDOW` or fewer, in order; one empty one for none."""
    return [slice(at, at + WINDOW) for at in range(0, max(instants, 1), WINDOW)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """N instants of V views; a view that did not see the person has confidence 0."""

    joint_set: JointSet
    cameras: tuple[str, ...]  # V names, in the order of the view axis
    image_px: Float[Array, "N V 2"]
    """Width and height; 0 where the view has no picture."""
    t_s: Float[Real, "N"]
    """Ascending."""
    keypoints_px: Float[Array, "N V J 2"]
    confidence: Float[Array, "N V J"]

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def size_px(self) -> Float[Array, "V 2"]:
        """Width and height (px) of every camera's pictures, the largest over the instants; 0 where
        no instant has any.
        """
        return np.asarray(self.image_px.max(0, initial=0))

    @property
    def interval_s(self) -> float:
        """Median interval (s) of the instants; infinite for fewer than two."""
        return float(np.median(np.diff(self.t_s))) if len(self.t_s) > 1 else np.inf

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """The instants of a mask, an index array or a slice, as new observations. With a slice the
        arrays share memory with these; with a mask or indices they are copies.
        """
        return replace(self, **{name: getattr(self, name)[rows] for name in self._per_instant()})

    def of_views(self, views: Sequence[int]) -> Self:
        """The same instants with only the views of these indices, in this order. IndexError of an
        unknown index.
        """
        index = list(views)
        arrays = {
            name: getattr(self, name)[:, index] for name in self._per_instant() if name != "t_s"
        }
        return replace(self, cameras=tuple(self.cameras[view] for view in index), **arrays)

    def _per_instant(self) -> tuple[str, ...]:
        """Fields with a leading axis of instants."""
        return tuple(f.name for f in fields(self) if f.name not in _FOR_ALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftedObservations(Observations):
    """Observations, and what the lifter gives for each view alone."""

    canonical: Float[Array, "N V J 3"]
    """Body frame, unit scale."""
    view_from_canonical: Float[Array, "N V 3 3"]
    intrinsics: Intrinsics | None = None
    """None if nothing is known of any lens."""

    @property
    def is_lens_known(self) -> Bool[npt.NDArray[np.bool_], "V"]:
        """The cameras whose intrinsics are known."""
        unknown = np.zeros(len(self.cameras), bool)
        return unknown if self.intrinsics is None else self.intrinsics.is_known

    def of_views(self, views: Sequence[int]) -> Self:
        """The same instants with only the views of these indices, in this order. IndexError of an
        unknown index.
        """
        known = self.intrinsics
        found = super(LiftedObservations, self).of_views(views)
        return replace(found, intrinsics=None if known is None else known.of_views(views))

    def mirrored(self) -> Self:
        """The lifted poses reflected in depth, which have the same 2D (Necker's reversal): z of the
        canonical pose and z of each view change their sign. A new object; keypoints stay, and share
        their memory.
        """
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
    t_s: Float[Real, "N"],
    arrays: tuple[Float[Array, "N V J 2"], Float[Array, "N V J"], Float[Array, "N V 2"]],
) -> LiftedObservations:
    """Observations with the lifter's canonical pose (unit scale) and view_from_canonical of each
    view. `arrays` are the lifter's inputs: keypoints (px), confidence, and width and height (px);
    `t_s` is in s, ascending. Joints that a view guesses in the median are not lifted from; their
    confidence stays in the result. `lift` is called for at most 256 instants at once; ValueError
    without instants.
    """
    keypoints, confidence, image = arrays
    seen = np.where(guessed_joints(confidence), np.float32(0), confidence)
    lifted = [
        lift(keypoints[at : at + _BATCH], seen[at : at + _BATCH], image[at : at + _BATCH])
        for at in reported("lifting poses", range(0, len(confidence), _BATCH))
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


def time_aligned(observations: LiftedObservations, delay_s: Float[Real, "V"]) -> LiftedObservations:
    """The observations with each camera's keypoints (px) interpolated to the stamp `t_s - delay_s`,
    at which it shows what happened at `t_s`. `delay_s` (s) is the time offset of each camera:
    positive if the picture is taken later than its stamp. Beyond the first and last instant the
    line of the nearest two is continued, by at most one interval; farther out the confidence is 0.

    Nothing is interpolated across a pause of the recording. A keypoint that was not observed at
    both neighbours in time is taken from the nearer one if that
    is within a tenth of an interval, else it has confidence 0. The lifter's outputs are those of
    the nearer instant. The same object is returned if all offsets are 0 or there are fewer than two
    instants.
    """
    if not delay_s.any() or len(observations) < 2:
        return observations
    usual_s = observations.interval_s
    arrays = {name: getattr(observations, name).copy() for name in _PER_VIEW}
    for view in np.flatnonzero(delay_s):
        low, share = _between(observations.t_s, observations.t_s - delay_s[view])
        near = np.where(share < 0.5, low, low + 1)
        for array in arrays.values():
            array[:, view] = array[near, view]
        confidence = observations.confidence[:, view]
        step_s = np.diff(observations.t_s)[low]
        is_pause = (step_s > _MOST_GAP * usual_s)[:, None]
        both = np.where(is_pause, 0, np.minimum(confidence[low], confidence[low + 1]))
        before, after = (observations.keypoints_px[low + step, view] for step in (0, 1))
        away_s = step_s * np.minimum(np.abs(share), np.abs(1 - share))
        is_near = (away_s < _NEAR * usual_s)[:, None]
        within = (share >= -1) & (share <= 2)
        arrays["keypoints_px"][:, view] = np.where(
            (both > 0)[..., None],
            before + share[:, None, None] * (after - before),
            arrays["keypoints_px"][:, view],
        )
        arrays["confidence"][:, view] = within[:, None] * np.where(
            both > 0, both, is_near * confidence[near]
        )
    return replace(observations, **arrays)


def _between(
    t_s: Float[Real, "N"], wanted_s: Float[Real, "M"]
) -> tuple[Int[npt.NDArray[np.intp], "M"], Float[Real, "M"]]:
    """The instant before each wanted time, and the share of the interval to the next one."""
    low = np.clip(np.searchsorted(t_s, wanted_s, side="right") - 1, 0, len(t_s) - 2)
    return low, (wanted_s - t_s[low]) / np.maximum(t_s[low + 1] - t_s[low], 1e-9)
