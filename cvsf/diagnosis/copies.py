"""Views that are copies of another: one film given twice."""

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints

Real = npt.NDArray[np.float64]

# guesses, not measured
_SAME = 1e-3  # of the person's extent; two detectors, or two encodings of a film, differ more
_LEAST_SHARE, _LEAST_KEYPOINTS = 0.5, 50  # of the keypoints that both saw


def copies(observations: LiftedObservations) -> dict[int, int]:
    """View: the earlier view whose keypoints it has, in more than half of those that both saw."""
    keypoints = weighted_keypoints(observations, 1.0)
    found: dict[int, int] = {}
    for view in range(len(observations.cameras)):
        for other in range(view):
            both = (observations.confidence[:, [view, other]] > 0).all(1)
            if other in found or both.sum() < _LEAST_KEYPOINTS:
                continue
            apart = keypoints.keypoints_px[:, view] - keypoints.keypoints_px[:, other]
            same = np.linalg.norm(apart, axis=-1) < _SAME * keypoints.extent_px[:, view, None]
            if same[both].mean() > _LEAST_SHARE:
                found[view] = other
                break
    return found
