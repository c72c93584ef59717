"""The times of a session that is played again and again."""

import pytest

from runtime.bench.looped_session import index_of, instant_ns


@pytest.mark.parametrize("fps", [7, 20, 30, 60])
def test_the_number_of_an_instant_is_found_from_its_exposure_time(fps: int) -> None:
    assert [index_of(instant_ns(index, fps), fps) for index in range(10_000)] == list(range(10_000))


def test_instants_are_a_period_apart_however_long_the_session() -> None:
    assert instant_ns(30, 30) - instant_ns(0, 30) == 1_000_000_000
    steps = {instant_ns(k + 1, 30) - instant_ns(k, 30) for k in range(3000)}
    assert steps == {33_333_333, 33_333_334}
