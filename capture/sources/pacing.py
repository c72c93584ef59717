"""Waiting for a moment of this machine's clock, for sources without a clock of their own.

These are video files, sessions and the simulated slope.
"""

import time


def reached(moment_ns: int, timeout_s: float) -> bool:
    """Sleep until the moment (CLOCK_MONOTONIC, ns), `timeout_s` at most; whether the moment has
    come. For a moment in the past it is True at once.
    """
    wait_s = (moment_ns - time.monotonic_ns()) / 1e9
    time.sleep(max(0.0, min(wait_s, timeout_s)))
    return wait_s <= timeout_s
