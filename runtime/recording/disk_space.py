"""The free space on the disk of a session, and the recording time left at the present rate.

If it cannot be read, the last value is used.
"""

import logging
import time
from pathlib import Path

from cvsf.system.disk import Storage
from runtime.stats import RESUME_SHARE, RecordingStats

log = logging.getLogger(__name__)

_ALARM_SHARE = 0.2
"""Of the disk, free: below it the alarm is on; a guess, not measured."""
_RATE_SHARE = 0.2
"""Weight of the last second in the running mean of the rate; a guess, not measured."""
_GB = 1e9


class DiskSpace:
    """Free space, read about once a second."""

    def __init__(self, storage: Storage, least_bytes: int) -> None:
        self._storage, self.least_bytes = storage, least_bytes
        self.free_bytes, self._disk_bytes, self._alarm = 0, 1, False
        self._rate_bytes_s, self._rated = 0.0, (time.monotonic(), 0)

    @property
    def is_short(self) -> bool:
        """Whether less is free than must stay free, as last read; True before the first `look`."""
        return self.free_bytes < self.least_bytes

    @property
    def is_ample(self) -> bool:
        """Whether more than 1.2 times the space that must stay free is free, as last read.

        Then recording may go on again.
        """
        return self.free_bytes > RESUME_SHARE * self.least_bytes

    def look(self, folder: Path) -> None:
        """Read how much space the folder's disk has left, in bytes, into `free_bytes`.

        If that fails (OSError), the last value stays, and nothing is raised.
        """
        try:
            self.free_bytes, self._disk_bytes = self._storage.space(folder)
        except OSError as error:
            log.debug("free space unknown", extra={"reason": str(error)})

    def watch(self, folder: Path, taken_bytes: int) -> None:
        """Read the free space, and update the rate; call it about once a second.

        `taken_bytes` is the total since the start. Below 20 % free, the alarm goes on and is logged
        once. OSError is not raised; the last value stays.
        """
        self.look(folder)
        now, (then, bytes_then) = time.monotonic(), self._rated
        if now - then > 0.5:
            fresh = (taken_bytes - bytes_then) / (now - then)
            share = _RATE_SHARE if self._rate_bytes_s else 1.0
            self._rate_bytes_s += share * (fresh - self._rate_bytes_s)
            self._rated = (now, taken_bytes)
        alarm = self.free_bytes < _ALARM_SHARE * self._disk_bytes
        if alarm and not self._alarm:
            log.warning("disk is filling up", extra={"free_gb": round(self.free_bytes / _GB, 1)})
        self._alarm = alarm

    def lasts_s(self, rate_bytes_s: float | None = None) -> float | None:
        """How long (s) recording may go on at `rate_bytes_s`, or at the present rate if that is
        None.

        The space that stays free is subtracted. None while the rate is 0 or unknown.
        """
        rate = self._rate_bytes_s if rate_bytes_s is None else rate_bytes_s
        return max(self.free_bytes - self.least_bytes, 0) / rate if rate > 0 else None

    def stats(self) -> RecordingStats:
        """The statistics of recording with the space of the disk only, in GB (10^9 bytes) and s.

        Nothing is read here: they are as of the last `watch`.
        """
        left_s = self.lasts_s()
        return RecordingStats(
            disk_free_gb=round(self.free_bytes / _GB, 2),
            disk_kept_free_gb=round(self.least_bytes / _GB, 2),
            disk_alarm=self._alarm,
            free_recording_s=None if left_s is None else round(left_s),
        )
