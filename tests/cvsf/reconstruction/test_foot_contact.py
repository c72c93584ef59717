"""A track that is wrong where the body is right: standing feet put it back."""

import numpy as np
import pytest

from cvsf.reconstruction.foot_contact import correct_track
from cvsf.skeleton import H36M_16
from tests.support.stepping import Real, walk, wandering

T_S = np.arange(240) / 30


def left(joints: Real, true: Real) -> float:
    """RMS of the error of the place (m) after the best shift of the take."""
    error = (joints - true).mean(1)
    error = error - error.mean(0)
    return float(np.sqrt(np.square(error).sum(-1).mean()))


def test_a_walker_comes_back_to_the_true_track() -> None:
    true = walk(T_S)
    wrong = true + wandering(T_S)[:, None]
    found = correct_track(T_S, wrong, H36M_16)
    assert found is not None
    assert left(wrong, true) > 0.15
    assert left(wrong + found.shift[:, None], true) < 0.08
    # what may be left is stated
    spread = found.drawn - found.drawn.mean(1, keepdims=True)
    said = np.sqrt(np.square(spread).sum(-1).mean())
    assert left(wrong + found.shift[:, None], true) < 2 * said < 0.5


def test_someone_who_glides_stays_on_the_track_that_was_measured() -> None:
    glide = walk(np.zeros_like(T_S)) + np.stack([6 * T_S, 2 * np.sin(T_S), 0 * T_S], -1)[:, None]
    found = correct_track(T_S, glide, H36M_16)
    assert found is not None
    assert np.abs(found.shift).max() < 0.1


def test_the_height_is_only_smoothed() -> None:
    true = walk(T_S)
    jitter = np.random.default_rng(0).normal(0, 0.02, len(T_S))
    wrong = true + jitter[:, None, None] * [0, 0, 1]
    found = correct_track(T_S, wrong, H36M_16)
    assert found is not None
    assert np.std((wrong + found.shift[:, None] - true).mean(1)[:, 2]) < 0.6 * np.std(jitter)
    assert not found.drawn[..., 2].any()


def test_instants_without_a_skeleton_are_passed_over() -> None:
    true = walk(T_S)
    wrong = true + wandering(T_S)[:, None]
    wrong[100:130], wrong[7] = np.nan, np.nan
    found = correct_track(T_S, wrong, H36M_16)
    assert found is not None
    assert np.isfinite(found.shift).all()
    known = np.isfinite(wrong).all((1, 2))
    assert left((wrong + found.shift[:, None])[known], true[known]) < 0.12


@pytest.mark.parametrize("t_s", [T_S[:4], 10 * T_S[:40], np.zeros(40)])
def test_too_few_instants_close_in_time_give_no_correction(t_s: Real) -> None:
    assert correct_track(t_s, walk(t_s), H36M_16) is None


def test_more_pictures_a_second_give_the_same_track() -> None:
    twice_s = np.arange(480) / 60
    slow, fast = (
        correct_track(t_s, walk(t_s) + wandering(t_s)[:, None], H36M_16) for t_s in (T_S, twice_s)
    )
    assert slow is not None
    assert fast is not None
    apart = fast.shift[::2] - slow.shift
    assert np.linalg.norm(apart - apart.mean(0), axis=-1).mean() < 0.03
