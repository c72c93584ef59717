"""Skeletons in the world of cameras that are known."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.multiview import observations
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.residuals import bones_of
from cvsf.reconstruction.reconstruct import calibrated_body_prior, reconstruct
from cvsf.skeleton import H36M_16
from tests.support.reconstruction_errors import errors_mm, limit_mm
from tests.support.rehearsed import Rehearsed

VIEWS = 4


@pytest.fixture(scope="module")
def found(walk: Rehearsed) -> Calibration:
    return walk.true_calibration(0)


def test_an_instant_that_no_view_saw_has_no_skeleton(walk: Rehearsed, found: Calibration) -> None:
    confidence = walk.confidence.copy()
    confidence[7] = 0
    placed = reconstruct(walk.seen(confidence=confidence), found)
    assert np.isnan(placed.joints[7]).all()
    assert np.isfinite(np.delete(placed.joints, 7, 0)).all()


def test_a_long_take_in_windows_has_the_same_skeletons(
    walk: Rehearsed, found: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = walk.seen()
    whole = reconstruct(seen, found)
    monkeypatch.setattr(observations, "WINDOW", 16)
    parts = reconstruct(seen, found)
    np.testing.assert_allclose(parts.joints, whole.joints, atol=1e-9)
    np.testing.assert_allclose(parts.deviation, whole.deviation, atol=1e-9)
    assert (parts.views_seen == whole.views_seen).all()


def test_a_view_with_left_and_right_exchanged_does_not_raise_the_error(
    walk: Rehearsed, found: Calibration
) -> None:
    keypoints = walk.keypoints_px.copy()
    pairs = (
        [H36M_16.index(j) for j in ("rknee", "rankle")],
        [H36M_16.index(j) for j in ("lknee", "lankle")],
    )
    keypoints[5:15, 1, pairs[0]] = walk.keypoints_px[5:15, 1, pairs[1]]
    keypoints[5:15, 1, pairs[1]] = walk.keypoints_px[5:15, 1, pairs[0]]
    seen = walk.seen(keypoints_px=keypoints)
    assert errors_mm(walk, found, reconstruct(seen, found))[0] < 1.1 * limit_mm(walk)


def test_views_in_another_order_and_unknown_ones_give_the_same_skeletons(
    seen: LiftedObservations, found: Calibration
) -> None:
    few = seen.take(slice(0, 3))
    other = few.of_views([2, 0, 3, 1, 0])
    strange = replace(other, cameras=(*other.cameras[:4], "elsewhere"))
    wanted, placed = reconstruct(few, found), reconstruct(strange, found)
    np.testing.assert_allclose(placed.joints, wanted.joints, atol=1e-6)
    np.testing.assert_allclose(placed.residual_share, wanted.residual_share, atol=1e-6)


def test_one_view_gives_a_whole_skeleton_with_larger_deviations_than_four(
    seen: LiftedObservations, found: Calibration
) -> None:
    few = seen.take(slice(0, 3))
    confidence = few.confidence.copy()
    confidence[:, 1:] = 0
    alone, together = (
        reconstruct(replace(few, confidence=confidence), found),
        reconstruct(few, found),
    )
    assert np.isfinite(alone.joints).all()
    assert (alone.views_seen == 1).all()
    assert (together.views_seen == VIEWS).all()
    assert (alone.deviation > together.deviation).all()
    assert np.isnan(alone.residual_share[:, 1:]).all()


def test_bones_of_both_sides_enter_with_their_mean_length(
    seen: LiftedObservations, found: Calibration
) -> None:
    lengths = calibrated_body_prior(seen.take(slice(0, 2)), found).lengths
    bones = bones_of(H36M_16)
    thighs = [
        b for b, (_, child) in enumerate(H36M_16.bones) if H36M_16.joints[child][1:] == "knee"
    ]
    assert lengths[bones.measure[thighs[0]]] == pytest.approx(found.body.bones[thighs].mean())
