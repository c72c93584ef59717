"""Calibration of a take: still cameras where they explain the observations, and what is wrong where
not.

The alternatives are tried in the order of how common they are: delays, spans in which a view shows
another person, one view left out, a part of the take; last, cameras that pan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from cvsf.calibration.calibrate import plausible, useful_views
from cvsf.calibration.degeneracy import Undetermined
from cvsf.diagnosis.alternatives import of_a_part, with_delays, without_a_view, without_spans
from cvsf.diagnosis.attempt import Attempt, Options, attempt
from cvsf.diagnosis.epipolar_errors import runs
from cvsf.diagnosis.panning import attempt_panning
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration
from cvsf.reconstruction.reconstruct import Reconstruction, reconstruct
from cvsf.shapes import Bool

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Moving = Literal["still", "auto", "panning"]

_FEW = "it saw the athlete together with others in fewer than 5 instants"
_LEAST_AGREEMENT = 0.7  # of the instants of every view of a rig; a guess, not measured
_MOST_DELAY = 0.5  # intervals that may remain along the movement; a guess, not measured
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
    observations = plausible(observations)
    views = useful_views(observations)
    left_out = {
        camera: _FEW for view, camera in enumerate(observations.cameras) if view not in views
    }
    observations = observations.of_views(views)
    if moving == "panning":
        return _panning(observations, left_out, None)
    options = Options(offsets=bool(offsets), distortion=distortion)
    first = attempt(observations, options)
    best = _improved(first, options, may_shift=offsets is not False)
    reason = _refusal(best)
    if moving == "auto" and (reason or not best.is_sound):
        found = attempt_panning(observations, best)
        if found is not None:
            return _panning(observations, left_out, best, found)
    if reason:
        raise Undetermined(reason)
    assert best.calibration is not None
    assert best.reconstruction is not None
    return CalibratedTake(
        observations=best.observations,
        calibration=best.calibration,
        reconstruction=best.reconstruction,
        left_out=left_out | _left_out(observations, best),
    )


def _improved(first: Attempt, options: Options, *, may_shift: bool) -> Attempt:
    """The first sound alternative, else the one of least misfit."""
    best = first
    if best.is_sound:
        return best
    if may_shift:
        best = with_delays(best, options)
    for alternative in (without_spans, without_a_view, of_a_part):
        if best.is_sound:
            return best
        best = alternative(best, options)
    return best


def _refusal(best: Attempt) -> str:
    """Why the best still cameras are not taken; empty if they are."""
    if best.refused or best.calibration is None:
        return best.refused
    names, late = best.observations.cameras, np.abs(best.residual_delay_s)
    if late.max() > _MOST_DELAY * best.interval_s:
        return (
            f"{names[int(late.argmax())]} is late by a delay that changes, or that only some "
            f"seconds support; it must be constant: record with one clock, or leave it out"
        )
    worst = int(best.agreement.argmin())
    if best.agreement[worst] < _LEAST_AGREEMENT:
        return (
            f"{names[worst]} agrees with the others in {best.agreement[worst]:.0%} of its "
            f"instants, expected {_LEAST_AGREEMENT:.0%}; does it see the same person all the time?"
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
    return ""


def _left_out(observations: LiftedObservations, best: Attempt) -> dict[str, str]:
    """What the best attempt does without, by camera."""
    found = dict(best.left_out)
    for view, camera in enumerate(best.observations.cameras):
        before = observations.confidence[:, observations.cameras.index(camera)]
        without = np.any(before > 0, axis=-1) & ~np.any(
            best.observations.confidence[:, view] > 0, axis=-1
        )
        if without.any():
            found[camera] = f"{_spans(without, observations.t_s)}: {best.spans}"
    return found


def _spans(without: Bool[Mask, "N"], t_s: npt.NDArray[np.float64]) -> str:
    """Seconds from the first instant, such as "3.2 to 7.4 s"."""
    start = float(t_s[0])
    return ", ".join(
        f"{t_s[first] - start:.1f} to {t_s[end - 1] - start:.1f} s" for first, end in runs(without)
    )


def _panning(
    observations: LiftedObservations,
    left_out: Mapping[str, str],
    still: Attempt | None,
    found: Calibration | None = None,
) -> CalibratedTake:
    from cvsf.calibration.ptz import calibrate_panning

    calibration = found or calibrate_panning(observations)
    return CalibratedTake(
        observations=observations,
        calibration=calibration,
        reconstruction=reconstruct(observations, calibration),
        left_out=left_out,
        still_noise=None
        if still is None or still.calibration is None
        else still.calibration.noise_share,
    )
