"""Known lenses in the online calibration; one that does not fit its camera is said once."""

import logging
from dataclasses import replace

from cvsf.multiview.known_lenses import Lenses, known_intrinsics
from cvsf.multiview.observations import LiftedObservations

log = logging.getLogger(__name__)


class LiveLenses:
    """The lenses that the hub knows, by camera."""

    def __init__(self, lenses: Lenses) -> None:
        self._lenses = lenses
        self._unfit: set[str] = set()

    def given(self, observations: LiftedObservations) -> LiftedObservations:
        """The observations with the intrinsics of the cameras whose lenses are known. One that does
        not fit its pictures is left out, with a warning the first time.
        """
        cameras, size_px = observations.cameras, observations.size_px
        known, problems = known_intrinsics(self._lenses, cameras, size_px)
        for camera in sorted(problems.keys() - self._unfit):
            log.warning("known lens not used", extra={"reason": problems[camera]})
            self._unfit.add(camera)
        return replace(observations, intrinsics=known if known.is_known.any() else None)
