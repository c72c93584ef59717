"""An HTML page as a test reads it: its elements and its words."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from train.report.page import write_page

_VOID = {"meta", "br"}


class Page(HTMLParser):
    """A page that was read to its end, every element closed where it was opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    @property
    def text(self) -> str:
        """What a reader reads."""
        said = " ".join(data for tag, data in self.texts if tag != "style")
        return re.sub(r"\s+", " ", said)

    def within(self, tag: str) -> list[str]:
        """The texts right inside elements of that tag."""
        return [data for inside, data in self.texts if inside == tag]

    def classes(self, name: str) -> int:
        """How many elements are of a class."""
        return sum(name in (a.get("class") or "").split() for _, a in self.tags)


def page_of(report: Mapping[str, Any], folder: Path) -> Page:
    """The page of a night's report, written to a folder."""
    write_page(report, folder / "report.html")
    return Page((folder / "report.html").read_text("utf-8"))
