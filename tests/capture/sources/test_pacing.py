"""Waiting for a moment of the clock, or for the time one has."""

import time

from capture.sources.pacing import reached

LONG_NS = 3_600_000_000_000


def test_a_moment_that_has_passed_is_reached_at_once_even_without_time_to_wait() -> None:
    assert reached(time.monotonic_ns() - LONG_NS, 0.0)


def test_a_moment_within_the_time_is_waited_for_and_not_longer() -> None:
    moment_ns = time.monotonic_ns() + 30_000_000
    assert reached(moment_ns, 3600.0)
    assert time.monotonic_ns() >= moment_ns


def test_a_moment_beyond_the_time_is_not_reached_though_all_the_time_was_waited() -> None:
    begun_ns = time.monotonic_ns()
    assert not reached(begun_ns + LONG_NS, 0.03)
    assert time.monotonic_ns() - begun_ns >= 30_000_000
