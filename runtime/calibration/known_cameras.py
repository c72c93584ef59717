"""Cameras that are known beforehand: from a session, with the time of each, or from a file.

A replayed session uses each calibration from the time it was recorded, so it gives the same
skeletons.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.known_lenses import Lens
from cvsf.session.calibrations import (
    CalibrationUpdate,
    calibrations,
    read_cameras,
    recorded_lenses,
)
from cvsf.session.reader import MANIFEST, SessionReader, read_manifest
from cvsf.system.errors import Refusal
from runtime.calibration.observation_codec import LiftedPose

_MOST_DELAY_S = 0.02  # of known cameras; a guess, not measured


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


def recorded_with(path: Path | None) -> dict[str, Lens] | None:
    """The lenses that were known when a session was recorded; None if the path is none, or a
    `cameras.json`. Refusal if the session cannot be read.
    """
    if path is None or not _is_session(path):
        return None
    return recorded_lenses(read_manifest(path if path.is_dir() else path.parent))


def known_cameras(path: Path) -> KnownCameras:
    """The calibrations of a recorded session, or of one `cameras.json`.

    A folder, or a file with the name of a session's manifest, is read as a session; it may have no
    calibration. Any other path is read as the file. Raises Refusal if it cannot be read, or
    has delays or several people: live, neither can be corrected.
    """
    if _is_session(path):
        return KnownCameras(calibrations(SessionReader(path)))
    update = read_cameras(path)
    rig, people = update.calibration.rig, update.calibration.people
    worst = int(np.abs(rig.delay_s).argmax())
    if abs(rig.delay_s[worst]) > _MOST_DELAY_S:
        raise Refusal(
            f"{path} is of a take in which {rig.cameras[worst]} was {rig.delay_s[worst]:+.2f} s "
            f"late, expected {_MOST_DELAY_S} s or less: a hub cannot wait for it. Record with one "
            "clock, and calibrate that"
        )
    if people is not None:
        raise Refusal(
            f"{path} is of {len(people.bodies)} people who follow one another, expected one: the "
            "hub does not know who comes. Calibrate the seconds of one of them (--seconds)"
        )
    return KnownCameras([update])


def _is_session(path: Path) -> bool:
    return path.is_dir() or path.name == MANIFEST
