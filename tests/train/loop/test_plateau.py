"""When a loss has converged, told by windows of steps."""

import pytest

from train.loop.plateau import Plateau


def reached_after(losses: list[float], window_steps: int = 2, drop: float = 0.1) -> int | None:
    """The number of the loss with which the plateau was reached."""
    plateau = Plateau(window_steps=window_steps, drop=drop)
    for number, loss in enumerate(losses, 1):
        plateau.add(loss)
        if plateau.reached:
            return number
    return None


def test_a_loss_that_still_falls_has_no_plateau() -> None:
    assert reached_after([10, 10, 8, 8, 6, 6, 4, 4]) is None


@pytest.mark.parametrize(("last", "reached"), [(9.1, 4), (8.9, None)])
def test_a_plateau_is_reached_when_a_window_drops_by_less_than_the_share(
    last: float, reached: int | None
) -> None:
    assert reached_after([10, 10, last, last]) == reached


def test_the_first_window_alone_reaches_nothing_however_flat() -> None:
    assert reached_after([5.0] * 9, window_steps=5) is None
    assert reached_after([5.0] * 10, window_steps=5) == 10


def test_one_noisy_batch_neither_ends_a_stage_nor_prolongs_it() -> None:
    falling = [10, 10, 10, 10, 6, 9, 6, 6, 4, 4, 4, 4]
    assert reached_after([float(loss) for loss in falling], window_steps=4) is None
    assert reached_after([8, 8, 8, 8, 8, 4, 10, 10], window_steps=4) == 8


def test_a_plateau_once_reached_stays_reached() -> None:
    plateau = Plateau(window_steps=1, drop=0.1)
    for loss in (1.0, 1.0, 0.1, 0.01):
        plateau.add(loss)
    assert plateau.reached
