"""How well the metre is known, by what made it."""

import numpy as np
import pytest

from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.scale_deviation import (
    ADULTS,
    BONE,
    OWN,
    RATIOS,
    deviation_of_bone,
    deviation_of_distance,
    deviation_of_stature,
)
from cvsf.calibration.world_frame import find_world_frame
from tests.cvsf.calibration.test_world_frame import STATURE, athlete, cameras, found
from tests.support.made_calibration import made_calibration

SURE = np.zeros(3)


def test_an_adult_is_known_as_well_as_adults_are_alike() -> None:
    calibration, alike = made_calibration(position_share=SURE), {"thigh": 1.7, "shin": 1.7}
    assert deviation_of_stature(calibration, alike, 1.7, given=False) == pytest.approx(ADULTS)
    assert deviation_of_stature(calibration, alike, 1.7, given=True) == pytest.approx(0)


def test_segments_that_disagree_make_a_stature_doubtful() -> None:
    statures = {"thigh": 1.87, "shin": 1.7, "trunk": 1.53, "forearm": 1.7}
    share = deviation_of_stature(made_calibration(position_share=SURE), statures, 1.7, given=True)
    assert share == pytest.approx(RATIOS * 0.1 / np.sqrt(2))
    one = deviation_of_stature(
        made_calibration(position_share=SURE), {"thigh": 1.7}, 1.7, given=True
    )
    assert one > share


def test_a_bone_is_doubtful_where_the_cameras_are() -> None:
    assert deviation_of_bone(made_calibration(position_share=SURE)) == pytest.approx(BONE)
    unsure = made_calibration(position_share=np.full(3, 0.4))
    assert deviation_of_bone(unsure) == pytest.approx(np.hypot(BONE, 0.4 * OWN))


def test_a_distance_is_known_as_well_as_the_positions_of_its_two_cameras() -> None:
    calibration = made_calibration(position_share=np.array([0.0, 0.03, 0.04]))
    joints = np.zeros((5, 16, 3))  # 20 units from each camera
    joints[0, 3] = np.nan
    centres = calibration.rig.centres
    for one, other, share in (("cam0", "cam1", 0.03), ("cam1", "cam2", 0.05)):
        views = [calibration.rig.cameras.index(name) for name in (one, other)]
        apart = np.linalg.norm(centres[views[0]] - centres[views[1]])
        found_share = deviation_of_distance(calibration, joints, (one, other))
        assert found_share == pytest.approx(20 * share / apart)
    with pytest.raises(ValueError, match="not in tuple"):
        deviation_of_distance(calibration, joints, ("cam0", "cam7"))


@pytest.mark.parametrize(
    "scale",
    [
        Scale(),
        Scale(height_m=STATURE),
        Scale(bone=("thigh", 0.245 * STATURE)),
        Scale(cameras=("cam0", "cam2", 12.0)),
    ],
)
def test_the_stated_deviation_goes_with_the_calibration_into_the_world(scale: Scale) -> None:
    calibration, placed = found(athlete(), cameras())
    here = find_world_frame(calibration, placed, scale)
    assert here.deviation_share is not None
    upright = here.calibration(calibration)
    assert upright.scale_deviation_share == here.deviation_share
    true_scale = 1 / 3.7
    assert abs(here.scale / true_scale - 1) <= 2 * here.deviation_share + 0.002
