"""Why still cameras are not accepted: one sentence that names the camera and the cure."""

import numpy as np

from cvsf.diagnosis.attempt import SOUND_NOISE, Attempt
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.diagnosis.delay_drift import changed_delay
from cvsf.diagnosis.epipolar_errors import spans
from cvsf.diagnosis.view_faults import DELAY_CHANGES
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import time_aligned

_LEAST_CLEAR_AGREEMENT, _LEAST_AGREEMENT = 0.7, 0.5
"""Of the instants of every view of a rig, but for a poor detector and with it; guesses, not
measured."""
_MOST_DELAY = 0.5  # intervals that may remain along the movement; a guess, not measured
_FITS_OF_TWO = 0.0115
"""Noise of two views, over the person's extent, up to which no frames are missing: about 0.009 in
healthy generated sessions, 0.0148 and more where one lost a tenth of its frames."""
_MOST_OF_TWO = 0.25
"""Share of a take by which one of two views may be late: of less, nearly any two movements can be
made alike. A guess, not measured."""
_MOST_RATIO = 2.5  # reprojection error of the worst view over the others'; a guess, not measured


def refusal(best: Attempt) -> str:
    """Why the best still cameras are not taken; empty if they are."""
    if best.refused or best.calibration is None:
        return best.refused
    names, late = best.observations.cameras, np.abs(best.residual_delay_s)
    if late.max() > _MOST_DELAY * best.interval_s:
        return (
            f"the delay of {names[int(late.argmax())]} is not known, changes, or only a few "
            "seconds of the take support it; record all cameras with one clock, or leave it out"
        )
    reason = _disagreement(best, best.calibration)
    if reason:
        return reason
    if best.is_contradicted:
        worst = int(best.contradicted.mean(0).argmax())
        when = spans(best.contradicted[:, worst], best.observations.t_s)
        return (
            f"from {when} the lifter sees the athlete in {names[worst]} from another side than in "
            "the rest of the take; was the camera moved, or exchanged with another? Calibrate the "
            "time before and after separately"
        )
    if best.worst_ratio > _MOST_RATIO:
        error = best.error_share
        worst = int(error.argmax())
        return (
            f"{names[worst]} does not fit the others: its reprojection error is "
            f"{error[worst]:.1%} of the person, theirs "
            f"{np.median(np.delete(error, worst)):.1%}; does it see the same person? Or leave it "
            "out"
        )
    return _disagreement_of_two(best) if len(names) == 2 else ""


def _disagreement(best: Attempt, found: Calibration) -> str:
    """Why the views do not agree enough; empty if they do."""
    names = best.observations.cameras
    for agreement, least in (
        (best.clear_agreement, _LEAST_CLEAR_AGREEMENT),
        (best.agreement, _LEAST_AGREEMENT),
    ):
        worst = int(agreement.argmin())
        if agreement[worst] < least:
            return (
                f"{names[worst]} agrees with the others in {agreement[worst]:.0%} of its instants, "
                f"expected {least:.0%}; does it see the same person all the time?"
            )
    if best.has_spans and found.noise_share > SOUND_NOISE:
        return (
            "the views disagree for long, and the rest fits badly: the 2D error is "
            f"{found.noise_share:.1%} of the person, expected {SOUND_NOISE:.0%}; are "
            "pictures mirrored, or do cameras see different people?"
        )
    return ""


def _disagreement_of_two(best: Attempt) -> str:
    """Why two views are not taken: nothing else shows that they see the same moments."""
    aligned = time_aligned(best.observations, best.delay_s)
    assert best.calibration is not None
    fits = best.calibration.noise_share < _FITS_OF_TWO
    changed = None if fits else changed_delay(aligned, 1, of_two=True)
    if changed is not None:
        return f"{aligned.cameras[1]}: {DELAY_CHANGES.format(*changed)}"
    longest_s = _MOST_OF_TWO * (aligned.t_s[-1] - aligned.t_s[0])
    in_step = np.abs(best.delay_s).max() <= best.interval_s
    is_short = np.abs(best.delay_s).max() < max(longest_s, best.interval_s)
    if (best.is_sound and is_short) or (in_step and canonical_delays(aligned).is_clear.all()):
        return ""
    return (
        f"nothing shows that {' and '.join(aligned.cameras)} film the same moments: their 2D error "
        f"is {best.calibration.noise_share:.1%} of the person, and no delay explains it; record "
        "with one clock, or with three cameras"
    )
