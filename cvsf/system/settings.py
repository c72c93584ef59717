"""Settings and data: one TOML file with a table for each part, one data folder for all.

A misspelt key is refused by name; it is never ignored.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cvsf.system.errors import Refusal

TABLES = ("capture", "hub")

Settings = TypeVar("Settings", bound=BaseModel)


def load_table(
    path: Path | None, table: str, kind: type[Settings], given: Mapping[str, Any] | None = None
) -> Settings:
    """The settings in one table of a configuration file, with the values `given` on the command
    line in place of the file's. Without a file (None) or table, these and the defaults. Refusal of
    a file that cannot be read, or of an unknown key or invalid value, by its name.
    """
    read = read_tables(path).get(table, {}) if path else {}
    if not isinstance(read, dict):
        raise Refusal(f"configuration {path}: {table} is {read!r}, expected a table [{table}]")
    try:
        return kind.model_validate(read | dict(given or {}))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = (
            f"--{key.replace('_', '-')}"
            if key in (given or {})
            else f"configuration {path}: {table}.{key}"
        )
        raise Refusal(f"{where} is {first['input']!r}: {first['msg']}") from None


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of a configuration file, as a map; JSON if the text begins with `{`, else TOML.
    Refusal if the file cannot be read or parsed, or has another table than `capture` and `hub`. The
    keys in the tables are not checked.
    """
    try:
        text = path.read_text()
        tables = json.loads(text) if text.startswith("{") else tomllib.loads(text)
    except OSError as error:
        raise Refusal(f"configuration {path} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise Refusal(f"configuration {path} is not TOML: {error}") from None
    if unknown := sorted(set(tables) - set(TABLES)):
        expected = " or ".join(f"[{name}]" for name in TABLES)
        raise Refusal(
            f"configuration {path}: {unknown[0]} is unknown, expected the table {expected}"
        )
    return tables


def data_folder(data: Path | None) -> Path:
    """The folder of sessions, models and bundles: `data` as an absolute path, `~` expanded. None
    gives `cvsf` in `$XDG_DATA_HOME`, by default `~/.local/share/cvsf`. Nothing is made or read.
    Refusal if `~` names an unknown user.
    """
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    folder = Path(home) / "cvsf" if data is None else data
    try:
        return folder.expanduser().absolute()
    except RuntimeError as error:
        raise Refusal(f"{folder} names the home of an unknown user; give a full path") from error
