"""Whether the lifter sees a view from where the rig has its camera."""

from dataclasses import replace

import numpy as np

from cvsf.diagnosis.viewing_directions import contradicted_views
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.skeleton import H36M_16
from tests.support.rehearsed import Rehearsed

SOME = slice(15, 30)  # the second second


def exchanged(seen: LiftedObservations) -> LiftedObservations:
    """Two views look from each other's place for a second."""
    rotation = seen.view_from_canonical.copy()
    rotation[SOME, 0], rotation[SOME, 2] = rotation[SOME, 2].copy(), rotation[SOME, 0].copy()
    return replace(seen, view_from_canonical=rotation)


def test_views_that_look_from_another_side_for_a_second_are_contradicted(walk: Rehearsed) -> None:
    joints = walk.world_mm / mean_bone(walk.world_mm, H36M_16).mean()
    rig = walk.true_calibration(0).rig
    assert not contradicted_views(walk.exact(), rig, joints).any()
    found = contradicted_views(exchanged(walk.exact()), rig, joints)
    assert found[SOME][:, [0, 2]].all()
    assert found.sum() == 2 * 15


def test_instants_without_joints_contradict_nothing(walk: Rehearsed) -> None:
    joints = walk.world_mm / mean_bone(walk.world_mm, H36M_16).mean()
    joints[SOME] = np.nan
    rig = walk.true_calibration(0).rig
    assert not contradicted_views(exchanged(walk.exact()), rig, joints).any()
