"""What the swap bench counts at the client."""

import os

import pytest

from runtime.bench.looped_session import instant_ns
from runtime.bench.swap import Arrival, figures, resident_mb


def test_lost_reordered_and_late_instants_are_counted() -> None:
    period = 1 / 30
    on_time = [Arrival(k * period + 0.02, instant_ns(k, 30), "one") for k in range(60)]
    quiet, swapping = (0.0, 0.99), (0.99, 2.1)
    found = figures(on_time, {"quiet": [quiet], "swapping": [swapping]})
    assert (found["instants_lost"], found["reordered"]) == (0, 0)
    assert abs(found["latest_instant_periods"]) < 0.01
    held_up = [
        Arrival(a.at_s + (k == 40) * period, a.t_ns, a.engine) for k, a in enumerate(on_time)
    ]
    holed = [a for k, a in enumerate(held_up) if k != 50]
    holed.append(Arrival(2.05, instant_ns(45, 30), "one"))
    found = figures(holed, {"quiet": [quiet], "swapping": [swapping]})
    assert (found["instants_lost"], found["reordered"]) == (1, 1)
    assert found["latest_instant_periods"] > 0.9


def test_the_memory_of_a_process_is_that_of_its_resident_pages() -> None:
    before_mb = resident_mb(os.getpid())
    block = b"x" * (64 << 20)
    assert resident_mb(os.getpid()) - before_mb == pytest.approx(len(block) >> 20, abs=8)


def test_the_bench_measures_seconds_a_swap_by_the_engines_that_were_seen() -> None:
    period = 1 / 30
    arrivals = [
        Arrival(k * period, instant_ns(k, 30), "one" if k % 20 < 10 else "other") for k in range(60)
    ]
    spans = {"quiet": [(0.0, 0.5)], "swapping": [(0.0, 2.5)]}
    assert figures(arrivals, spans)["seconds_a_swap"] == 0.5  # 5 changes in 2.5 s
