"""Delays that remain after a calibration, from residuals along the movement."""

import numpy as np
import pytest

from cvsf.diagnosis.residual_delays import residual_delays
from cvsf.multiview.rig import Rig
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.skeleton import H36M_16
from tests.support.rehearsed import Rehearsed
from tests.support.wandering import Real, exact_of, late


@pytest.fixture(scope="module")
def truth(walk: Rehearsed) -> tuple[Rig, Real]:
    """The true cameras and joints, in mean bones."""
    unit = float(mean_bone(walk.world_mm, H36M_16).mean())
    return walk.true_calibration(0).rig, walk.world_mm / unit


def test_views_on_time_have_no_residual_delay(walk: Rehearsed, truth: tuple[Rig, Real]) -> None:
    assert np.abs(residual_delays(exact_of(walk), *truth)).max() < 1e-4
    assert np.abs(residual_delays(exact_of(walk, walk.keypoints_px), *truth)).max() < 0.003


@pytest.mark.parametrize("late_s", [0.02, -0.03])
def test_a_late_view_has_a_delay_of_the_right_sign(
    walk: Rehearsed, truth: tuple[Rig, Real], late_s: float
) -> None:
    found = residual_delays(exact_of(walk, late(walk, 1, late_s)), *truth)
    assert found[1] == pytest.approx(late_s, rel=0.4)
    assert np.abs(np.delete(found, 1)).max() < 0.003


def test_joints_that_are_not_known_are_no_evidence(
    walk: Rehearsed, truth: tuple[Rig, Real]
) -> None:
    rig, joints = truth
    some = joints.copy()
    some[::3] = np.nan
    found = residual_delays(exact_of(walk, late(walk, 1, 0.02)), rig, some)
    assert found[1] == pytest.approx(0.02, rel=0.4)
    some[2:] = np.nan
    assert not residual_delays(exact_of(walk), rig, some).any()
