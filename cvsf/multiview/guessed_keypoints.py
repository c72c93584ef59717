"""Which keypoints are evidence: a detector guesses joints that it does not see.

Its confidence near its floor says so: MoveNet gives 0.06 to 0.2 to legs outside the picture, 0.6 to
0.8 to what it sees.
"""

import warnings

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Bool, Float
from cvsf.skeleton import Array

Mask = npt.NDArray[np.bool_]

# guesses, not measured
_USUAL, _GUESSED, _GUESSED_JOINT = 0.9, 0.25, 0.3
"""Quantile over all views that is a detector's usual confidence; shares of it below which a
keypoint is guessed, and a joint, by its median in a view."""


def guessed_keypoints(confidence: Float[Array, "N V J"]) -> Bool[Mask, "N V J"]:
    """Keypoints of a confidence near the detector's floor, and all those of joints that a view
    guesses in the median.
    """
    return np.asarray((confidence < _GUESSED * _usual(confidence)) | guessed_joints(confidence))


def guessed_joints(confidence: Float[Array, "N V J"]) -> Bool[Mask, "V J"]:
    """Joints that a view guesses in the median, such as legs outside its picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # never observed: NaN
        middle = np.nanmedian(np.where(confidence > 0, confidence, np.nan), axis=0)
    return np.asarray(middle < _GUESSED_JOINT * _usual(confidence))


def _usual(confidence: Float[Array, "N V J"]) -> float:
    known = confidence[confidence > 0]
    return float(np.quantile(known, _USUAL)) if len(known) else 0.0
