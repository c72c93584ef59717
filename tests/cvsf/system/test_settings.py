"""The configuration file that ships says every knob, and a wrong one is refused by its key."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from capture.config import CaptureConfig
from cvsf.hub_config import HubConfig
from cvsf.system.errors import Refusal
from cvsf.system.settings import data_folder, load_table
from tests.support.paths import ROOT

SHIPPED = ROOT / "deploy" / "cvsf.toml"


@pytest.mark.parametrize(("table", "kind"), [("capture", CaptureConfig), ("hub", HubConfig)])
def test_the_shipped_file_holds_every_setting_at_its_default(
    table: str, kind: type[BaseModel]
) -> None:
    defaults = {name: value for name, value in kind().model_dump().items() if value is not None}
    assert tomllib.loads(SHIPPED.read_text())[table] == defaults
    assert load_table(SHIPPED, table, kind) == kind()
    unset = set(kind.model_fields) - set(defaults)
    assert all(f"# {name} = " in SHIPPED.read_text() for name in unset)


def test_a_setting_given_on_the_command_line_overrules_the_file() -> None:
    assert load_table(SHIPPED, "hub", HubConfig, {"web_port": 1}).web_port == 1
    with pytest.raises(Refusal, match="--web-port is 'x'"):
        load_table(SHIPPED, "hub", HubConfig, {"web_port": "x"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[hub]\nweb_prot = 1", "hub.web_prot is 1"),
        ("[hub]\nweb_port = 70000", "hub.web_port is 70000"),
        ("hub = 5", "hub is 5, expected a table"),
        ("[night]", "night is unknown"),
        ("[hub", "is not TOML"),
        ('{"hub": {"web_prot": 1}}', "hub.web_prot is 1"),
    ],
)
def test_a_settings_file_with_a_mistake_is_refused_with_its_key(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(Refusal, match=sentence):
        load_table(tmp_path / "c.toml", "hub", HubConfig)


def test_the_data_folder_is_the_one_given_or_one_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_folder(None) == tmp_path / "cvsf"
    assert data_folder(Path("here")) == Path.cwd() / "here"
    with pytest.raises(Refusal, match="names the home of an unknown user; give a full path"):
        data_folder(Path("~nobody-of-this-name/data"))
