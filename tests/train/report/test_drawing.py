"""Matplotlib figures as a page holds them."""

import re

from train.report.drawing import COLOURS, Drawing, blank, dot, draw


def drawing() -> Drawing:
    axes = blank(200, 100, sides=10, bottom=20)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.plot([0, 2], [0, 0.5], color=COLOURS["left"], gid="bone left")
    dot(axes, 0.5, 0.5, "panel")
    axes.set_xticks([0, 1], ["0", "1 & 2"])
    return draw(axes, "a line")


def test_a_drawing_has_the_pages_colours_and_classes_and_refers_to_nothing() -> None:
    drawn = drawing()
    assert (drawn.width, drawn.height, drawn.label) == (200, 100, "a line")
    assert set(re.findall(r"var\(--(\w+)\)", drawn.body)) == {"left", "panel", "quiet"}
    assert re.findall(r'class="(.*?)"', drawn.body) == ["bone left"]
    assert not re.search(r"#|\bid=|href|url|<style|<metadata|<!--", drawn.body)
    assert "1 &amp; 2</text>" in drawn.body


def test_a_figure_drawn_twice_gives_the_same_text() -> None:
    assert drawing() == drawing()
