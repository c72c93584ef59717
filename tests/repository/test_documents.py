"""What README and docs name exists, and tables that stand in code and in docs are the same."""

import re
from pathlib import Path

import pytest

from cvsf.system.processes import PROCESSES
from tests.support.paths import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "deploy/README.md"]
_FOLDERS = "capture|cvsf|runtime|train|tests|docs|deploy"
_PATH = re.compile(rf"(?<![\w/.<-])(?:{_FOLDERS})/[\w./-]*\w/?")
_LINK = re.compile(r"\]\(([^)#]+)")
_BARE = re.compile(r"(?<![\w/.*])\w+\.py\b")
_ELSEWHERE = {"make_multiview.py"}
"""Writes the layout of multi-view files, and is not ours."""
_NOT_IN_KEYS = {"plan.json", "proof.json", "pick", "prove", "tell", "--morph", "placed_*"}
"""Files, values, options and names of arrays that the glossary explains beside the keys."""
_MODULE = re.compile(r"`(?:capture|cvsf|runtime|train)\.(?!toml|md)\w+(?:\.\w+)*`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_in_a_document_exists(document: Path) -> None:
    text = document.read_text()
    missing = {path for path in _PATH.findall(text) if not (ROOT / path).exists()}
    links = {link for link in _LINK.findall(text) if "://" not in link}
    missing |= {link for link in links if not (document.parent / link).exists()}
    assert missing == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_and_module_in_a_document_exists(document: Path) -> None:
    text = document.read_text()
    names = {path.name for path in ROOT.rglob("*.py")}
    missing = {name for name in _BARE.findall(text) if name not in names | _ELSEWHERE}
    missing |= {name for name in _MODULE.findall(text) if not is_there(name.strip("`").split("."))}
    assert missing == set()


def is_there(parts: list[str]) -> bool:
    """Whether a dotted name is a folder, a module, or a name that its module defines."""
    place = ROOT.joinpath(*parts)
    if place.is_dir() or place.with_suffix(".py").exists():
        return True
    module = place.parent.with_suffix(".py")
    defined = rf"^(?:class|def) {parts[-1]}\b|^{parts[-1]}\b.*="
    return module.exists() and re.search(defined, module.read_text(), re.MULTILINE) is not None


def test_the_table_of_contents_of_the_log_names_every_entry_with_its_anchor() -> None:
    text = (ROOT / "docs/log.md").read_text()
    contents = re.findall(r"^- \[(.*)\]\(#(.*)\)$", text.partition("\n## ")[0], re.MULTILINE)
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
    assert contents == list(zip(titles, anchors, strict=True))
    assert len(set(anchors)) == len(anchors)


def test_the_table_of_processes_is_the_same_in_docs_and_code() -> None:
    rows = [
        line.split("|")[1:-1]
        for line in (ROOT / "docs/architecture.md").read_text().splitlines()
        if line.startswith("| ") and line.count("|") == 6
    ]
    table = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows[1:]}
    assert list(table) == [process.name for process in PROCESSES]
    for process in PROCESSES:
        module, started_by, binds, lives = table[process.name]
        assert module == f"`{' '.join(process.module)}`"
        assert (started_by, lives) == (process.started_by, process.lives)
        assert re.findall(r"\d+", binds) == [str(port) for port in process.binds]


def glossary_rows() -> tuple[list[list[str]], list[list[str]]]:
    """Cells of the tables of terms, and of the table of keys."""
    terms, rest = (ROOT / "docs/glossary.md").read_text().split("\n## Keys and ")
    keys = rest.split("\n## File names ")[0]

    def rows(text: str) -> list[list[str]]:
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
        return [row for row in cells if row[0] not in ("term", "key")]

    return rows(terms), rows(keys)


def test_every_row_of_the_glossary_is_complete_and_no_word_is_in_two() -> None:
    terms, keys = glossary_rows()
    assert all(len(row) == 3 and all(row) for row in (*terms, *keys))
    names = [row[0] for row in terms]
    assert len(names) == len(set(names))


def test_every_key_in_the_glossary_is_a_recorded_key() -> None:
    recorded = set(re.findall(r"[\w-]+", (ROOT / "tests/data/keys.json").read_text()))
    for row in glossary_rows()[1]:
        for key in set(re.findall(r"`([^`]+)`", row[0])) - _NOT_IN_KEYS:
            stem = key.removesuffix("*")
            assert any(name == key or (key != stem and name.startswith(stem)) for name in recorded)
