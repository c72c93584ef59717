"""Still cameras without some of the observations: spans of a view, a whole view, or all but a part.

Each takes an attempt and returns a better one that names what it does without, or the same.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.mirror_ambiguity import PAIR
from cvsf.diagnosis.alternatives import better, with_delays
from cvsf.diagnosis.attempt import Attempt, Options, attempt, examined
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.diagnosis.delay_drift import changed_delay
from cvsf.diagnosis.epipolar_errors import spans
from cvsf.diagnosis.view_faults import (
    ELSEWHERE,
    MIRRORED,
    MIRRORED_BACK,
    PARTLY,
    fault_of,
    instants_that_fit,
    mirrored_back,
)
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# guesses, not measured
_LEAST_VIEWS = 4  # for one to be left out
_ROUNDS = 3  # of leaving out spans
_MOST_SPANS = 0.6  # of the instants of a view: it is better left out altogether
_MOST_UNDECIDED = 0.05  # of the instants
_MOST_LATE = 0.05  # of the instants of a view with a delay
_PARTS, _LEAST_PART_S = 3, 2.5
_NEAR_S = 0.5  # of the delay that was found
_SUSPICIOUS_NOISE, _FAR_BETTER = 0.012, 0.5  # over the person's extent; of the noise of all


def without_spans(best: Attempt, options: Options) -> Attempt:
    """Without the views of instants that clearly disagree with the others, if that is better.
    A view that disagrees for most of the take, or whose delay changes, is kept as it is; so is one
    with a delay that some seconds do not support.
    """
    whole, outlier = best, best.clear_outlier
    for _ in range(_ROUNDS):
        if best.calibration is None or not outlier.any():
            break
        agreement = replace(whole, clear_outlier=outlier).clear_agreement
        late = np.abs(best.delay_s) > best.interval_s
        if (agreement < np.where(late, 1 - _MOST_LATE, 1 - _MOST_SPANS)).any():
            return whole
        observations = without(whole.observations, outlier, best.delay_s)
        delayed = replace(options, offsets=options.offsets or bool(best.delay_s.any()))
        tried = attempt(observations, delayed, best.delay_s)
        tried = replace(tried.after(whole), has_spans=True)
        best = better(best, tried)
        if tried.calibration is None:
            break
        again = examined(whole.observations, tried.calibration).clear_outlier
        if (again == outlier).all():
            break
        outlier = again
    return whole if _delays_change(whole.observations, best) else best


def without_the_worst(best: Attempt, options: Options) -> Attempt:
    """Without the view that disagrees most, if the others fit then, all the time."""
    return _without_one_of(best, options, _suspects(best)[:1], spans_too=False)


def without_a_view(best: Attempt, options: Options) -> Attempt:
    """Without the one view whose absence makes the others fit, and what is wrong with it. A view
    that fits them for some time comes back without the rest.
    """
    return _without_one_of(best, options, _suspects(best), spans_too=True)


def of_a_part(best: Attempt, options: Options) -> Attempt:
    """The cameras of a part of the take that explain most of it, without the views of instants that
    they do not explain. Not of two views: other cameras explain a part of frames that were lost.
    """
    part = None if len(best.delay_s) == PAIR else best_part(best, options)
    return best if part is None else better(best, without_spans(part, options))


def hides_a_better_part(found: Attempt, options: Options) -> bool:
    """Whether a part of the take has cameras that fit it far better than those of the whole fit the
    whole, which are of more than one person, time or place then: right cameras fit the whole about
    as well as a part.
    """
    noise = np.inf if found.calibration is None else found.calibration.noise_share
    if noise < _SUSPICIOUS_NOISE:
        return False
    parts = (
        attempt(found.observations.take(rows), options, found.delay_s)
        for rows in _parts(found.observations.t_s)
    )
    return any(
        part.calibration is not None
        and not part.refused
        and part.calibration.noise_share < _FAR_BETTER * noise
        for part in parts
    )


def best_part(best: Attempt, options: Options) -> Attempt | None:
    """The cameras of a part of the take, applied to the whole take, with its outliers: of a sound
    part, if there is one, else of the part that leaves fewest outliers. Without delays, as those of
    an attempt that is not sound may be wrong; with them if no part is sound then.
    """
    found = _part_at(best, options, np.zeros_like(best.delay_s))
    if best.delay_s.any() and (found is None or not found[0]):
        found = _part_at(best, options, best.delay_s) or found
    return None if found is None else found[1]


def _part_at(
    best: Attempt, options: Options, delay_s: Float[Real, "V"]
) -> tuple[bool, Attempt] | None:
    """Whether the part is sound, and its cameras applied to the whole take; None without any."""
    tries: list[tuple[bool, float, int, Attempt]] = []
    for rows in _parts(best.observations.t_s):
        tried = attempt(best.observations.take(rows), options, delay_s)
        if tried.calibration is not None and not tried.refused:
            on_all = examined(best.observations, tried.calibration).after(best)
            tries.append((not tried.is_sound, float(on_all.outlier.mean()), len(tries), on_all))
    if not tries:
        return None
    unsound, *_, chosen = min(tries)
    return not unsound, chosen


def _parts(t_s: Float[Real, "N"]) -> list[npt.NDArray[np.intp]]:
    """The rows of three parts of a take, of fewer if it is short, of none if it has no two."""
    parts = min(_PARTS, int((t_s[-1] - t_s[0]) / _LEAST_PART_S))
    return np.array_split(np.arange(len(t_s)), parts) if parts > 1 else []


def without(
    observations: LiftedObservations, outlier: Bool[Mask, "N V"], delay_s: Float[Real, "V"]
) -> LiftedObservations:
    """Confidence 0 where a view's time-aligned instants are outliers."""
    confidence = observations.confidence.copy()
    for view, delay in enumerate(delay_s):
        at = np.searchsorted(observations.t_s, observations.t_s + delay)
        rows = np.clip(at, 0, len(observations) - 1)
        confidence[outlier[rows, view], view] = 0
    return replace(observations, confidence=confidence)


