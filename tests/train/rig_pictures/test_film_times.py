"""Which instants a film shows, and how fast."""

import numpy as np
import pytest

from train.rig_pictures.film_times import film_times


@pytest.mark.parametrize(
    ("take_s", "pictures", "first_s", "last_s", "sentence"),
    [
        (8.0, 200, 0.0, 8.0, "8.00 s"),
        (2.0, 200, 0.0, 2.0, "2.00 s, at a quarter of the speed"),
        (100.0, 500, 40.0, 60.0, "the middle 20 s of 100 s"),
    ],
)
def test_long_takes_are_cut_and_short_ones_slowed_down(
    take_s: float, pictures: int, first_s: float, last_s: float, sentence: str
) -> None:
    t_s = 7 + np.arange(0, take_s + 1e-6, 0.05)
    times = film_times(t_s, 25)
    assert len(times.t_s) == len(times.row) == pictures
    assert (times.t_s[0], times.t_s[-1]) == pytest.approx((first_s, last_s))
    assert np.abs(t_s[times.row] - 7 - times.t_s).max() <= 0.025 + 1e-6
    assert times.sentence == sentence


def test_nothing_is_shown_in_a_pause_of_the_take() -> None:
    t_s = np.concatenate([np.arange(0, 3, 0.1), np.arange(5, 8, 0.1)])
    times = film_times(t_s, 10)
    away = (times.t_s > 3.06) & (times.t_s < 4.84)
    assert (times.row[away] == -1).all()
    assert (times.row[(times.t_s < 3) | (times.t_s > 5)] >= 0).all()


def test_a_single_instant_is_one_picture() -> None:
    times = film_times(np.array([3.0]), 25)
    assert times.row.tolist() == [0]
    assert times.t_s.tolist() == [0.0]
