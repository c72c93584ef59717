"""The light of a day: what follows from sun and sky, and what the lot may draw."""

from dataclasses import fields, replace

import numpy as np
import pytest

from capture.simulator.lighting import choose_weather


def test_the_suns_share_is_its_light_on_the_level_over_all_light_there() -> None:
    sun = np.array([0.6, 0.0, 0.8])
    day = replace(
        choose_weather(0), sun=sun, sunlight=np.array([0.5, 0.25, 0.0]), skylight=np.full(3, 0.4)
    )
    assert day.direct == pytest.approx([0.4 / 0.8, 0.2 / 0.6, 0.0])
    assert day.lamp == pytest.approx([0.65, 0.525, 0.4])


@pytest.mark.parametrize(("sunlight", "sharp"), [(0.2, True), (0.1, False), (0.0, False)])
def test_shadows_are_sharp_where_the_sun_gives_more_than_a_quarter_of_the_light(
    sunlight: float, sharp: bool
) -> None:
    """Under a sun in the zenith the share is sunlight / (sunlight + 0.4): 0.33, 0.2 and 0."""
    day = replace(
        choose_weather(0),
        sun=np.array([0.0, 0.0, 1.0]),
        sunlight=np.full(3, sunlight),
        skylight=np.full(3, 0.4),
    )
    assert day.sharp is sharp


def test_the_same_seed_gives_the_same_weather() -> None:
    one, again = choose_weather(17), choose_weather(17)
    assert all(np.array_equal(getattr(one, f.name), getattr(again, f.name)) for f in fields(one))


def test_every_seed_has_a_sun_above_the_slope_falling_snow_and_enough_light() -> None:
    days = [choose_weather(seed) for seed in range(200)]
    for day in days:
        assert np.linalg.norm(day.sun) == pytest.approx(1)
        assert 15 <= np.degrees(np.arcsin(day.sun[2])) <= 70
        assert day.wind[2] < 0
        assert day.flakes == 0 or 20 <= day.flakes < 140
        level = day.skylight + day.sunlight * day.sun[2]
        assert 0.35 < level.mean() < 1.05
    assert 0.3 < np.mean([day.sharp for day in days]) < 0.9
    assert 0.2 < np.mean([day.flakes > 0 for day in days]) < 0.8
