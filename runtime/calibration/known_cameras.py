"""Cameras that are known beforehand: from a session, with the time of each, or from a file.

A replayed session uses each calibration from the time it was recorded, so it gives the same
skeletons.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from cvsf.multiview.rig import Calibration
from cvsf.session.calibrations import CalibrationUpdate, calibrations, read_cameras
from cvsf.session.reader import MANIFEST, SessionReader
from runtime.calibration.observation_codec import LiftedPose


class KnownCameras:
    """Known calibrations, with the interface of `CalibratorClient`."""

    reason = "the session has no calibration"
    left_out = 0

    def __init__(self, schedule: Iterable[CalibrationUpdate]) -> None:
        self._schedule = deque(schedule)

    def updates(self, t_ns: int) -> list[CalibrationUpdate]:
        """The calibrations that were in use at `t_ns` (ns, hub clock) or before, oldest first.

        Each is returned by one call only; empty if there is no new one.
        """
        due = []
        while self._schedule and self._schedule[0].t_ns <= t_ns:
            due.append(self._schedule.popleft())
        return due

    def send(self, instant: LiftedPose) -> None:
        """Nothing happens: the cameras are known."""

    def resume(self, calibration: Calibration) -> None:
        """Nothing happens: the cameras are known."""

    def camera_moved(self, camera: str, since_s: float) -> None:
        """Ignored: the recording has the calibration in which the camera was recovered."""

    def all_lost(self, since_s: float) -> None:
        """Ignored: the recording has the next calibration."""

    def close(self) -> None:
        """Nothing happens: nothing is open."""


def known_cameras(path: Path) -> KnownCameras:
    """The calibrations of a recorded session, or of one `cameras.json`.

    A folder, or a file with the name of a session's manifest, is read as a session; it may have no
    calibration. Any other path is read as the file. Raises Refusal if it cannot be read.
    """
    if path.is_dir() or path.name == MANIFEST:
        return KnownCameras(calibrations(SessionReader(path)))
    return KnownCameras([read_cameras(path)])
