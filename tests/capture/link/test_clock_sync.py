"""The estimate of the hub's clock, on links whose truth is known."""

import numpy as np

from capture.link.clock_sync import OffsetLine, Wave

WAVE_NS = 2_000_000_000


def waves(rng: np.random.Generator, count: int, offset_ns: float, skew: float) -> list[Wave]:
    """Waves of a quiet wire: each way takes 50 us and an exponential wait."""
    made = []
    for k in range(count):
        at = k * WAVE_NS
        there, back = 50e3 + rng.exponential(20e3, 8), 50e3 + rng.exponential(20e3, 8)
        best = int(np.argmin(there + back))
        seen = offset_ns + skew * at + (there[best] - back[best]) / 2
        made.append(Wave(at, round(seen), round(there[best] + back[best])))
    return made


def test_offset_and_skew_are_found_to_a_few_microseconds() -> None:
    for seed in range(5):
        line = OffsetLine()
        for wave in waves(np.random.default_rng(seed), 60, 1.5e12, 20e-6):
            line.add(wave)
        assert line.estimate is not None
        at = 59 * WAVE_NS
        assert abs(line.estimate.offset_at(at) - (1.5e12 + 20e-6 * at)) < 20e3


def test_a_step_of_the_clock_is_followed_within_three_waves_and_raises_the_epoch() -> None:
    rng = np.random.default_rng(1)
    line = OffsetLine()
    for wave in waves(rng, 20, 0.0, 0.0):
        line.add(wave)
    for wave in waves(rng, 3, 250e6, 0.0):
        line.add(Wave(wave.at_ns + 20 * WAVE_NS, wave.offset_ns, wave.round_trip_ns))
    assert line.estimate is not None
    assert line.estimate.sync_epoch == 1
    assert abs(line.estimate.offset_ns - 250e6) < 1e5


def test_one_slow_wave_is_not_a_step() -> None:
    line = OffsetLine()
    for wave in waves(np.random.default_rng(2), 10, 0.0, 0.0):
        line.add(wave)
    line.add(Wave(10 * WAVE_NS, 40_000_000, 90_000_000))
    line.add(Wave(11 * WAVE_NS, 0, 100_000))
    assert line.estimate is not None
    assert line.estimate.sync_epoch == 0
    assert abs(line.estimate.offset_ns) < 50e3
