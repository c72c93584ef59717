"""Two views that are exchanged with each other for a part of the take, exchanged back."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from cvsf.diagnosis.attempt import Attempt, Options, attempt
from cvsf.diagnosis.epipolar_errors import better_instants, epipolar_errors, near_edges, spans
from cvsf.diagnosis.omissions import best_part, without, without_spans
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.shapes import Bool

Mask = npt.NDArray[np.bool_]

# guesses, not measured
_LEAST_EXCHANGED = 3  # views, of which two may be exchanged
_EXCHANGED = 0.6  # times the epipolar errors: two views are exchanged
_PER_VIEW = ("keypoints_px", "confidence", "canonical", "view_from_canonical")


def with_exchanged(best: Attempt, options: Options) -> Attempt:
    """With two views exchanged back where they are exchanged, by the cameras of the attempt or of a
    part of the take; only if that is sound.
    """
    if len(best.observations.cameras) < _LEAST_EXCHANGED:
        return best
    tried = best if best.calibration is None else _exchanged_back(best, options)
    if not tried.is_sound:
        part = best_part(best, options)
        tried = best if part is None else _exchanged_back(part, options)
    return tried if tried.is_sound and tried.corrected != best.corrected else best


def _exchanged_back(part: Attempt, options: Options) -> Attempt:
    """With the two views exchanged that explain most, at the instants where that is better."""
    assert part.calibration is not None
    rig, whole = part.calibration.rig, part.observations
    always = np.ones(len(whole), bool)
    errors = epipolar_errors(time_aligned(whole, rig.delay_s), rig)
    best, least = None, _EXCHANGED
    for a, b in combinations(range(len(whole.cameras)), 2):
        exchanged = time_aligned(_exchange(whole, a, b, always), rig.delay_s)
        rows, ratio = better_instants(errors, epipolar_errors(exchanged, rig), whole.t_s)
        if ratio < least:
            best, least = (a, b, rows), ratio
    if best is None:
        return part
    a, b, rows = best
    outlier = np.zeros((len(whole), len(whole.cameras)), bool)
    outlier[:, [a, b]] = near_edges(rows, whole.t_s)[:, None]
    swapped_back = without(_exchange(whole, a, b, rows), outlier, np.zeros(outlier.shape[1]))
    tried = attempt(swapped_back, options, rig.delay_s)
    names, when = (whole.cameras[a], whole.cameras[b]), spans(rows, whole.t_s)
    corrected = {
        one: f"exchanged with {other} from {when}; exchanged back"
        for one, other in (names, names[::-1])
    }
    tried = replace(tried.after(part), corrected={**part.corrected, **corrected})
    return tried if tried.is_sound else without_spans(tried, options)


def _exchange(
    observations: LiftedObservations, a: int, b: int, rows: Bool[Mask, "N"]
) -> LiftedObservations:
    """Two views with each other's keypoints at some instants; pictures have one size a camera."""
    arrays = {name: getattr(observations, name).copy() for name in _PER_VIEW}
    for name, array in arrays.items():
        before = getattr(observations, name)
        array[rows, a], array[rows, b] = before[rows, b], before[rows, a]
    return replace(observations, **arrays)
