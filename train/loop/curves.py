"""A run's curves as a picture: loss and errors on kept-back instants over steps.

From stage 2 on the loss has other terms; a line marks where it begins.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

_ERRORS_MM = {"one_view": "one view", "fused": "all views together"}
_WITHOUT_TRUTH = {
    "views_apart": "disagreement of the views",
    "bone_spread": "spread of bone lengths",
}


def draw_curves(
    curve: Sequence[dict[str, float]], path: Path, title: str = "", stage2_step: int | None = None
) -> None:
    """Write a PNG of a run's curve to `path`: one panel of losses over steps; one of N-MPJPE (mm),
    or, if no point has it, of the label-free metrics. A dashed line marks `stage2_step`; an empty
    curve gives empty panels.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    _lines(left, curve, {"loss": "mean since the point before"})
    left.set(ylabel="loss", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    left.yaxis.set_minor_formatter(NullFormatter())
    if _lines(right, curve, _ERRORS_MM):
        right.set(ylabel="N-MPJPE of kept-back instants (mm)")
    else:
        _lines(right, curve, _WITHOUT_TRUTH)
        right.set(ylabel="of kept-back instants (bodies of unit scale)")
    for panel in (left, right):
        panel.set(xlabel="step")
        panel.set_xlim(left=0)
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
        if stage2_step is not None:
            panel.axvline(stage2_step, color="0.4", linestyle="--", label="stage 2 begins")
        if panel.lines:
            panel.legend(frameon=False)
    right.set_ylim(bottom=0)
    figure.savefig(path, dpi=120)


def _lines(panel: Axes, curve: Sequence[dict[str, float]], names: dict[str, str]) -> bool:
    """Whether any of the named metrics is in the curve, and so is drawn."""
    for name, label in names.items():
        points = [(point["step"], point[name]) for point in curve if name in point]
        if points:
            panel.plot(*zip(*points, strict=True), marker=".", label=label)
    return bool(panel.lines)
