"""The keys that leave the program, as committed in data/keys.json, and whether a value has them.

A path is dotted; `[]` is every element of a list, `*` every key of a map whose keys are data, and a
path that ends with `?` is there only sometimes. What is null or empty stands for all beneath it.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

from tests.support.paths import DATA

LIST = DATA / "keys.json"


@cache
def committed() -> dict[str, Any]:
    """The whole list: json, messages, metrics, config."""
    found: dict[str, Any] = json.loads(LIST.read_text())
    return found


def paths(value: object, data_keys: Collection[str] = ()) -> list[str]:
    """The sorted paths of the leaves; `data_keys` are paths of maps whose keys are data."""
    return sorted({path for path, _ in _leaves(value, "", data_keys)})


def check(section: str, name: str, value: object) -> None:
    """Assert that the value has the keys listed under that name, and no others."""
    __tracebackhide__ = True
    listed: list[str] = committed()[section][name]
    sometimes = {path.removesuffix("?"): path.endswith("?") for path in listed}
    found = set(_leaves(value, "", _data_keys(sometimes)))
    known = {path for path, is_open in found if not is_open}
    empty = {path for path, is_open in found if is_open}
    unlisted = {path for path in known if path not in sometimes}
    unlisted |= {path for path in empty if not any(_covers(path, one) for one in sometimes)}
    missing = {
        path
        for path, may_lack in sometimes.items()
        if not may_lack and path not in known and not any(_covers(one, path) for one in empty)
    }
    assert not unlisted, f"{name} has keys that {LIST.name} does not list: {sorted(unlisted)}"
    assert not missing, f"{name} lacks keys that {LIST.name} lists: {sorted(missing)}"


def _leaves(value: object, path: str, data_keys: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Each leaf's path, and whether it is null or empty, so that anything could be beneath."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            name = "*" if path in data_keys else str(key)
            yield from _leaves(item, f"{path}.{name}" if path else name, data_keys)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, f"{path}[]", data_keys)
        if not value:
            yield f"{path}[]", True
    else:
        yield path, value is None or isinstance(value, Mapping)


def _data_keys(listed: Collection[str]) -> set[str]:
    """The maps that the list itself says to hold data."""
    found = set()
    for path in listed:
        parts = path.split(".")
        found |= {".".join(parts[:at]) for at, part in enumerate(parts) if part.startswith("*")}
    return found


def _covers(path: str, other: str) -> bool:
    """Whether the other path is this one or lies beneath it."""
    return not path or other == path or other.startswith((f"{path}.", f"{path}["))
