"""What the user knows in metres, as typed, and how well the metre is known then."""

from dataclasses import asdict

import numpy as np
import pytest

from cvsf.calibration.metric_scale import (
    ADULTS,
    BONE,
    OWN,
    RATIOS,
    Scale,
    deviation_of_bone,
    deviation_of_distance,
    deviation_of_stature,
    scale_from_plain,
)
from cvsf.calibration.world_frame import find_world_frame
from cvsf.hub_config import HubConfig
from cvsf.messages import pack, unpack
from cvsf.system.errors import Refusal
from tests.cvsf.calibration.test_world_frame import STATURE, athlete, cameras, found
from tests.support.made_calibration import made_calibration

SURE = np.zeros(3)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"height_m": 182.0}, "--height is 182"),
        ({"bone": "thigh"}, "--bone is 'thigh'"),
        ({"bone": "tail=0.4"}, "names 'tail'"),
        ({"camera_distance": "cam0=3"}, "expected two cameras"),
        ({"camera_distance": "cam0,cam1=-3"}, "--distance is"),
        ({"height_m": 0.4}, "--height is 0.4: expected metres between 0.5 and 2.6"),
        ({"bone": "thigh=inf"}, "--bone is 'thigh=inf': expected a name and metres"),
        ({"camera_distance": "cam0,cam0=3"}, "--distance names 'cam0,cam0': expected two cameras"),
        ({"height_m": 1.8, "bone": "thigh=0.4"}, "--height and --bone were given"),
    ],
)
def test_a_stature_bone_or_distance_that_cannot_be_is_refused(
    given: dict[str, object], sentence: str
) -> None:
    with pytest.raises(Refusal, match=sentence):
        HubConfig.model_validate(given)


@pytest.mark.parametrize(
    ("given", "scale"),
    [
        ({}, Scale()),
        ({"height_m": 1.82}, Scale(height_m=1.82)),
        ({"bone": "thigh=0.45"}, Scale(bone=("thigh", 0.45))),
        ({"camera_distance": "left,top=7.5"}, Scale(cameras=("left", "top", 7.5))),
    ],
)
def test_a_stature_bone_or_distance_is_read_as_typed_and_travels_unchanged(
    given: dict[str, object], scale: Scale
) -> None:
    assert HubConfig.model_validate(given).scale == scale
    assert scale_from_plain(unpack(pack(asdict(scale)))) == scale


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
