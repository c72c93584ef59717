"""Every key that leaves the program is one of the committed list, and all of the list is there."""

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from capture.launch import capture
from cvsf.cli import BENCHES, COMMANDS
from cvsf.hub_config import HUB_FLAGS
from runtime.__main__ import hub
from tests.support.keys import LIST, check, committed, paths

JSON_WITHOUT_THE_OPTION = {
    "hub": "prints a JSON line a second under --headless",
    "node": "speaks JSON to whoever started it",
}


def test_every_command_and_bench_is_in_the_list_and_can_speak_json() -> None:
    listed = committed()["json"]
    targets = {name: target for name, (target, _) in COMMANDS.items()}
    targets |= {f"bench {name}": target for name, (target, _) in BENCHES.items()}
    for name, target in targets.items():
        assert any(re.match(rf"cvsf {name}($|[ ,])", one) for one in listed), name
        module, _, function = target.partition(":")
        app = typer.Typer()
        app.command()(getattr(importlib.import_module(module), function))
        options = [word for one in typer.main.get_command(app).params for word in one.opts]
        assert ("--json" in options) != (name in JSON_WITHOUT_THE_OPTION), name
    known = {name.split()[0] for name in targets}
    assert {one.split()[1].rstrip(",") for one in listed if one.startswith("cvsf ")} == known


@pytest.mark.parametrize(("name", "command"), [("cvsf-capture", capture), ("cvsf hub", hub)])
def test_a_command_with_shared_options_has_the_listed_flags(
    name: str, command: Callable[..., None]
) -> None:
    app = typer.Typer(add_completion=False)
    app.command()(command)
    found = sorted(word for one in typer.main.get_command(app).params for word in one.opts)
    assert found == committed()["flags"][name]
    assert set(HUB_FLAGS.values()) <= set(found)


def test_every_name_of_the_list_is_asserted_in_one_of_these_files() -> None:
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_keys*.py")]
    assert len(texts) > 1
    said = set(re.findall(r'"([^"\n]+)"', "".join(texts)))
    for section in ("json", "messages", "config"):
        assert set(committed()[section]) <= said, section


def test_the_list_is_sorted_and_has_no_key_twice() -> None:
    for section in ("json", "messages", "config", "flags"):
        assert list(committed()[section]) == sorted(committed()[section])
        for name, listed in committed()[section].items():
            assert listed == sorted(set(listed)), name
            assert len({path.removesuffix("?") for path in listed}) == len(listed), name
    assert committed()["metrics"] == sorted(set(committed()["metrics"]))
    assert LIST.read_text() == json.dumps(committed(), indent=1) + "\n"


def test_a_value_becomes_the_paths_of_its_leaves() -> None:
    value = {"a": {"cam0": [{"b": 1}, {"c": None}]}, "d": [], "e": {}, "f": [[1, 2]]}
    assert paths(value, {"a"}) == ["a.*[].b", "a.*[].c", "d[]", "e", "f[][]"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"live": "a"}, "before"),
        ({"live": "a", "before": "b", "since": 1}, "since"),
        ({"live": {"id": "a"}, "before": None}, "live.id"),
        ({"live": ["a"], "before": None}, "live"),
    ],
)
def test_a_key_too_few_or_too_many_is_named(value: object, said: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(f"'{said}")):
        check("json", "cvsf promote", value)
