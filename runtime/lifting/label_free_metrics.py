"""Label-free metrics: agreement of the views, spread of bone lengths, reprojection error.

All are shares, and lower is better. A lifter with the same output for every input has perfect
agreement, but a high reprojection error.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvsf.engine.engine import Lifted
from cvsf.evaluation.metrics import Real, multiview_agreement
from cvsf.messages import MultiviewPose
from cvsf.shapes import Float
from cvsf.skeleton import Array, joint_set

MEASURES = ("agreement", "reprojection")
"""The metrics by which engines are compared."""
_LEAST_CONFIDENCE, _MOST_JOINTS = 0.3, 0.75
"""A view is complete if at least this share of the joints has more than this confidence; guesses,
not measured.
"""
_BLOCKS = 20
"""Number of parts of a window whose means give its standard error; neighbouring instants are not
independent. A guess, not measured.
"""
LEAST = _BLOCKS
"""Instants that a window must hold to be compared."""
_STANDARD_ERRORS = 2.0
"""By which an engine must be worse than the margin: 98 % of normal errors are within."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The label-free metrics of one engine on one instant."""

    agreement: float  # distance of the views' poses from their mean, over its RMS radius
    reprojection: (
        float  # error of each view's pose at the best scale and shift, over the size in the picture
    )
    bones: Float[Real, "V bones"]  # lengths, trunk + leg = 1


_NO_BODY = 100.0
"""Coordinate instead of one that is not finite, in shares of trunk and leg: a large error."""


def complete_views(pose: MultiviewPose) -> list[int]:
    """Indices of the complete views: at least 75 % of the joints with a confidence above 0.3.

    Empty if there is none.
    """
    return [
        int(v)
        for v in np.flatnonzero((pose.confidence > _LEAST_CONFIDENCE).mean(1) >= _MOST_JOINTS)
    ]


def measured(pose: MultiviewPose, lifted: Lifted, views: list[int]) -> Measured:
    """The metrics of the instant in `views` (indices in the pose), as the engine lifted it.

    All are shares without unit: `agreement` and `reprojection` one number each, `bones` a length
    for each view and bone, in the lifter's unit scale. Values of the lifter that are not finite
    count as a large error. `views` must not be empty; with one view the agreement says nothing.
    """
    canonical = lifted.canonical[views].astype(float)
    confidence = pose.confidence[views].astype(float)
    parent, child = (list(e) for e in zip(*joint_set(pose.joint_set).bones, strict=True))
    canonical = np.nan_to_num(canonical, nan=_NO_BODY, posinf=_NO_BODY, neginf=-_NO_BODY)
    in_views = canonical @ np.nan_to_num(np.swapaxes(lifted.view_from_canonical[views], -1, -2))
    return Measured(
        agreement=float(multiview_agreement(canonical, confidence)),
        reprojection=float(
            _reprojection_error(in_views[..., :2], pose.keypoints_px[views], confidence).mean()
        ),
        bones=np.linalg.norm(canonical[:, child] - canonical[:, parent], axis=-1),
    )


class Window:
    """The last instants, measured with the live engine and with the previous one."""

    def __init__(self, instants: int) -> None:
        self._present: deque[Measured] = deque(maxlen=instants)
        self._before: deque[Measured] = deque(maxlen=instants)

    def note(self, present: Measured, before: Measured | None) -> None:
        """Add an instant; above the size of the window, the oldest leaves it.

        Instants that only one of the two engines measured are not compared: without `before` the
        previous engine's are dropped, and when it is measured again, both begin anew.
        """
        if before is None:
            self._before.clear()
        elif len(self._before) < len(self._present):
            self._present.clear()
            self._before.clear()
        self._present.append(present)
        if before is not None:
            self._before.append(before)

    def __len__(self) -> int:
        return len(self._present)

    @property
    def is_full(self) -> bool:
        """Whether as many instants as it holds were measured with both engines, in a row."""
        return len(self._before) == self._present.maxlen

    def present(self) -> dict[str, Any]:
        """Means of the label-free metrics of the live engine, by key; None for each in an empty
        window.

        `bones` is the spread of the bone lengths over their mean.
        """
        return _summary(self._present)

    def before(self) -> dict[str, Any]:
        """Means of the label-free metrics of the previous engine, on the same instants, by key.

        None for each if it was not measured.
        """
        return _summary(self._before)

    def worse(self, margin: float) -> str | None:
        """The first measure by which the live engine is worse than the previous one, as text; else
        None.

        The text is such as `agreement 12 % worse over 600 instants`. Agreement is tested before
        reprojection; bones are not tested. Worse is a mean that is larger than (1 + `margin`) times
        the previous engine's by more than two standard errors. Call it on a full window only
        (`is_full`).
        """
        for name in MEASURES:
            present, previous = (
                np.array([getattr(one, name) for one in of]) for of in (self._present, self._before)
            )
            over = present - (1 + margin) * previous
            parts = np.array([part.mean() for part in np.array_split(over, _BLOCKS)])
            standard_error = parts.std(ddof=1) / np.sqrt(len(parts))
            if over.mean() - _STANDARD_ERRORS * standard_error > 0:
                share = 100 * (present.mean() / max(previous.mean(), _TINY) - 1)
                return f"{name} {share:.0f} % worse over {len(present)} instants"
        return None


def _summary(of: deque[Measured]) -> dict[str, Any]:
    if not of:
        return dict.fromkeys((*MEASURES, "bones"))
    lengths = np.concatenate([one.bones for one in of])
    spread = lengths.std(0) / np.maximum(lengths.mean(0), _TINY)
    means = {name: float(np.mean([getattr(one, name) for one in of])) for name in MEASURES}
    return {
        name: round(value, 4) for name, value in (means | {"bones": float(spread.mean())}).items()
    }


def _reprojection_error(
    projected: Float[Real, "V J 2"],
    keypoints_px: Float[Array, "V J 2"],
    confidence: Float[Real, "V J"],
) -> Float[Real, "V"]:
    """Distance of poses from keypoints at the best scale and shift, RMS over RMS."""
    weight = (confidence / np.maximum(confidence.sum(-1, keepdims=True), _TINY))[..., None]
    projected = projected - (weight * projected).sum(-2, keepdims=True)
    observed = keypoints_px - (weight * keypoints_px).sum(-2, keepdims=True)
    size = (weight * np.square(projected)).sum((-2, -1))
    scale = (weight * projected * observed).sum((-2, -1)) / np.maximum(size, _TINY)
    residual = observed - scale[:, None, None] * projected
    spread = np.maximum((weight * np.square(observed)).sum((-2, -1)), _TINY)
    return np.asarray(np.sqrt((weight * np.square(residual)).sum((-2, -1)) / spread))
