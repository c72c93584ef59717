"""Matplotlib figures as SVG inside a page.

A drawing takes its colours from the style sheet of the page, for the light and the dark mode. It
has no ids, so a page can hold many, and no external references. It never contains text of a report:
matplotlib reads `$` as mathematics, and only the template escapes.
"""

import io
import re
from dataclasses import dataclass

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Each colour of the style sheet has one hex value of its own, which becomes `var(--name)`.
_NAMES = (
    *("panel", "grid", "quiet", "left", "right", "middle", "target", "shadow", "rim"),
    *("good", "bad", "calm"),
)
COLOURS = {name: f"#{number:06x}" for number, name in enumerate(_NAMES, 1)}
_PX_PER_INCH = 72  # of matplotlib's SVG


@dataclass(frozen=True, slots=True)
class Drawing:
    """The inside of an SVG element, with its size in px and its description."""

    width: float
    height: float
    label: str
    body: Markup


def blank(
    width: float, height: float, *, sides: float = 0.0, left: float = 0.0, bottom: float = 0.0
) -> Axes:
    """Axes without a frame or ticks on a new figure of so many px, with margins in px. `sides` is
    the margin left and right; `left`, if above 0, is that on the left instead.
    """
    figure = Figure((width / _PX_PER_INCH, height / _PX_PER_INCH), facecolor="none")
    left = left or sides
    axes = figure.add_axes(
        (left / width, bottom / height, 1 - (left + sides) / width, 1 - bottom / height),
        facecolor="none",
        frame_on=False,
    )
    axes.tick_params(bottom=False, left=False, labelcolor=COLOURS["quiet"], labelsize=12, pad=5)
    axes.tick_params(which="minor", left=False, labelleft=False)
    axes.set(xticks=[], yticks=[])
    return axes


def dot(axes: Axes, x: float, y: float, colour: str, width: float = 9.0) -> None:
    """Draw a disc at (x, y) of the axes; `colour` is a name of `COLOURS`, `width` its diameter in
    points. It is a line without length and with round ends, as matplotlib's markers need ids.
    """
    axes.plot([x, x], [y, y], color=COLOURS[colour], lw=width, solid_capstyle="round")


def draw(axes: Axes, label: str = "") -> Drawing:
    """The axes' figure as SVG, with colours of `COLOURS` as names of the style sheet; no other
    colour may be used. A group id (`gid`) of an artist becomes its class; nothing is cut off at the
    axes any more.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    for artist in figure.findobj():
        artist.set_clip_on(False)  # a clip path is referred to by its id
    written = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cvsf"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    svg = written.getvalue()
    svg = svg[svg.index("<g id=") : svg.rindex("</svg>")]
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg).replace(' id="', ' class="')
    svg = re.sub(r' d="[^"]*"', _rounded, svg)
    svg = re.sub("#[0-9a-f]{6}", lambda found: f"var(--{_NAMES[int(found[0][1:], 16) - 1]})", svg)
    width, height = figure.get_size_inches() * _PX_PER_INCH
    return Drawing(float(width), float(height), label, Markup(svg))


def _rounded(path: re.Match[str]) -> str:
    """A path to a hundredth of a px, on one line."""
    numbers = re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.2f}", path[0])
    return re.sub(r"\s*\n", " ", numbers)
