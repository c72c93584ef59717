"""Known lenses that are used live."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from runtime.calibration.live_lenses import LiveLenses
from tests.support.filmed import SIZE, Filmed
from tests.support.lenses import made_lens


def test_a_lens_of_other_pictures_is_not_used_and_said_once(
    take: Filmed, caplog: pytest.LogCaptureFixture
) -> None:
    size = (2.0 * SIZE[0], 2.0 * SIZE[1])
    lenses = LiveLenses({"cam1": made_lens(900, size), "cam2": made_lens(900, (100.0, 900.0))})
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = lenses.given(take.observations).intrinsics
    assert found is not None
    np.testing.assert_allclose(found.focal_px, [np.nan, 450, np.nan, np.nan])
    (record,) = caplog.records
    assert "cam2 was calibrated at 100 x 900" in vars(record)["reason"]


def test_without_a_known_lens_nothing_is_given(take: Filmed) -> None:
    assert LiveLenses({}).given(take.observations).intrinsics is None
    before = replace(take.observations, cameras=("a", "b", "c", "d"))
    assert LiveLenses({"cam1": made_lens(900)}).given(before).intrinsics is None
