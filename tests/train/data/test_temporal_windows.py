"""Windows of instants around an instant, by time."""

import numpy as np
import torch

from cvsf.model.fusion import centre_views
from train.data.temporal_windows import (
    FRAMES_APART_S,
    around,
    centred_window,
    one_clock,
    windows,
)


def test_a_window_is_the_instants_nearest_in_time_and_of_the_same_take() -> None:
    session = ("a",) * 30 + ("b",) * 10
    t_s = np.concatenate([np.arange(30) / 30, np.arange(10) / 30])
    t_s[20:30] += 1  # nobody was seen for a second
    clock = one_clock(session, t_s)
    assert (np.diff(clock) > 0).all()
    rows, there = around(clock, np.array([10, 0, 19, 30, 39]), 5)
    assert rows[0].tolist() == [6, 8, 10, 12, 14]
    assert there[0].all()
    assert there[1:].tolist() == [
        [False, False, True, True, True],
        [True, True, True, False, False],
        [False, False, True, True, True],
        [True, True, True, False, False],
    ]


def test_times_rise_across_takes_and_across_a_clock_that_was_set_back() -> None:
    clock = one_clock(("a", "a", "b", "b"), np.array([5.0, 6.0, 1.0, 0.5]))
    assert clock[:2].tolist() == [0, 1]
    assert (np.diff(clock)[1:] > 1000).all()


def test_keypoints_of_a_window_are_those_of_its_instants_and_missing_ones_are_not_seen() -> None:
    keypoints = np.arange(4 * 2 * 16 * 2, dtype=np.float32).reshape(4, 2, 16, 2)
    confidence = np.full((4, 2, 16), 0.5, np.float32)
    clock = np.linspace(0, 3 * FRAMES_APART_S, 4)
    shown, sure = windows(keypoints, confidence, clock, 3)
    assert shown.shape == (4, 2, 3, 16, 2)
    assert np.array_equal(shown[1], keypoints[:3].swapaxes(0, 1))
    assert not sure[0, :, 0].any()
    assert not sure[3, :, 2].any()
    assert (sure[1:3] == 0.5).all()


def test_a_window_is_aimed_at_the_person_of_its_middle_frame() -> None:
    random = torch.Generator().manual_seed(0)
    pixels = 500 + 100 * torch.rand(1, 3, 16, 2, generator=random)
    pixels[:, 2] += 200  # the person walks on after the middle
    confidence, image = torch.ones(1, 3, 16), torch.tensor([[1920.0, 1080.0]])
    plane, centred = centred_window(pixels, confidence, image)
    middle = centre_views(pixels[:, 1], confidence[:, 1], image)
    torch.testing.assert_close(plane[:, 1], middle.plane)
    torch.testing.assert_close(centred.centred_from_view, middle.centred_from_view)
    assert float((plane[:, 2].mean(-2) - plane[:, 1].mean(-2)).min()) > 0
