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
