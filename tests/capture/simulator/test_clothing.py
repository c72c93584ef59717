"""What the skier wears: drawn by lot, and alike on both sides of the body."""

import numpy as np
import pytest

from capture.simulator.clothing import JACKET, dress
from capture.simulator.mesh import SIDE_PARTS, Figure, make_figure


@pytest.fixture(scope="module")
def figure() -> Figure:
    return make_figure()


def test_the_same_seed_gives_the_same_clothing_and_another_seed_other_clothing(
    figure: Figure,
) -> None:
    assert np.array_equal(dress(figure, 11), dress(figure, 11))
    assert np.abs(dress(figure, 11) - dress(figure, 12)).mean() > 0.05


def test_left_and_right_limbs_wear_the_same_colours_in_every_pattern(figure: Figure) -> None:
    for seed in range(40):
        colour = dress(figure, seed)
        for name, *_ in SIDE_PARTS:
            left, right = np.split(colour[figure.part == figure.names.index(name)], 2)
            assert np.array_equal(left, right), (seed, name)


def test_no_cloth_is_pitch_black_or_brighter_than_snow(figure: Figure) -> None:
    worn = np.stack([dress(figure, seed) for seed in range(40)])
    assert worn.shape == (40, len(figure.part), 3)
    assert worn.min() >= 0.05
    assert worn.max() <= 0.97


def test_jackets_of_many_skiers_are_dark_and_bright_and_of_every_hue(figure: Figure) -> None:
    jacket = np.isin(figure.part, [figure.names.index(name) for name in JACKET])
    means = np.array([dress(figure, seed)[jacket].mean(0) for seed in range(60)])
    assert means.mean(1).min() < 0.2
    assert means.mean(1).max() > 0.6
    strongest = means[np.ptp(means, axis=1) > 0.15].argmax(1)
    assert set(strongest.tolist()) == {0, 1, 2}
