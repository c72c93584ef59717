"""An attempt: still cameras fitted to observations, and the signs that they do not explain them.

A sound calibration leaves no delay along the movement, no view that disagrees with the others, and
little noise.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from cvsf.calibration.calibrate import HOPELESS_NOISE, NO_FIT, fit_still
from cvsf.calibration.degeneracy import Undetermined, refuse_uncertain
from cvsf.calibration.plausible import LEAST_INSTANTS, useful_views
from cvsf.diagnosis.canonical_delays import in_step
from cvsf.diagnosis.epipolar_errors import clear_outliers, epipolar_errors, outlier_views
from cvsf.diagnosis.residual_delays import worst_residual_delays
from cvsf.diagnosis.viewing_directions import contradicted_views
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.reconstruction.reconstruct import Reconstruction, reconstruct
from cvsf.shapes import Bool, Float, Int

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_LEAST_DELAY = 0.12
"""Residual delay, in intervals of the instants, that is a sign: healthy generated sessions stay
below 0.02, cameras three intervals late show 0.4 and more."""
SOUND_NOISE = 0.02
"""2D noise over the person's extent that a sound calibration has at most; a guess, not measured."""
_SOUND_OUTLIERS = 0.01  # share of the views of instants; a guess, not measured
_CONTRADICTED, _LEAST_NOISE = 0.3, 0.0105
"""Share of a view's instants that the lifter sees from another side, which contradicts a
calibration of that noise, or without some spans: 0.3 to 0.5 where two views are exchanged halfway,
up to 0.2 where the lifter does not know a pose (a healthy session)."""
SOUND_RATIO = 1.6
"""Reprojection error of the worst view over the median of the others: 1.0 to 1.4 in healthy
generated sessions."""
_FEW = "{} shared fewer than {} instants with the other views; film longer"
_MOST_KEPT = 12  # attempts of a take
_REFITS = 2  # while the delays found are larger than an interval; a guess, not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is estimated beside still cameras."""

    offsets: bool = False
    may_shift: bool = True  # delays may be sought
    lenses: bool = False  # distortion and principal points are estimated
    made: dict[bytes, "Attempt"] = field(default_factory=dict, repr=False, compare=False)
    """The latest attempts of this take: several alternatives begin with the same one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Still cameras, and how they fit."""

    observations: LiftedObservations  # as recorded; not time aligned
    calibration: Calibration | None = None  # with the delays
    reconstruction: Reconstruction | None = None
    refused: str = ""
    residual_delay_s: Float[Real, "V"]
    outlier: Bool[Mask, "N V"]
    """Views of instants that disagree with the others, by the time-aligned instants."""
    clear_outlier: Bool[Mask, "N V"]
    """Those of them that a poor detector does not explain."""
    contradicted: Bool[Mask, "N V"]
    """Views of instants that the lifter sees from another side than the rest of the time."""
    recorded: Int[npt.NDArray[np.intp], "N"] | None = None
    """How many views saw a person before any was left out; None if none was."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Cameras that are not in the observations any more, and what is wrong with them."""
    has_spans: bool = False  # views of instants were left out
    corrected: Mapping[str, str] = field(default_factory=dict)
    """Cameras whose observations were corrected, and how."""

    @property
    def interval_s(self) -> float:
        """Of the observations."""
        return self.observations.interval_s

    @property
    def delay_s(self) -> Float[Real, "V"]:
        """The delays (s) of the calibration, 0 without one."""
        if self.calibration is None:
            return np.zeros(len(self.observations.cameras))
        return self.calibration.rig.delay_s

    @property
    def error_share(self) -> Float[Real, "V"]:
        """Median reprojection error of each view over the person's extent; infinite without
        calibration.
        """
        if self.calibration is None:
            return np.full(len(self.observations.cameras), np.inf)
        return self.calibration.uncertainty.reprojection_share

    @property
    def agreement(self) -> Float[Real, "V"]:
        """Share of the instants, of those that a view observed, in which it agrees with the
        others; 1 for a view without any.
        """
        return self._share_without(self.outlier)

    @property
    def clear_agreement(self) -> Float[Real, "V"]:
        """Share of the instants in which it is no clear outlier."""
        return self._share_without(self.clear_outlier)

    def _share_without(self, mask: Bool[Mask, "N V"]) -> Float[Real, "V"]:
        seen = np.any(self.observations.confidence > 0, axis=-1).sum(0)
        return np.asarray(1 - mask.sum(0) / np.maximum(seen, 1)).clip(0, 1)

    @property
    def has_delay(self) -> bool:
        """Whether a delay remains that the residuals show."""
        return bool((np.abs(self.residual_delay_s) > _LEAST_DELAY * self.interval_s).any())

    @property
    def worst_ratio(self) -> float:
        """Reprojection error of the worst view over the median of the others; 1 with two views."""
        if self.calibration is None or not np.isfinite(self.error_share).all():
            return np.inf
        return float(self.calibration.uncertainty.reprojection_over_others.max())

    @property
    def views_seen(self) -> Int[npt.NDArray[np.intp], "N"]:
        """How many views of each instant are used."""
        return np.asarray(np.any(self.observations.confidence > 0, axis=-1).sum(1))

    def after(self, other: Self) -> Self:
        """The same with what the other attempt left out and corrected, on whose observations this
        one was made.
        """
        return replace(
            self,
            left_out={**other.left_out, **self.left_out},
            corrected={**other.corrected, **self.corrected},
            has_spans=other.has_spans or self.has_spans,
            recorded=other.views_seen if other.recorded is None else other.recorded,
        )

    @property
    def is_contradicted(self) -> bool:
        """Whether the lifter sees a view from another side for long, and the pixels are not so
        clear that it must be wrong; where spans are left out, they never are.
        """
        clear = self.calibration is not None and self.calibration.noise_share < _LEAST_NOISE
        often = float(self.contradicted.mean(0).max()) > _CONTRADICTED
        return often and (self.has_spans or not clear)

    @property
    def is_sound(self) -> bool:
        """Whether the cameras explain the observations, by every sign."""
        return (
            self.calibration is not None
            and not self.refused
            and not self.has_delay
            and self.calibration.noise_share < SOUND_NOISE
            and self.worst_ratio < SOUND_RATIO
            and float(self.outlier.mean()) < _SOUND_OUTLIERS
            and not self.is_contradicted
        )

    @property
    def fit_cost(self) -> float:
        """A figure to compare attempts with, less is better, no unit: the mean reprojection error
        of the views, and more where views disagree or a delay remains.
        """
        if self.calibration is None:
            return np.inf
        late = np.abs(self.residual_delay_s).max() / self.interval_s
        return float(self.error_share.mean() * (1 + 3 * self.outlier.mean() + min(late, 1.0)))


