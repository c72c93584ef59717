"""Calibration of a take: still cameras where they explain the observations, and what is wrong where
not.

Delays, the worst view left out and people one after another are tried first, then exchanged views,
spans of another person, any view left out, and a part of the take. Cameras that pan are tried where
still ones fit badly and all views alike, and last; they are believed only where they explain much
more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cvsf.calibration.calibrate import NO_FIT
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.plausible import plausible, useful_views
from cvsf.calibration.ptz import calibrate_panning
from cvsf.diagnosis.alternatives import with_bodies, with_delays
from cvsf.diagnosis.attempt import SOUND_NOISE, Attempt, Options, attempt
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.diagnosis.copies import copies
from cvsf.diagnosis.delay_drift import changed_delay
from cvsf.diagnosis.epipolar_errors import spans
from cvsf.diagnosis.exchanged_views import with_exchanged
from cvsf.diagnosis.lifted_shape import shape_difference
from cvsf.diagnosis.omissions import of_a_part, without_a_view, without_spans, without_the_worst
from cvsf.diagnosis.panning import attempt_panning, panning_first, panning_next
from cvsf.diagnosis.view_faults import DELAY_CHANGES
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.multiview.rig import Calibration
from cvsf.reconstruction.reconstruct import Reconstruction, reconstruct

Moving = Literal["still", "auto", "panning"]

_ANOTHER = "{}: another person, another time, or keypoints that fit no camera"
_COPY = "it has the keypoints of {}; is the same film given twice?"
_FEW = "it saw the athlete together with the other cameras in fewer than 5 instants"
_SHAPE = (
    "the skeletons differ from the poses that single views show by {:.0%} of the body's size, "
    "expected {:.0%} or less; are pictures mirrored?"
)
_LEAST_CLEAR_AGREEMENT, _LEAST_AGREEMENT = 0.7, 0.5
"""Of the instants of every view of a rig, but for a poor detector and with it; guesses, not
measured."""
_MOST_DELAY = 0.5  # intervals that may remain along the movement; a guess, not measured
_MOST_DIFFERENCE = 0.3
"""Of skeletons from the lifter's poses: 0.07 to 0.12 in healthy generated sessions."""
_SINGLED_OUT = 1.6  # the same, from which the worst view is left out first; a guess, not measured
_MOST_RATIO = 2.5  # reprojection error of the worst view over the others'; a guess, not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedTake:
    """A calibration, its skeletons, and what was found wrong with the views."""

    observations: LiftedObservations
    """Of the cameras in the rig; what was left out has confidence 0. Not time aligned."""
    calibration: Calibration
    reconstruction: Reconstruction
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Camera: what is wrong with it, and from when to when if not always."""
    corrected: Mapping[str, str] = field(default_factory=dict)
    """Camera: what was corrected in its observations; it is in the rig."""
    still_noise: float | None = None
    """Noise of still cameras, over the person's extent, where panning ones explain more."""


def calibrate_take(
    observations: LiftedObservations,
    *,
    moving: Moving = "auto",
    offsets: bool | None = None,
    distortion: bool = False,
) -> CalibratedTake:
    """The cameras of a take and its skeletons, in the axes and unit of `calibrate`. Undetermined,
    with the reason, if no cameras explain what the views agree on.

    `moving`: `auto` prefers still cameras; panning ones are taken where they explain the keypoints
    much better than still ones with delays, or without a view or a span. `offsets`: delays are
    estimated always, never, or (None) where still cameras do not fit without.
    """
    observations, left_out = _usable(plausible(observations))
    if moving == "panning":
        try:
            return _panning(observations, left_out, None, calibrate_panning(observations))
        except np.linalg.LinAlgError as error:
            raise Undetermined(NO_FIT.format(error)) from error
    options = Options(offsets=bool(offsets), may_shift=offsets is not False, distortion=distortion)
    best, panning = _still_or_panning(observations, options, may_pan=moving == "auto")
    if panning is not None:
        return _panning(observations, left_out, best, panning)
    assert best.calibration is not None
    assert best.reconstruction is not None
    difference = shape_difference(best.observations, best.calibration, best.reconstruction.joints)
    if difference > _MOST_DIFFERENCE:
        raise Undetermined(_SHAPE.format(difference, _MOST_DIFFERENCE))
    return CalibratedTake(
        observations=best.observations,
        calibration=best.calibration,
        reconstruction=best.reconstruction,
        left_out=left_out | _left_out(observations, best),
        corrected=best.corrected,
    )


