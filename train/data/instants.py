"""Observations as training and scoring use them: where they are from, the truth, pseudo-labels.

2D and confidence are what a label-free method may use; the truth is kept apart and only scored by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from cvsf.evaluation.ground_truth import PER_VIEW, GroundTruth
from cvsf.multiview.lens_distortion import COEFFICIENTS
from cvsf.multiview.observations import Observations
from cvsf.skeleton import Array
from cvsf.system.errors import Refusal

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoLabels:
    """Every joint as found with the session's own cameras (train.batches.pseudo_labels).

    No truth is in it. The unit is the athlete's trunk and leg together; a residual is a share of
    the person's extent in the picture.
    """

    joints: Float[Array, "N V J 3"]
    """In each view's own axes."""
    deviation: Float[Array, "N V J"]
    """One standard deviation."""
    residual: Float[Array, "N V J 2"]
    """Observed minus projected, 0 where not observed."""
    up: Float[Array, "N V 3"]
    """The world's vertical in the view's axes."""
    focal_px: Float[Array, "N V"]

    def each(self, change: Callable[[Array], Array]) -> "PseudoLabels":
        """New pseudo-labels, the function `change` applied to each of the five arrays."""
        return PseudoLabels(**{f.name: change(getattr(self, f.name)) for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings(Observations):
    """Observations in joint set h36m-16 of one or several sessions, with what is known of them."""

    session: tuple[str, ...]  # (N,) where the instant was recorded
    subject: tuple[str, ...]  # (N,) who, "" where unknown
    truth: GroundTruth = field(default_factory=GroundTruth)
    pseudo_labels: PseudoLabels | None = None
    given_K: Float[Real, "N V 3 3"] | None = None
    """Camera matrices that are known, for pictures of `image_px`; NaN where unknown."""
    given_distortion: Float[Real, "N V 5"] | None = None
    """k1, k2, p1, p2, k3 in OpenCV's order; NaN where unknown."""

    @property
    def sessions(self) -> tuple[str, ...]:
        """Names of the sessions, each once, in order of appearance."""
        return tuple(dict.fromkeys(self.session))

    def take(self, rows: npt.NDArray[Any] | slice) -> "Recordings":
        """The instants of a mask, an index array or a slice, with truth and pseudo-labels; possibly
        none. Arrays are copies, with a slice too; the truth's still rig is shared. IndexError for a
        number beyond the last instant.
        """
        index, labels = np.arange(len(self))[rows], self.pseudo_labels
        return replace(
            Observations.take(self._without_lenses(), index),
            session=tuple(self.session[i] for i in index),
            subject=tuple(self.subject[i] for i in index),
            truth=self.truth.take(index),
            pseudo_labels=labels and labels.each(lambda array: array[index]),
            given_K=_changed(self.given_K, lambda array: array[index]),
            given_distortion=_changed(self.given_distortion, lambda array: array[index]),
        )

    def of_views(self, views: Sequence[int]) -> "Recordings":
        """The same instants with only the views of these indices, in this order, truth and
        pseudo-labels too. Arrays are copies, but times and names of sessions and subjects are
        shared. IndexError for a view that is not there.
        """
        index, labels = list(views), self.pseudo_labels
        return replace(
            Observations.of_views(self._without_lenses(), index),
            truth=self.truth.of_views(index),
            pseudo_labels=labels and labels.each(lambda array: array[:, index]),
            given_K=_changed(self.given_K, lambda array: array[:, index]),
            given_distortion=_changed(self.given_distortion, lambda array: array[:, index]),
        )

    def one_view_each(self, view: Int[npt.NDArray[np.int64], "N"]) -> "Recordings":
        """Each instant with only the view of that index, so one view named "any". Pseudo-labels are
        of that view; the ground truth is left out. Arrays are copies, but times are shared.
        IndexError for a view that is not there.
        """
        rows, labels = np.arange(len(self)), self.pseudo_labels

        def pick(array: Array) -> Array:
            return array[rows, view][:, None]

        return replace(
            self,
            cameras=("any",),
            keypoints_px=pick(self.keypoints_px),
            confidence=pick(self.confidence),
            image_px=pick(self.image_px),
            truth=GroundTruth(),
            pseudo_labels=labels and labels.each(pick),
            given_K=None,
            given_distortion=None,
        )

    def of_subjects(self, names: Sequence[str], *, without: bool = False) -> "Recordings":
        """The instants of the named subjects, or with `without` of all others. Refusal, with
        `without` too, if a name is unknown or nothing is left.
        """
        there = set(self.subject)
        if unknown := [name for name in names if name not in there]:
            raise Refusal(
                f"no instant is of subject {unknown[0]!r}, "
                f"expected some of {', '.join(sorted(there))}"
            )
        chosen = self.take(np.array([(s in names) != without for s in self.subject], bool))
        if not len(chosen):
            raise Refusal("no instant is left after the choice of subjects; name fewer or others")
        return chosen

    def _without_lenses(self) -> "Recordings":
        return replace(self, given_K=None, given_distortion=None)

    def _per_instant(self) -> tuple[str, ...]:
        """Arrays with a leading axis of instants."""
        return tuple(f.name for f in fields(Observations) if f.name not in ("joint_set", "cameras"))


def _changed(array: Real | None, change: Callable[[Real], Real]) -> Real | None:
    return None if array is None else change(array)


def joined(parts: Sequence[Recordings]) -> Recordings:
    """Several recordings as one, with as many views as the one with most; views added have
    confidence 0 and truth NaN. A single recording is returned as it is; ValueError if there are
    none.

    Only what is known of every part stays known, but for given lenses. True cameras are those of
    one recording and are left out, and so are pseudo-labels. Names of cameras are those of the part
    with most views.
    """
    if len(parts) == 1:
        return parts[0]
    largest = max(parts, key=lambda part: part.confidence.shape[1])
    views = largest.confidence.shape[1]

    def stack(arrays: Sequence[npt.NDArray[Any] | None], fill: float = 0.0) -> Any:
        if any(array is None for array in arrays):
            return None
        return np.concatenate([_padded(a, views, fill) for a in arrays if a is not None])

    def given(
        arrays: Sequence[tuple[Recordings, Real | None]], shape: tuple[int, ...]
    ) -> Real | None:
        if all(array is None for _, array in arrays):
            return None
        unknown = [np.full((*p.confidence.shape[:2], *shape), np.nan) for p, _ in arrays]
        known = [u if a is None else a for u, (_, a) in zip(unknown, arrays, strict=True)]
        return cast(Real, stack(known, np.nan))

    return Recordings(
        joint_set=largest.joint_set,
        cameras=largest.cameras,
        keypoints_px=stack([p.keypoints_px for p in parts]),
        confidence=stack([p.confidence for p in parts]),
        image_px=stack([p.image_px for p in parts]),
        session=tuple(s for p in parts for s in p.session),
        subject=tuple(s for p in parts for s in p.subject),
        t_s=np.concatenate([p.t_s for p in parts]),
        truth=GroundTruth(
            **{name: stack([getattr(p.truth, name) for p in parts], np.nan) for name in PER_VIEW}
        ),
        given_K=given([(p, p.given_K) for p in parts], (3, 3)),
        given_distortion=given([(p, p.given_distortion) for p in parts], (COEFFICIENTS,)),
    )


def _padded(array: npt.NDArray[Any], views: int, fill: float) -> npt.NDArray[Any]:
    width = [(0, 0)] * array.ndim
    width[1] = (0, views - array.shape[1])
    return np.pad(array, width, constant_values=fill)