def attempt(
    observations: LiftedObservations, options: Options, delay_s: Float[Real, "V"] | None = None
) -> Attempt:
    """Still cameras fitted to the observations at these delays (s), which `options.offsets`
    sharpens, and their signs. Nothing is raised: `refused` says what is not determined; then the
    calibration may be missing. One that was made before is not made again.
    """
    delay_s = np.zeros(len(observations.cameras)) if delay_s is None else delay_s
    key = _digest(observations, options, delay_s)
    if key not in options.made:
        options.made[key] = _attempted(observations, options, delay_s)
        for oldest in list(options.made)[:-_MOST_KEPT]:
            del options.made[oldest]
    return options.made[key]


def _digest(observations: LiftedObservations, options: Options, delay_s: Float[Real, "V"]) -> bytes:
    """Of everything that an attempt depends on."""
    found = hashlib.blake2b(digest_size=16)
    found.update(repr((observations.cameras, options.offsets, options.lenses)).encode())
    for array in (
        observations.t_s,
        observations.keypoints_px,
        observations.confidence,
        observations.canonical,
        observations.view_from_canonical,
        observations.image_px,
        delay_s,
    ):
        found.update(array.tobytes())
    return found.digest()


def _attempted(
    observations: LiftedObservations, options: Options, delay_s: Float[Real, "V"]
) -> Attempt:
    try:
        with np.errstate(all="ignore"):  # what cannot be fitted ends in numbers that are not finite
            found = _fitted(observations, options, delay_s)
    except Undetermined as error:
        return _not_examined(observations, None, str(error))
    refused = ""
    try:
        refuse_uncertain(found)
    except Undetermined as reason:
        refused = str(reason)
    if refused and found.noise_share > HOPELESS_NOISE:
        return _not_examined(observations, found, refused)
    return examined(observations, found, refused)


def _not_examined(
    observations: LiftedObservations, found: Calibration | None, refused: str
) -> Attempt:
    return Attempt(
        observations=observations,
        calibration=found,
        refused=refused,
        residual_delay_s=np.zeros(len(observations.cameras)),
        outlier=np.zeros(observations.confidence.shape[:2], bool),
        clear_outlier=np.zeros(observations.confidence.shape[:2], bool),
        contradicted=np.zeros(observations.confidence.shape[:2], bool),
    )


def examined(observations: LiftedObservations, found: Calibration, refused: str = "") -> Attempt:
    """The signs of a calibration whose cameras are those of the observations. If no skeletons can
    be computed with it, an attempt without calibration, whose `refused` says so.
    """
    try:
        return _examined(observations, found, refused)
    except np.linalg.LinAlgError as error:
        return _not_examined(observations, None, refused or NO_FIT.format(error))


def _examined(observations: LiftedObservations, found: Calibration, refused: str) -> Attempt:
    aligned = time_aligned(observations, found.rig.delay_s)
    reconstruction = reconstruct(observations, found)
    errors = epipolar_errors(aligned, found.rig)
    outlier = outlier_views(errors, aligned.t_s)
    return Attempt(
        observations=observations,
        calibration=found,
        reconstruction=reconstruction,
        refused=refused,
        residual_delay_s=worst_residual_delays(aligned, found.rig, reconstruction.joints),
        outlier=outlier,
        clear_outlier=clear_outliers(errors, outlier, aligned.t_s),
        contradicted=contradicted_views(aligned, found.rig, reconstruction.joints),
    )


def _fitted(
    observations: LiftedObservations, options: Options, delay_s: Float[Real, "V"]
) -> Calibration:
    for _ in range(_REFITS):
        aligned = time_aligned(observations, delay_s)
        useful = useful_views(aligned)
        if len(useful) < len(delay_s):
            few = [name for view, name in enumerate(aligned.cameras) if view not in useful]
            raise Undetermined(_FEW.format(" and ".join(few), LEAST_INSTANTS))
        found = fit_still(aligned, offsets=options.offsets, lenses=options.lenses)
        change = found.rig.delay_s
        delay_s = delay_s + change
        if not np.abs(change).max() > observations.interval_s:
            break
    if delay_s.any():
        delay_s = delay_s - in_step(delay_s, observations.interval_s / 2)
    return replace(found, rig=replace(found.rig, delay_s=delay_s))
