"""Reprojection errors of every view at every instant."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.outcomes import observed, outcome
from train.evaluation import view_errors as module
from train.evaluation.view_errors import ViewErrors, took_part, view_errors

MADE = outcome()


def errors(**changed: object) -> ViewErrors:
    """Of keypoints that are (view + instant) px off."""
    assert MADE.calibration is not None
    assert MADE.reconstruction is not None
    seen = observed(MADE)
    off = np.arange(8)[:, None] + np.arange(4)
    shifted = seen.keypoints_px + np.stack([off, 0 * off], -1)[:, :, None].astype(np.float32)
    seen = replace(seen, keypoints_px=shifted)
    return view_errors(
        replace(seen, **changed),  # type: ignore[arg-type]
        MADE.calibration.rig,
        MADE.reconstruction,
    )


@pytest.mark.parametrize("at_once", [3, 4096])
def test_errors_are_medians_in_px_and_over_the_extent(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "_INSTANTS", at_once)
    found = errors()
    np.testing.assert_allclose(found.px, np.arange(8)[:, None] + np.arange(4), atol=1e-3)
    assert (
        50 < (found.px[1:] / found.share[1:]).min() < (found.px[1:] / found.share[1:]).max() < 400
    )
    assert found.median_px(1) == pytest.approx(4.5, abs=1e-3)
    assert found.best_and_worst(2) == (0, 7)


def test_an_instant_with_few_joints_is_neither_best_nor_worst() -> None:
    confidence = np.ones((8, 4, 16), np.float32)
    confidence[[0, 7], 1, 3:] = 0
    assert errors(confidence=confidence).best_and_worst(1) == (1, 6)


def test_a_view_without_a_part_in_any_skeleton_has_no_best_instant() -> None:
    assert MADE.calibration is not None
    assert MADE.reconstruction is not None
    joints, residual = MADE.reconstruction.joints.copy(), np.zeros((8, 4))
    joints[2], residual[:, 3] = np.nan, np.nan
    lost = replace(MADE.reconstruction, joints=joints, residual_share=residual)
    assert took_part(lost).sum(0).tolist() == [7, 7, 7, 0]
    found = view_errors(observed(MADE), MADE.calibration.rig, lost, np.array([1, 2]))
    assert np.isfinite(found.px).tolist() == [[True, True, True, False], [False] * 4]
    assert found.best_and_worst(3) is None
    assert np.isnan(found.median_px(3))
