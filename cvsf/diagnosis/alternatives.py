"""Alternatives to still cameras that do not explain all observations: delays, and a body for each
person.

Each takes an attempt and returns a better one, or the same; `omissions` and `exchanged_views` have
more.
"""

from dataclasses import replace

import numpy as np

from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.lenses import RADIAL_DROP
from cvsf.calibration.mirror_ambiguity import PAIR
from cvsf.diagnosis.attempt import Attempt, Options, attempt, examined
from cvsf.diagnosis.bodies import separate_bodies
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.diagnosis.person_changes import find_person_spans
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations, time_aligned

# guesses, not measured
_NOT_WORSE = 1.02  # times the fit_cost
_BETTER = 0.95  # times the fit_cost: a better attempt
_ONE_BODY_NOISE = 0.015  # of the person's extent, with which cameras of one body are used
_SUSPICIOUS_NOISE = 0.01  # with one body: people of different size may be the reason
_PEOPLE = (
    "people of different size come one after another, and their movement does not determine the "
    "cameras; let each move longer, or calibrate the time of one of them alone"
)


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
        best = better(best, tried)
    return best


def with_lenses(best: Attempt, options: Options) -> Attempt:
    """With distortion and principal points, where they lower the cost of the adjustment clearly and
    the attempt is not worse. Two views do not determine them: a detector's errors look like lenses.
    """
    if len(best.delay_s) == PAIR:
        return best
    if best.calibration is not None and best.calibration.lens_drop < RADIAL_DROP:
        return best
    tried = attempt(best.observations, replace(options, lenses=True), best.delay_s).after(best)
    if tried.calibration is None or best.calibration is None:
        return better(best, tried)
    is_same = tried.calibration.lenses == best.calibration.lenses
    is_worse = tried.fit_cost > _NOT_WORSE * best.fit_cost or (best.is_sound and not tried.is_sound)
    return best if is_same or is_worse else tried


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


def better(best: Attempt, tried: Attempt) -> Attempt:
    """The one tried if it is sound, or explains clearly more and is not refused; else the best."""
    if tried.is_sound or best.calibration is None:
        return tried
    worse_refused = bool(tried.refused) and not best.refused
    return tried if tried.fit_cost < _BETTER * best.fit_cost and not worse_refused else best