def _still_or_panning(
    observations: LiftedObservations, options: Options, *, may_pan: bool
) -> tuple[Attempt, Calibration | None]:
    """The best still cameras, and panning ones if they are to be believed rather; Undetermined with
    the reason of the still ones if neither are.
    """
    best = attempt(observations, options)
    found = panning_first(observations, best) if may_pan else None
    if found is None:
        best = _of_right_times_and_people(best, options)
        found = panning_next(observations, best) if may_pan else None
    if found is None:
        best = _improved(best, options)
        reason = _refusal(best)
        found = attempt_panning(observations, best) if may_pan and reason else None
        if found is None and reason:
            raise Undetermined(reason)
    return best, found


def _usable(observations: LiftedObservations) -> tuple[LiftedObservations, dict[str, str]]:
    """The views that can be used, and why the others, by camera, cannot."""
    cameras = observations.cameras
    copied = {cameras[view]: _COPY.format(cameras[of]) for view, of in copies(observations).items()}
    own = observations.of_views([v for v, camera in enumerate(cameras) if camera not in copied])
    if len(own.cameras) < 2 and copied:
        raise Undetermined("; ".join(f"{camera}: {why}" for camera, why in copied.items()))
    views = useful_views(own)
    few = {camera: _FEW for view, camera in enumerate(own.cameras) if view not in views}
    return own.of_views(views), {**copied, **few}


def _of_right_times_and_people(best: Attempt, options: Options) -> Attempt:
    """With delays and without the worst view if that is sound or better, and a body for each
    person, which is always tried.
    """
    if not best.is_sound:
        best = with_delays(best, options)
    if not best.is_sound and best.worst_ratio > _SINGLED_OUT:
        best = without_the_worst(best, options)
    return with_bodies(best, options)


def _improved(checked: Attempt, options: Options) -> Attempt:
    """The first sound alternative; else, as no sign is certain then, the take as it is if it is not
    refused, and the best alternative if it is.
    """
    best = checked
    for alternative in (with_exchanged, without_spans, without_a_view, of_a_part):
        if best.is_sound:
            break
        best = alternative(best, options)
    if not best.is_sound and not _refusal(checked):
        return checked
    has_people = best.calibration is not None and best.calibration.people is not None
    return best if has_people or best is checked else with_bodies(best, options)


def _refusal(best: Attempt) -> str:
    """Why the best still cameras are not taken; empty if they are."""
    if best.refused or best.calibration is None:
        return best.refused
    names, late = best.observations.cameras, np.abs(best.residual_delay_s)
    if late.max() > _MOST_DELAY * best.interval_s:
        return (
            f"the delay of {names[int(late.argmax())]} is not known, changes, or only a few "
            "seconds of the take support it; record all cameras with one clock, or leave it out"
        )
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
    if best.has_spans and best.calibration.noise_share > SOUND_NOISE:
        return (
            "the views disagree for long, and what they agree on fits badly: its 2D error is "
            f"{best.calibration.noise_share:.1%} of the person, expected {SOUND_NOISE:.0%}; are "
            "pictures mirrored, or do cameras see different people?"
        )
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
    return _refusal_of_two(best) if len(names) == 2 else ""


def _refusal_of_two(best: Attempt) -> str:
    """Why two views are not taken: nothing else shows that they see the same moments."""
    aligned = time_aligned(best.observations, best.delay_s)
    assert best.calibration is not None
    changed = changed_delay(aligned, 1)
    if changed is not None:
        return f"{aligned.cameras[1]}: {DELAY_CHANGES.format(*changed)}"
    if best.is_sound or canonical_delays(aligned).is_clear.all():
        return ""
    return (
        f"nothing shows that {' and '.join(aligned.cameras)} film the same moments: their 2D error "
        f"is {best.calibration.noise_share:.1%} of the person, and no delay explains it; record "
        "with one clock, or with three cameras"
    )


def _left_out(observations: LiftedObservations, best: Attempt) -> dict[str, str]:
    """What the best attempt does without, by camera."""
    found = dict(best.left_out)
    for view, camera in enumerate(best.observations.cameras):
        before = np.any(observations.confidence[:, observations.cameras.index(camera)] > 0, axis=-1)
        without = before & ~np.any(best.observations.confidence[:, view] > 0, axis=-1)
        if without.any() and camera not in best.corrected:
            found[camera] = _ANOTHER.format(spans(without, observations.t_s))
    return found


def _panning(
    observations: LiftedObservations,
    left_out: Mapping[str, str],
    still: Attempt | None,
    found: Calibration,
) -> CalibratedTake:
    return CalibratedTake(
        observations=observations,
        calibration=found,
        reconstruction=reconstruct(observations, found),
        left_out=left_out,
        still_noise=still.calibration.noise_share if still and still.calibration else None,
    )
