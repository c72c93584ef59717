"""The structure of docs/architecture.md: folders, modules and the tests that cover them."""

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cvsf.cli import BENCHES, COMMANDS
from tests.support.paths import ROOT

PACKAGES = ("capture", "cvsf", "runtime", "train")
MOST_MODULES, MOST_LINES, SHORT_LINES, MOST_IN_A_CONTRACT = 20, 300, 40, 16
LISTS: dict[str, Any] = tomllib.loads((ROOT / "tests/repository/modules.toml").read_text())


def modules() -> dict[str, Path]:
    """Every module of the four packages, by its dotted name."""
    return {name: path for name, path in python_files() if path.name != "__init__.py"}


def python_files() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


def own_test(module: str) -> Path:
    """Where a module's test file of its own name stands."""
    *folders, name = module.split(".")
    return ROOT.joinpath("tests", *folders, f"test_{name}.py")


def imported(test: Path) -> set[str]:
    """Every name that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(test.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_folder_holds_more_modules_than_a_reader_can_scan() -> None:
    counted = Counter(path.parent.relative_to(ROOT) for _, path in python_files())
    assert {folder: n for folder, n in counted.items() if n > MOST_MODULES} == {}


def test_no_module_is_longer_than_its_one_story() -> None:
    long = {name: length(path) for name, path in modules().items() if length(path) > MOST_LINES}
    assert long == {}


def test_a_short_module_stands_in_the_list_with_its_reason() -> None:
    short = {name for name, path in modules().items() if length(path) < SHORT_LINES}
    assert short == set(LISTS["short"])
    assert all(reason.strip() for reason in LISTS["short"].values())


def test_every_module_has_a_test_file_of_its_name_or_a_named_one_that_imports_it() -> None:
    elsewhere = LISTS["covered_by"]
    without = {name for name in modules() if not own_test(name).is_file()}
    assert without == set(elsewhere), "modules without a test file, against the list"
    for name in modules():
        test = ROOT / elsewhere[name] if name in elsewhere else own_test(name)
        assert name in imported(test), f"{test.relative_to(ROOT)} does not import {name}"


def test_a_folder_says_in_a_docstring_of_a_few_lines_what_it_is_and_exports_nothing() -> None:
    for name, path in python_files():
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text())
            assert len(tree.body) == 1, f"{name} holds more than its docstring"
            assert 3 <= len((ast.get_docstring(tree) or "").splitlines()) <= 6, name
            assert "Read " in path.read_text() or "Each " in path.read_text(), name


def test_no_import_contract_is_a_list_that_nobody_reads() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    for contract in contracts["contracts"]:
        for names in contract.values():
            assert isinstance(names, (str, bool)) or len(names) <= MOST_IN_A_CONTRACT


@pytest.mark.parametrize("name", [*COMMANDS, *(f"bench {name}" for name in BENCHES)])
def test_a_command_names_a_function_that_is_there(name: str) -> None:
    target, _ = BENCHES[name[6:]] if name.startswith("bench ") else COMMANDS[name]
    module, _, function = target.partition(":")
    tree = ast.parse(modules()[module].read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def length(path: Path) -> int:
    return len(path.read_text().splitlines())
