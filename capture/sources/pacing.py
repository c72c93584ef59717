"""Waiting for a moment of this machine's clock, for sources without a clock of their own.

These are video files, sessions and the simulated slope.
"""

import time


def reached(moment_ns: int, timeout_s: float) -> bool:
    """Whether the moment (CLOCK_MONOTONIC) came within the time; waits no longer than either."""
    wait_s = (moment_ns - time.monotonic_ns()) / 1e9
    time.sleep(max(0.0, min(wait_s, timeout_s)))
    return wait_s <= timeout_s
