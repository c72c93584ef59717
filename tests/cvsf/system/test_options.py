"""Options made from a settings model."""

from typing import Any, Literal

import pytest
import typer
from pydantic import BaseModel, ConfigDict, Field
from typer.testing import CliRunner

from cvsf.system.options import with_options


class Settings(BaseModel):
    """Two settings that are options and one that is none."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    port: int = Field(default=5600, ge=1, le=9)
    """Where to listen."""
    mode: Literal["all", "none"] = "all"
    """What is kept."""
    height_m: float | None = None
    """The stature in metres."""
    hidden: int = 3


taken: list[dict[str, Any]] = []


@with_options(Settings, {"port": "--port", "mode": "--mode", "height_m": "--height"})
def command(*, name: str = "", given: dict[str, Any], loud: bool = False) -> None:
    """Keep what was given."""
    taken.append({"name": name, "loud": loud, **given})


app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.command()(command)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"name": "", "loud": False}),
        (["--port", "77", "--name", "a"], {"name": "a", "loud": False, "port": 77}),
        (
            ["--height", "1.8", "--mode", "some", "--loud"],
            {"name": "", "loud": True, "height_m": 1.8, "mode": "some"},
        ),
    ],
)
def test_a_command_takes_what_was_given_by_key_and_leaves_limits_to_the_model(
    words: list[str], expected: dict[str, object]
) -> None:
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    assert taken.pop() == expected


def test_called_in_python_a_setting_goes_by_the_name_of_its_option() -> None:
    command(height=1.7, name="b")
    assert taken.pop() == {"name": "b", "loud": False, "height_m": 1.7}


def test_help_default_values_and_limits_come_from_the_model() -> None:
    said = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    for part in ("--port 1..9", "Where to listen. [default: 5600]", "--mode all|none"):
        assert part in said
    assert "--hidden" not in said
