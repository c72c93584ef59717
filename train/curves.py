"""The course of a run as a picture: loss and errors on kept-back instants over steps."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_curves(curve: Sequence[dict[str, float]], path: Path) -> None:
    """One panel of losses, one of whatever else was noted, as PNG."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    steps = [point["step"] for point in curve]
    left.plot(steps, [point["loss"] for point in curve])
    left.set(title="loss", xlabel="step", yscale="log")
    for name in ("one_view", "fused"):
        if curve and name in curve[-1]:
            right.plot(steps, [point[name] for point in curve], label=f"{name} N-MPJPE mm")
    if not right.lines and curve and "views_apart" in curve[-1]:
        right.plot(steps, [point["views_apart"] for point in curve], label="views apart")
    right.set(title="kept-back instants", xlabel="step")
    if right.lines:
        right.legend()
    figure.savefig(path, dpi=110)
