"""Alternatives to still cameras that do not explain all observations, tried one after another.

Each takes an attempt and returns a better one, or the same.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.person_changes import find_person_spans
from cvsf.diagnosis.attempt import Attempt, Options, attempt, examined
from cvsf.diagnosis.bodies import separate_bodies
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.diagnosis.delay_drift import changed_delay
from cvsf.diagnosis.epipolar_errors import better_instants, epipolar_errors, near_edges, spans
from cvsf.diagnosis.view_faults import ELSEWHERE, PARTLY, fault_of, instants_that_fit
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.multiview.rig import Calibration
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# guesses, not measured
_BETTER = 0.95  # times the fit_cost: a better attempt
_LEAST_VIEWS = 4  # for one to be left out
_ROUNDS = 3  # of leaving out spans
_MOST_SPANS = 0.6  # of the instants of a view: it is better left out altogether
_MOST_UNDECIDED = 0.05  # of the instants
_MOST_LATE = 0.05  # of the instants of a view with a delay
_PARTS, _LEAST_PART_S = 3, 2.5
_ONE_BODY_NOISE = 0.015  # of the person's extent, with which cameras of one body are used
_SUSPICIOUS_NOISE = 0.01  # with one body: people of different size may be the reason
_PEOPLE = (
    "people of different size come one after another, and their movement does not determine the "
    "cameras; let each move longer, or calibrate the time of one of them alone"
)
_LEAST_EXCHANGED = 3  # views, of which two may be exchanged
_OFTEN = 0.9  # share of its instants in which a view agrees with the others
_EXCHANGED = 0.6  # times the epipolar errors: two views are exchanged
_PER_VIEW = ("keypoints_px", "confidence", "canonical", "view_from_canonical", "image_px")


def with_delays(best: Attempt, options: Options) -> Attempt:
    """With the delays that canonical poses show, sharpened by the adjustment of the cameras; if
    that is better.
    """
    if not options.may_shift:
        return best
    coarse = canonical_delays(best.observations)
    start = np.where(coarse.is_clear, coarse.delay_s, 0.0)
    starts = [start] if start.any() else []
    if best.has_delay or best.calibration is None:
        starts.append(np.zeros_like(start))  # a small delay is found from 0
    sharpened = replace(options, offsets=True)
    for delay_s in starts:
        tried = attempt(best.observations, sharpened, delay_s).after(best)
        if tried.is_sound:
            return tried
        best = _better(best, tried)
    return best


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
        observations = _without(whole.observations, outlier, best.delay_s)
        delayed = replace(options, offsets=options.offsets or bool(best.delay_s.any()))
        tried = attempt(observations, delayed, best.delay_s)
        tried = replace(tried.after(whole), has_spans=True)
        best = _better(best, tried)
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


def _without_one_of(
    best: Attempt, options: Options, suspects: list[int], *, spans_too: bool
) -> Attempt:
    views = len(best.observations.cameras)
    if views < _LEAST_VIEWS:
        return best
    for view in suspects:
        others = [other for other in range(views) if other != view]
        part = best.observations.of_views(others)
        tried = attempt(part, options, best.delay_s[others]).after(best)
        if not tried.is_sound:
            tried = with_delays(tried, options)
        if spans_too and not tried.is_sound and tried.outlier.any():
            tried = without_spans(tried, options)
        if not tried.is_sound:
            continue
        found = _with_reason(best, view, tried, options)
        if _has_majority(best, found):
            return found
    return best


def _has_majority(best: Attempt, found: Attempt) -> bool:
    """Whether at most instants more than half of the views that saw somebody are left, where it is
    not known what is wrong with the view left out: it may be the right one.
    """
    reasons = [why for camera, why in found.left_out.items() if camera not in best.left_out]
    unknown = any(why == ELSEWHERE or why.startswith(PARTLY.split("{")[0]) for why in reasons)
    if not unknown or not found.has_spans:
        return True
    before, left = (
        np.any(each.observations.confidence > 0, axis=-1).sum(1) for each in (best, found)
    )
    return float(np.mean((left > 0) & (2 * left <= before))) < _MOST_UNDECIDED


def with_bodies(best: Attempt, options: Options) -> Attempt:
    """With a body for each of the people who follow one another; refused if there are some, but no
    cameras explain them.
    """

    def fit(part: LiftedObservations) -> Calibration:
        tried = attempt(part, options, best.delay_s)
        if tried.calibration is None or tried.refused:
            raise Undetermined(tried.refused)
        return tried.calibration

    found = best.calibration
    fits_one = found is not None and not best.refused and found.noise_share < _ONE_BODY_NOISE
    several = separate_bodies(best.observations, found if fits_one else None, fit)
    if several is None:
        if found is not None and found.noise_share > _SUSPICIOUS_NOISE:
            aligned = time_aligned(best.observations, best.delay_s)
            if find_person_spans(aligned, found.rig) is not None:
                return replace(best, refused=_PEOPLE)
        return best
    again = examined(best.observations, several)
    return again.after(best)


def with_exchanged(best: Attempt, options: Options) -> Attempt:
    """With two views exchanged back where they are exchanged, by the cameras of the attempt or of a
    part of the take; only if that is sound.
    """
    if len(best.observations.cameras) < _LEAST_EXCHANGED:
        return best
    disagree = (best.agreement < _OFTEN).sum() > 1  # one view alone is not exchanged
    if not disagree and not best.is_contradicted and not best.refused:
        return best
    tried = best if best.calibration is None else _exchanged_back(best, options)
    if not tried.is_sound:
        part = _best_part(best, options)
        tried = best if part is None else _exchanged_back(part, options)
    return tried if tried.is_sound and tried.corrected != best.corrected else best


def of_a_part(best: Attempt, options: Options) -> Attempt:
    """The cameras of a part of the take that explain most of it, without the views of instants that
    they do not explain.
    """
    part = _best_part(best, options)
    return best if part is None else _better(best, without_spans(part, options))


def _best_part(best: Attempt, options: Options) -> Attempt | None:
    """The cameras of a part of the take, with what they do not explain of all of it: of a part that
    they explain soundly, if there is one, else of that which leaves least.
    """
    t_s = best.observations.t_s
    parts = min(_PARTS, int((t_s[-1] - t_s[0]) / _LEAST_PART_S))
    tries: list[tuple[bool, float, int, Attempt]] = []
    for rows in np.array_split(np.arange(len(t_s)), max(parts, 1)) if parts > 1 else []:
        tried = attempt(best.observations.take(rows), options)
        if tried.calibration is not None and not tried.refused:
            on_all = examined(best.observations, tried.calibration).after(best)
            tries.append((not tried.is_sound, float(on_all.outlier.mean()), len(tries), on_all))
    return min(tries)[-1] if tries else None


def _with_reason(best: Attempt, view: int, tried: Attempt, options: Options) -> Attempt:
    """The attempt without a view, with the reason; or with what fits of the view, if it is a good
    camera for some time.
    """
    fault = fault_of(best.observations, view, tried)
    repeats = fault == ELSEWHERE and options.may_shift
    for delay_s in canonical_delays(best.observations).other_s[view] if repeats else ():
        start = np.where(np.arange(len(best.delay_s)) == view, delay_s, best.delay_s)
        late = attempt(best.observations, replace(options, offsets=True), start).after(best)
        if late.is_sound:  # a movement that repeats, at another delay
            return late
    if fault == PARTLY:
        fits = instants_that_fit(best.observations, view, tried)
        outlier = np.zeros(best.outlier.shape, bool)
        outlier[:, view] = ~fits
        some = _without(best.observations, outlier, np.zeros(len(best.delay_s)))
        partly = attempt(some, options, best.delay_s)
        if partly.calibration is not None:
            # all views together say what to leave out, as others may see another person too
            whole = examined(best.observations, partly.calibration).after(best)
            again = without_spans(whole, options)
            if again.is_sound:
                return again
        fault = PARTLY.format(spans(fits, best.observations.t_s))
    return replace(tried, left_out={**best.left_out, best.observations.cameras[view]: fault})


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
    corrected_back = _without(_exchange(whole, a, b, rows), outlier, np.zeros(outlier.shape[1]))
    tried = attempt(corrected_back, options)
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
    arrays = {name: getattr(observations, name).copy() for name in _PER_VIEW}
    for name, array in arrays.items():
        before = getattr(observations, name)
        array[rows, a], array[rows, b] = before[rows, b], before[rows, a]
    return replace(observations, **arrays)


def _delays_change(whole: LiftedObservations, best: Attempt) -> bool:
    """Whether a view with spans left out has a delay that changes: then no span explains it."""
    aligned = time_aligned(whole, best.delay_s)
    return any(
        changed_delay(aligned, view) is not None
        for view in range(len(whole.cameras))
        if (whole.confidence[:, view] > best.observations.confidence[:, view]).any()
    )


def _better(best: Attempt, tried: Attempt) -> Attempt:
    if tried.is_sound or best.calibration is None:
        return tried
    worse_refused = bool(tried.refused) and not best.refused
    return tried if tried.fit_cost < _BETTER * best.fit_cost and not worse_refused else best


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
