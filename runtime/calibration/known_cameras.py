"""Cameras that are known before anybody is seen: from a session, which held when, or from a file.

A replayed session is placed by what held when it was recorded, so it gives the same skeletons.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Calibration
from cvsf.session.calibrations import calibrations, read_cameras
from cvsf.session.reader import MANIFEST, SessionReader
from runtime.calibration.calibrator_client import News


class KnownCameras:
    """Stands where a survey stands, and finds nothing by itself."""

    reason = "the session holds none"
    left_out = 0

    def __init__(self, schedule: Iterable[tuple[int, News]]) -> None:
        self._schedule = deque(schedule)

    def news(self, t_ns: int) -> list[News]:
        """What began to hold by then."""
        found = []
        while self._schedule and self._schedule[0][0] <= t_ns:
            found.append(self._schedule.popleft()[1])
        return found

    def see(self, seen: LiftedObservations, t_ns: int) -> None:
        """Nothing is learned from it."""

    def hold(self, calibration: Calibration) -> None:
        """Nothing goes on from it."""

    def doubt(self, camera: str, since_s: float) -> None:
        """What was recorded knows when the camera was found again."""

    def lose(self, since_s: float) -> None:
        """What was recorded knows what came after."""

    def close(self) -> None:
        """Nothing is held."""


def known_cameras(path: Path) -> KnownCameras:
    """The calibrations of a recorded session, or of one `cameras.json`; a Refusal if unreadable."""
    if path.is_dir() or path.name == MANIFEST:
        found = calibrations(SessionReader(path))
        return KnownCameras(
            (held.t_ns, News(calibration=held.calibration, cause=held.cause, moved=held.moved))
            for held in found
        )
    return KnownCameras([(0, News(calibration=read_cameras(path)[0], cause="known"))])
