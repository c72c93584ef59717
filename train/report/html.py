"""HTML and SVG elements as text.

Whatever is not markup already is text and is escaped, so nothing a report quotes becomes a tag.
"""

from html import escape

_VOID = frozenset({"br", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: object) -> Markup:
    """One element; `class_` is class, other underscores are hyphens, None is left out."""
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_brief(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{said}>")
    return Markup(f"<{tag}{said}>{join(*children)}</{tag}>")


def join(*children: str | None) -> Markup:
    """All of them in a row; None is nothing."""
    return Markup("".join(map(_safe, children)))


def _safe(child: str | None) -> str:
    if child is None:
        return ""
    return child if isinstance(child, Markup) else escape(child)


def _brief(value: object) -> str:
    """Numbers of a drawing to a hundredth, so that a page stays small."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
