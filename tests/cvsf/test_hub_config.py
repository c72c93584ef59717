"""The hub's settings: an option overrules the file, and nothing wrong passes."""

from pathlib import Path

import pytest

from cvsf.calibration.metric_scale import Scale
from cvsf.hub_config import HUB_FLAGS, HubConfig, load_hub_config, with_lenses
from cvsf.multiview.known_lenses import KEPT, lenses_to_toml
from cvsf.system.errors import Refusal
from tests.support.lenses import made_lens


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


def test_lenses_of_the_settings_come_before_the_file_and_that_before_what_is_kept(
    tmp_path: Path,
) -> None:
    file, kept = tmp_path / "lenses.toml", {"left": made_lens(900), "top": made_lens(800)}
    (tmp_path / KEPT).write_text(lenses_to_toml(kept))
    file.write_text(lenses_to_toml({"left": made_lens(1000), "right": made_lens(1000)}))
    config = tmp_path / "cvsf.toml"
    tables = lenses_to_toml({"right": made_lens(1100)}).replace('["right"]', "[hub.lenses.right]")
    config.write_text(tables.replace('name = "right"', ""))
    settings = load_hub_config(config, {"intrinsics": str(file)})

    def focal_px(settings: HubConfig) -> dict[str, float]:
        return {name: lens.matrix[0][0] for name, lens in settings.lenses.items()}

    found = with_lenses(settings, tmp_path)
    assert focal_px(found) == {"left": 1000, "top": 800, "right": 1100}
    assert with_lenses(found, tmp_path) == found
    replayed = with_lenses(settings, tmp_path, {"top": made_lens(700)})
    assert focal_px(replayed) == {"left": 1000, "top": 700, "right": 1100}
    assert not with_lenses(HubConfig(), tmp_path / "none").lenses
    assert not with_lenses(HubConfig(kept_lenses=False), tmp_path).lenses
    file.unlink()  # a hub that is started again has all of them
    assert with_lenses(found, tmp_path) == found


def test_a_lens_that_cannot_be_is_refused_by_its_camera(tmp_path: Path) -> None:
    config = tmp_path / "cvsf.toml"
    config.write_text("[hub.lenses.left]\nmatrix = [[9, 0, 1], [0, 5, 1], [0, 0, 1]]\n")
    with pytest.raises(Refusal, match=r"lenses of \[hub\]: fx and fy of left"):
        load_hub_config(config, {})
