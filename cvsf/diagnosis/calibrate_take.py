"""Calibration of a take: still cameras where they explain the observations, and what is wrong where
not.

What is tried, until it is sound: all cameras pan, where still ones fit very badly and all views
alike; delays, the worst view left out, people one after another; cameras that pan a little;
exchanged views, spans of another person, any view left out, a part of the take; cameras that pan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from cvsf.calibration.calibrate import NO_FIT
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.plausible import LEAST_INSTANTS, plausible, useful_views
from cvsf.calibration.ptz import calibrate_panning
from cvsf.diagnosis.alternatives import with_bodies, with_delays, with_lenses
from cvsf.diagnosis.attempt import Attempt, Options, attempt
from cvsf.diagnosis.copies import copies
from cvsf.diagnosis.epipolar_errors import runs, spans
from cvsf.diagnosis.exchanged_views import with_exchanged
from cvsf.diagnosis.lifted_shape import shape_difference
from cvsf.diagnosis.omissions import (
    hides_a_better_part,
    of_a_part,
    without_a_view,
    without_spans,
    without_the_worst,
)
from cvsf.diagnosis.panning import PanningCameras
from cvsf.diagnosis.refusal import refusal
from cvsf.diagnosis.view_faults import MIRRORED_BACK
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.reconstruction.reconstruct import Reconstruction, reconstruct
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

Moving = Literal["still", "auto", "panning"]

SPANS = "not used from "
"""Begins what is said of a camera that is in the rig, but not all the time."""
_ANOTHER = SPANS + "{}: another person, another time, or keypoints that fit no camera"
_COPY = "it has the keypoints of {}; is the same film given twice?"
_MIXED = (
    "cameras of a part of the take fit it far better than those of the whole do: the views do not "
    "show one person at one time all the while; leave those seconds out (--ignore)"
)
_FEW = (
    f"fewer than {LEAST_INSTANTS} of its instants show the athlete together with another camera of "
    "the rig"
)
_SHAPE = (
    "the skeletons differ from the poses that single views show by {:.0%} of the body's size, "
    "expected {:.0%} or less; are pictures mirrored?"
)
_LEAST_LEFT_OUT_S = 1.0  # of a camera whose views are corrected, to be reported; a guess
_MOST_DIFFERENCE = 0.3
"""Of skeletons from the lifter's poses: 0.07 to 0.12 in healthy generated sessions."""
_SINGLED_OUT = 1.6
"""Reprojection error of the worst view over the others', from which it is left out first; a guess,
not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedTake:
    """A calibration, its skeletons, and what was found wrong with the views."""

    observations: LiftedObservations
    """Of the cameras in the rig; what was left out has confidence 0. Not time aligned."""
    calibration: Calibration
    reconstruction: Reconstruction
    """Without skeletons at instants that fewer than two views saw: their distance is a guess."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Camera: what is wrong with it; if it is in the rig, from when to when it is not used
    (`SPANS`)."""
    corrected: Mapping[str, str] = field(default_factory=dict)
    """Camera: what was corrected in its observations; it is in the rig."""
    still_noise: float | None = None
    """Noise of still cameras, over the person's extent, where panning ones explain more."""

    @property
    def mirrored_back(self) -> tuple[str, ...]:
        """Cameras whose recorded pictures are mirrored; those in the rig are of pictures mirrored
        back.
        """
        return tuple(name for name, what in self.corrected.items() if what == MIRRORED_BACK)


def calibrate_take(
    observations: LiftedObservations,
    *,
    moving: Moving = "auto",
    offsets: bool | None = None,
    distortion: bool | None = None,
) -> CalibratedTake:
    """The cameras of a take and its skeletons, in the axes and unit of `calibrate`. Undetermined,
    with the reason, if no cameras explain what the views agree on.

    `moving`: `auto` prefers still cameras; panning ones are taken where they explain the keypoints
    much better. `offsets`: delays are estimated always, never, or (None) where still cameras do not
    fit without. `distortion`: k1 and the principal point of each lens that is not given are
    estimated always, never, or (None) where the take determines them.
    """
    observations, left_out = _usable(plausible(observations))
    if moving == "panning":
        return _panning(observations, left_out, None, None)
    options = Options(
        offsets=bool(offsets), may_shift=offsets is not False, lenses=bool(distortion)
    )
    best, panning = _still_or_panning(
        observations, options, may_pan=moving == "auto", may_bend=distortion is not False
    )
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
        reconstruction=_of_two_views(best.reconstruction, best.observations, best.calibration),
        left_out=left_out | _left_out(observations, best),
        corrected=best.corrected,
    )


def _still_or_panning(
    observations: LiftedObservations, options: Options, *, may_pan: bool, may_bend: bool
) -> tuple[Attempt, Calibration | None]:
    """The best still cameras, and panning ones if these are accepted instead; Undetermined with the
    reason of the still ones if neither are.
    """
    panning = PanningCameras(observations)
    best = attempt(observations, options)
    found = panning.before_delays(best) if may_pan else None
    if found is None:
        straight = best
        best = with_lenses(best, options) if may_bend else best
        options = options if best is straight else replace(options, lenses=True)
        best = _of_right_times_and_people(best, options)
        found = panning.before_omissions(best) if may_pan else None
    if found is None:
        best = _improved(best, options)
        reason = refusal(best)
        found = panning.at_last(best) if may_pan and reason else None
        if found is None and reason:
            if_they_pan = panning.reason(best) if may_pan else ""
            raise Undetermined("; ".join(filter(None, (reason, if_they_pan))))
    return best, found


