"""The space on a disk, and how long it lasts."""

import errno
import logging
import time
from pathlib import Path

import pytest

from cvsf.system.disk import Storage
from runtime.recording.disk_space import DiskSpace
from tests.support.product import until

GB = 10**9


class Disk(Storage):
    """A disk of 100 GB with as much space as is set, or that cannot say."""

    def __init__(self, free_gb: float | None) -> None:
        self.free_gb = free_gb

    def space(self, folder: Path) -> tuple[int, int]:
        if self.free_gb is None:
            raise OSError(errno.EIO, "no answer")
        return round(self.free_gb * GB), 100 * GB


def looked(free_gb: float, least_gb: float) -> DiskSpace:
    space = DiskSpace(Disk(free_gb), round(least_gb * GB))
    space.look(Path("/"))
    return space


@pytest.mark.parametrize(
    ("free_gb", "short", "ample"),
    [(4.9, True, False), (5.0, False, False), (6.0, False, False), (6.1, False, True)],
)
def test_recording_stops_below_the_least_and_begins_again_a_fifth_above_it(
    free_gb: float, short: bool, ample: bool
) -> None:
    space = looked(free_gb, 5)
    assert (space.is_short, space.is_ample) == (short, ample)


def test_recording_lasts_as_long_as_the_room_above_the_least_at_that_rate() -> None:
    assert looked(65, 5).lasts_s(6e6) == pytest.approx(10_000)
    assert looked(4, 5).lasts_s(6e6) == 0
    assert looked(65, 5).lasts_s(0.0) is None
    assert looked(65, 5).stats().to_map() == {
        "disk_free_gb": 65.0, "disk_kept_free_gb": 5.0, "disk_alarm": False,
        "free_recording_s": None,
    }  # fmt: skip


def test_a_disk_whose_space_cannot_be_read_counts_as_before() -> None:
    disk = Disk(42)
    space = DiskSpace(disk, 5 * GB)
    space.look(Path("/"))
    disk.free_gb = None
    space.look(Path("/"))
    assert space.free_bytes == 42 * GB
    assert not space.is_short


def test_a_disk_that_fills_up_is_logged_once_until_there_is_room_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk(21)
    space, alarms = DiskSpace(disk, 5 * GB), []
    with caplog.at_level(logging.WARNING):
        for free_gb in (21, 19, 18, 25, 15):
            disk.free_gb = free_gb
            space.watch(Path("/"), 0)
            alarms.append(space.stats().to_map()["disk_alarm"])
    assert alarms == [False, True, True, False, True]
    assert [vars(record)["free_gb"] for record in caplog.records] == [19.0, 15.0]


def test_the_present_rate_is_what_was_taken_over_the_time_it_took() -> None:
    begun_s = time.monotonic()
    space = DiskSpace(Disk(1), 0)

    def rated() -> bool:
        space.watch(Path("/"), GB // 2)
        return space.lasts_s() is not None

    assert until(rated)
    lasts_s = space.lasts_s()
    assert lasts_s is not None
    # half a GB was taken in that time, so one GB lasts twice as long
    assert 2 * 0.5 <= lasts_s <= 2 * (time.monotonic() - begun_s)
