"""The hub's settings: an option overrules the file, and nothing wrong passes."""

from pathlib import Path

import pytest

from cvsf.calibration.metric_scale import Scale
from cvsf.hub_config import HUB_FLAGS, HubConfig, load_hub_config
from cvsf.system.errors import Refusal


def test_an_option_overrules_the_file_which_overrules_the_default(tmp_path: Path) -> None:
    file = tmp_path / "cvsf.toml"
    file.write_text("[hub]\nrecord = 'poses'\nweb_port = 7000\nbone = 'thigh=0.45'\n")
    found = load_hub_config(file, {"web_port": 7001})
    assert (found.record, found.web_port, found.engine) == ("poses", 7001, "auto")
    assert found.scale == Scale(bone=("thigh", 0.45))
    assert load_hub_config(None, {}) == HubConfig()
    with pytest.raises(Refusal, match="--height and --bone were given"):
        load_hub_config(file, {"height_m": 1.8})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"web_port": 0}, "--web-port is 0: Input should be greater than or equal to 1"),
        ({"engine": "fast"}, "--engine is 'fast'"),
        ({"host": "0.0.0.0"}, r"the hub: 0\.0\.0\.0 is open to other machines"),
        ({"camera_distance": "cam0=3"}, "--distance names 'cam0'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_flag(
    given: dict[str, object], sentence: str
) -> None:
    with pytest.raises(Refusal, match=sentence):
        load_hub_config(None, given)


def test_every_setting_that_is_an_option_has_its_help_in_the_model() -> None:
    assert all(HubConfig.model_fields[key].description for key in HUB_FLAGS)