def _usable(observations: LiftedObservations) -> tuple[LiftedObservations, dict[str, str]]:
    """The views that can be used, and why the others, by camera, cannot."""
    cameras, found = observations.cameras, copies(observations)
    copied = {cameras[view]: _COPY.format(cameras[of]) for view, of in found.items()}
    own = observations.of_views([view for view in range(len(cameras)) if view not in found])
    if len(own.cameras) < 2 and copied:
        raise Undetermined("; ".join(f"{camera}: {why}" for camera, why in copied.items()))
    views = useful_views(own)
    few = {camera: _FEW for view, camera in enumerate(own.cameras) if view not in views}
    return own.of_views(views), {**copied, **few}


def _of_right_times_and_people(best: Attempt, options: Options) -> Attempt:
    """With delays, with views exchanged back that the lifter sees from another side, and without
    the worst view, each if that is sound or better; and a body for each person, which is always
    tried.
    """
    if not best.is_sound:
        best = with_delays(best, options)
    if not best.is_sound and best.is_contradicted:  # else one of the two may be left out as worst
        best = with_exchanged(best, options)
    if not best.is_sound and best.worst_ratio > _SINGLED_OUT:
        people = with_bodies(best, options)
        if people.is_sound:  # else three cameras may fit one body that is neither's
            return people
        best = _unless_a_part_is_better(without_the_worst(best, options), best, options)
    return with_bodies(best, options)


def _improved(checked: Attempt, options: Options) -> Attempt:
    """The first sound alternative; else, as no sign is certain then, the take as it is if it is not
    refused, and the best alternative if it is.
    """
    best = checked
    for alternative in (with_exchanged, without_spans, without_a_view, of_a_part):
        if best.is_sound:
            break
        best = _unless_a_part_is_better(alternative(best, options), best, options)
    if not best.is_sound and not refusal(checked):
        mixed = hides_a_better_part(checked, options)
        return replace(checked, refused=_MIXED) if mixed else checked
    has_people = best.calibration is not None and best.calibration.people is not None
    return best if has_people or best is checked else with_bodies(best, options)


def _unless_a_part_is_better(found: Attempt, before: Attempt, options: Options) -> Attempt:
    """What an omission left, or what was there before if only a part of it fits well."""
    omits = found is not before and found.is_sound
    return before if omits and hides_a_better_part(found, options) else found


def _left_out(observations: LiftedObservations, best: Attempt) -> dict[str, str]:
    """What the best attempt does without, by camera."""
    found = dict(best.left_out)
    seen = np.any(observations.confidence > 0, axis=-1)
    exchanged = seen[:, [observations.cameras.index(camera) for camera in best.corrected]]
    for view, camera in enumerate(best.observations.cameras):
        before = seen[:, observations.cameras.index(camera)]
        without = before & ~np.any(best.observations.confidence[:, view] > 0, axis=-1)
        if camera in best.corrected:  # next to an exchange some instants are always left out
            without = _long_runs(without & exchanged.all(1), observations.t_s)
        if without.any():
            found[camera] = _ANOTHER.format(spans(without, observations.t_s))
    return found


def _of_two_views(
    reconstruction: Reconstruction, observations: LiftedObservations, found: Calibration
) -> Reconstruction:
    """With NaN joints at instants that fewer than two views saw."""
    aligned = time_aligned(observations, found.rig.delay_s)
    several = np.any(aligned.confidence > 0, axis=-1).sum(1) > 1
    joints = np.where(several[:, None, None], reconstruction.joints, np.nan)
    deviation = np.where(several[:, None], reconstruction.deviation, np.nan)
    return replace(reconstruction, joints=joints, deviation=deviation)


def _long_runs(mask: Bool[Mask, "N"], t_s: Float[Real, "N"]) -> Bool[Mask, "N"]:
    """The mask without runs shorter than a second."""
    kept = np.zeros_like(mask)
    for first, end in runs(mask):
        kept[first:end] = t_s[end - 1] - t_s[first] > _LEAST_LEFT_OUT_S
    return kept


def _panning(
    observations: LiftedObservations,
    left_out: Mapping[str, str],
    still: Attempt | None,
    found: Calibration | None,
) -> CalibratedTake:
    """With panning cameras, which are calibrated if not given; Undetermined if there are none."""
    try:
        found = calibrate_panning(observations) if found is None else found
        reconstruction = reconstruct(observations, found)
    except np.linalg.LinAlgError as error:
        raise Undetermined(NO_FIT.format(error)) from error
    return CalibratedTake(
        observations=observations,
        calibration=found,
        reconstruction=_of_two_views(reconstruction, observations, found),
        left_out=left_out,
        still_noise=still.calibration.noise_share if still and still.calibration else None,
    )
