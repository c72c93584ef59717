"""HTML as text: what is quoted stays text."""

import pytest

from tests.support.pages import Page
from train.report.html import element, join


@pytest.mark.parametrize("text", ["<script>alert('x')</script>", "a & b", 'he said "no" <b>'])
def test_quoted_text_is_escaped_inside_elements_and_in_attributes(text: str) -> None:
    page = Page(element("p", text, element("b", text), aria_label=text))
    assert page.within("p") == page.within("b") == [text]
    assert page.tags == [("p", {"aria-label": text}), ("b", {})]


def test_missing_children_and_attributes_are_left_out() -> None:
    page = Page(join(None, element("p", None, "one", class_=None, data_name="x"), None))
    assert page.tags == [("p", {"data-name": "x"})]
    assert page.within("p") == ["one"]
