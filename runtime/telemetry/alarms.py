"""Alarms: sentences on faults that need a person, with the cure if there is one.

Table and page show the same sentences.
"""

from collections.abc import Iterator

from runtime.stats import RESUME_SHARE, Stats

CLOCK_MS = 10.0
"""Half width of a camera's clock error, a guess, not measured: a fifth of a period of 50 ms."""
_SPACE_S = 600.0
"""Recording time left, a guess, not measured: time enough to free space."""


def alarms(stats: Stats) -> list[str]:
    """Sentences about what goes wrong, in the order engine, cameras, recording, clocks.

    Empty if nothing does. A recording that the user paused is no alarm.
    """
    return [*_of_engine(stats), *_of_cameras(stats), *_of_recording(stats), *_of_clocks(stats)]


def _of_engine(stats: Stats) -> Iterator[str]:
    if stats.engine_trouble:
        yield f"engine refused: {stats.engine_trouble}"
    if rollback := stats.quality.rolled_back:
        yield f"engine rolled back from {rollback.from_}: {rollback.why}"


def _of_cameras(stats: Stats) -> Iterator[str]:
    if stats.world and stats.world.moved:
        yield f"camera moved: {', '.join(stats.world.moved)}"
    for state in ("lost", "stopped", "silent"):
        if names := [name for name, camera in stats.cameras.items() if camera.state == state]:
            yield f"camera {state}: {', '.join(names)}"


def _of_recording(stats: Stats) -> Iterator[str]:
    free = "?" if stats.disk_free_gb is None else f"{stats.disk_free_gb:.1f}"
    for by, reason in stats.recording_halted.items():
        if by == "space":
            kept = stats.disk_kept_free_gb
            yield (
                f"{reason}: {free} GB free, {kept:g} GB kept free; make room: recording goes on by"
                f" itself above {RESUME_SHARE * kept:.2g} GB"
            )
        elif "ENOSPC" in reason:
            yield f"disk full: {free} GB free; make room, recording goes on by itself"
        elif by != "pause":
            yield f"not recording: {reason}; the disk is tried again every second"
    left_s = stats.free_recording_s
    if stats.recording and left_s is not None and left_s < _SPACE_S:
        yield f"disk nearly full: {free} GB free, {left_s // 60} min left to record; make room"


def _of_clocks(stats: Stats) -> Iterator[str]:
    errors_ms = {
        n: c.clock_error_ms for n, c in stats.cameras.items() if (c.clock_error_ms or 0) > CLOCK_MS
    }
    if errors_ms:
        yield "clock uncertain: " + ", ".join(
            f"{name} ±{ms:.0f} ms" for name, ms in errors_ms.items()
        )
