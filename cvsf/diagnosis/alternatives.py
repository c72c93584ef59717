"""Alternatives to still cameras that do not explain all observations, tried one after another.

Each takes an attempt and returns a better one, or the same.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.diagnosis.attempt import Attempt, Options, attempt, examined
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.diagnosis.view_faults import fault_of
from cvsf.multiview.observations import LiftedObservations
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# guesses, not measured
_BETTER = 0.95  # times the misfit: a better attempt
_LEAST_VIEWS = 4  # for one to be left out
_ROUNDS = 3  # of leaving out spans
_MOST_SPANS = 0.6  # of the instants of a view: it is better left out altogether
_PARTS, _LEAST_PART_S = 3, 2.5
_ANOTHER = "another person, or keypoints that fit no camera"


def with_delays(best: Attempt, options: Options) -> Attempt:
    """With the delays that canonical poses show, sharpened by the adjustment of the cameras; if
    that is better.
    """
    coarse = canonical_delays(best.observations)
    starts = [np.where(coarse.is_clear, coarse.delay_s, 0.0)]
    if starts[0].any() and best.calibration is not None and best.has_delay:
        starts.append(np.zeros_like(starts[0]))  # a small delay is found from 0
    sharpened = replace(options, offsets=True)
    for start in starts:
        tried = attempt(best.observations, sharpened, start)
        if tried.is_sound:
            return tried
        best = _better(best, tried)
    return best


def without_spans(best: Attempt, options: Options) -> Attempt:
    """Without the views of instants that disagree with the others for some time, if that is better.
    A view that disagrees for most of the take is kept as it is.
    """
    whole, outlier = best, best.outlier
    for _ in range(_ROUNDS):
        if best.calibration is None or not outlier.any():
            return best
        if (replace(whole, outlier=outlier).agreement < 1 - _MOST_SPANS).any():
            return whole
        observations = _without(whole.observations, outlier, best.delay_s)
        delayed = replace(options, offsets=options.offsets or bool(best.delay_s.any()))
        tried = replace(attempt(observations, delayed, best.delay_s), spans=_ANOTHER)
        best = _better(best, replace(tried, left_out=whole.left_out))
        if tried.calibration is None:
            return best
        again = examined(whole.observations, tried.calibration).outlier
        if (again == outlier).all():
            return best
        outlier = again
    return best


def without_a_view(best: Attempt, options: Options) -> Attempt:
    """Without the one view whose absence makes the others fit, and what is wrong with it."""
    views = len(best.observations.cameras)
    if views < _LEAST_VIEWS:
        return best
    found: list[tuple[int, Attempt]] = []
    for view in _suspects(best):
        others = [other for other in range(views) if other != view]
        observations = best.observations.of_views(others)
        tried = attempt(observations, options, best.delay_s[others])
        if not tried.is_sound and tried.has_delay:
            tried = with_delays(tried, options)
        if not tried.is_sound and tried.outlier.any():
            tried = without_spans(tried, options)
        if tried.is_sound:
            found.append((view, tried))
            break
    if not found:
        return best
    view, tried = min(found, key=lambda each: each[1].misfit)
    reason = fault_of(best.observations, view, tried)
    return replace(tried, left_out={**best.left_out, best.observations.cameras[view]: reason})


def of_a_part(best: Attempt, options: Options) -> Attempt:
    """The cameras of a part of the take that explain most of it, without the views of instants that
    they do not explain.
    """
    t_s = best.observations.t_s
    parts = min(_PARTS, int((t_s[-1] - t_s[0]) / _LEAST_PART_S))
    if parts < 2:
        return best
    tries = []
    for rows in np.array_split(np.arange(len(t_s)), parts):
        tried = attempt(best.observations.take(rows), options)
        if tried.calibration is not None and not tried.refused:
            tries.append(examined(best.observations, tried.calibration))
    if not tries:
        return best
    part = min(tries, key=lambda tried: float(tried.outlier.mean()))
    return _better(best, without_spans(part, options))


def _better(best: Attempt, tried: Attempt) -> Attempt:
    if tried.is_sound or best.calibration is None:
        return tried
    worse_refused = bool(tried.refused) and not best.refused
    return tried if tried.misfit < _BETTER * best.misfit and not worse_refused else best


def _suspects(best: Attempt) -> list[int]:
    """The views, the one that disagrees most first: by canonical poses and by pixels."""
    poses = canonical_delays(best.observations).agreement
    error = best.error_share
    pixels = error / np.median(error) if np.isfinite(error).all() else np.ones(len(error))
    return [int(view) for view in np.argsort(-(pixels + poses / np.median(poses)))]


def _without(
    observations: LiftedObservations, outlier: Bool[Mask, "N V"], delay_s: Float[Real, "V"]
) -> LiftedObservations:
    """Confidence 0 where a view's time-aligned instants are outliers."""
    confidence = observations.confidence.copy()
    for view, delay in enumerate(delay_s):
        at = np.searchsorted(observations.t_s, observations.t_s + delay)
        rows = np.clip(at, 0, len(observations) - 1)
        confidence[outlier[rows, view], view] = 0
    return replace(observations, confidence=confidence)
