"""What the user knows in metres, as typed."""

import pytest

from cvsf.system.errors import Refusal
from runtime.calibration.metric_scale import measures
from runtime.config import HubConfig


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
        measures(HubConfig.model_validate(given))


def test_a_stature_bone_or_distance_is_read_as_typed() -> None:
    assert measures(HubConfig()) == {}
    assert measures(HubConfig(height_m=1.82)) == {"height_m": 1.82}
    assert measures(HubConfig(bone="thigh=0.45")) == {"bone": ["thigh", 0.45]}
    told = {"distance": ["left", "top", 7.5]}
    assert measures(HubConfig(camera_distance="left,top=7.5")) == told