def _without_one_of(
    best: Attempt, options: Options, suspects: list[int], *, spans_too: bool
) -> Attempt:
    views = len(best.observations.cameras)
    if views < _LEAST_VIEWS:
        return best
    for view in suspects:
        others = [other for other in range(views) if other != view]
        part = best.observations.of_views(others)
        tried = _at_delays(part, options, best.delay_s[others]).after(best)
        if spans_too and not tried.is_sound and tried.outlier.any():
            tried = without_spans(tried, options)
        if not tried.is_sound:
            continue
        found, is_known = _with_reason(best, view, tried, options)
        if is_known or _has_majority(found):
            return found
    return best


def _at_delays(
    observations: LiftedObservations, options: Options, delay_s: Float[Real, "V"]
) -> Attempt:
    """The first sound attempt: without delays, as another fault may have been taken for one, at
    these, at others.
    """
    tried = attempt(observations, options)
    if not tried.is_sound and delay_s.any():
        tried = attempt(observations, options, delay_s)
    return tried if tried.is_sound else with_delays(tried, options)


def _has_majority(found: Attempt) -> bool:
    """Whether more than half of the recorded views remain at nearly all instants: else the view
    left out may be the right one.
    """
    left = found.views_seen
    recorded = left if found.recorded is None else found.recorded
    return float(np.mean((left > 0) & (2 * left <= recorded))) < _MOST_UNDECIDED


def _with_reason(
    best: Attempt, view: int, tried: Attempt, options: Options
) -> tuple[Attempt, bool]:
    """The attempt without a view, with the reason, and whether it is known what is wrong with the
    view; or the attempt with what fits of it, if it is a good camera for some time.
    """
    fault = fault_of(best.observations, view, tried)
    if fault == MIRRORED:
        start = np.insert(tried.delay_s, view, 0.0)
        back = _at_delays(mirrored_back(best.observations, view), options, start).after(best)
        if back.is_sound:
            camera = best.observations.cameras[view]
            return replace(back, corrected={**back.corrected, camera: MIRRORED_BACK}), True
    repeats = fault == ELSEWHERE and options.may_shift
    for delay_s in canonical_delays(best.observations).other_s[view] if repeats else ():
        start = np.where(np.arange(len(best.delay_s)) == view, delay_s, best.delay_s)
        late = attempt(best.observations, replace(options, offsets=True), start).after(best)
        if late.is_sound:  # a movement that repeats, at another delay
            return late, True
    if fault == PARTLY:
        fits = instants_that_fit(best.observations, view, tried)
        outlier = np.zeros(best.outlier.shape, bool)
        outlier[:, view] = ~fits
        some = without(best.observations, outlier, np.zeros(len(best.delay_s)))
        partly = attempt(some, options, best.delay_s)
        if partly.calibration is not None:
            # all views together say what to leave out, as others may see another person too
            whole = examined(best.observations, partly.calibration).after(best)
            again = without_spans(whole, options)
            if again.is_sound:
                return again, True
    known = fault not in {ELSEWHERE, PARTLY}
    if fault == PARTLY:
        fault = PARTLY.format(spans(fits, best.observations.t_s))
    left_out = {**best.left_out, best.observations.cameras[view]: fault}
    return replace(tried, left_out=left_out), known


def _delays_change(whole: LiftedObservations, best: Attempt) -> bool:
    """Whether a view with spans left out has a delay that changes: then no span explains it. As the
    view fits the others for some time, it has the delay that was found then.
    """
    aligned = time_aligned(whole, best.delay_s)
    for view in range(len(whole.cameras)):
        if (whole.confidence[:, view] > best.observations.confidence[:, view]).any():
            changed = changed_delay(aligned, view)
            if changed is not None and min(changed) < _NEAR_S and max(changed) > -_NEAR_S:
                return True
    return False


def _suspects(best: Attempt) -> list[int]:
    """The views, the one that disagrees most first: by canonical poses and by pixels."""
    poses = canonical_delays(best.observations).agreement
    error = best.error_share
    pixels = error / np.median(error) if np.isfinite(error).all() else np.ones(len(error))
    return [int(view) for view in np.argsort(-(pixels + poses / np.median(poses)))]
