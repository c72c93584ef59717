"""A later calibration in the world frame of the one before it."""

from dataclasses import replace

import numpy as np

from cvsf.multiview.calibration import Calibration
from runtime.calibration.gauge_alignment import continued


def test_a_better_calibration_stays_in_the_world_of_the_one_before(known: Calibration) -> None:
    random = np.random.default_rng(3)
    angle = 0.7
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    other = replace(known, rig=known.rig.transformed(turn, np.array([3.0, -2.0, 0.5]), 1.0))
    joints = random.uniform(-2, 2, (20, 16, 3))
    there = joints @ turn.T + np.array([3.0, -2.0, 0.5])
    for final in (False, True):
        again = continued(other, known, known.rig.cameras, (there, joints), final=final)
        np.testing.assert_allclose(again.rig.centres, known.rig.centres, atol=1e-6)
        np.testing.assert_allclose(again.rig.view_from_world, known.rig.view_from_world, atol=1e-6)
    larger = replace(known, rig=known.rig.transformed(np.eye(3), np.zeros(3), 1.1))
    kept = continued(larger, known, known.rig.cameras, (1.1 * joints, joints), final=True)
    np.testing.assert_allclose(kept.rig.centres, known.rig.centres, atol=1e-6)


def test_before_the_scale_is_final_that_of_the_later_calibration_stays(
    known: Calibration,
) -> None:
    larger = replace(known, rig=known.rig.transformed(np.eye(3), np.zeros(3), 1.1))
    joints = np.random.default_rng(0).uniform(-2, 2, (20, 16, 3))
    kept = continued(larger, known, known.rig.cameras, (1.1 * joints, 1.1 * joints), final=False)
    np.testing.assert_allclose(kept.rig.centres, larger.rig.centres, atol=1e-9)
    assert kept.scale_source == larger.scale_source


def test_the_bones_of_the_body_are_scaled_to_a_world_of_final_scale(known: Calibration) -> None:
    rig = known.rig.transformed(np.eye(3), np.zeros(3), 2.0)
    double = replace(known, rig=rig, body=replace(known.body, bones=2 * known.body.bones))
    joints = np.random.default_rng(0).uniform(-2, 2, (20, 16, 3))
    kept = continued(double, known, known.rig.cameras, (2 * joints, joints), final=True)
    np.testing.assert_allclose(kept.body.bones, known.body.bones, rtol=1e-6)
