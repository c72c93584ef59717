"""What the user knows in metres, as typed."""

from dataclasses import asdict

import pytest

from cvsf.calibration.metric_scale import Scale, scale_from_plain
from cvsf.hub_config import HubConfig
from cvsf.messages import pack, unpack
from cvsf.system.errors import Refusal


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
