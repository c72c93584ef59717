"""One picture of a calibrated session: the rig in its world, the skeletons over time, and the
skeletons projected into the cameras' pictures.

Nothing in it is retouched: dots are the detector's keypoints, lines are the skeletons found.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from cvsf.shapes import Picture, Real
from train.data.calibration_input import CalibrationInput
from train.data.images import stills
from train.evaluation.calibrate_and_score import Outcome
from train.evaluation.world_figure import FAINT, INK, PAPER, draw_world

_INCHES, _DPI = (15.0, 8.4), 96
_TIMES = mpl.colormaps["plasma"]
_SCALES = {
    "height": "metres by the athlete's height",
    "bone": "metres by a bone",
    "distance": "metres by the distance of two cameras",
    "adult": "metres as if the athlete were 1.70 m tall",
}
_MOMENTS = 6  # skeletons in the world
_IN_PICTURES = (1, 4)  # of them, on the pictures
_MOST_VIEWS = 4


def draw(outcome: Outcome, filmed: CalibrationInput, file: Path, picture: Path) -> None:
    """Write the picture of a session that was calibrated."""
    assert outcome.found is not None
    assert outcome.placed is not None
    cameras, joints = outcome.found.rig.cameras, outcome.placed.joints
    seen = filmed.observations.of_views([filmed.observations.cameras.index(c) for c in cameras])
    filmed = replace(filmed, observations=seen)
    whole = np.flatnonzero(np.isfinite(joints).all((1, 2)))
    rows = whole[np.linspace(0, len(whole) - 1, _MOMENTS).round().astype(int)]
    colours = [_TIMES(0.05 + 0.8 * share) for share in np.linspace(0, 1, _MOMENTS)]
    chosen = [(int(rows[k]), colours[k]) for k in _IN_PICTURES]
    pictures = stills(file, cameras, [row for row, _ in chosen])
    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor=PAPER)
    world = figure.add_axes((0.0, 0.0, 0.6, 0.93))
    moments = [(int(row), colour) for row, colour in zip(rows, colours, strict=True)]
    last = chosen[-1][0]
    step = draw_world(
        world, outcome, moments, last, {v: p for (r, v), p in pictures.items() if r == last}
    )
    views = min(len(cameras), _MOST_VIEWS)
    for line, (row, colour) in enumerate(chosen):
        for view in range(views):
            width = 0.38 / views
            place = (0.605 + view * width, 0.475 - 0.445 * line, width - 0.006, 0.435)
            axes = figure.add_axes(place)
            _view(axes, outcome, filmed, pictures.get((row, view)), (row, view), colour)
    _title(figure, outcome, f"0 to {filmed.duration_s:.2f} s; lines are {step:.0f} m apart")
    figure.savefig(picture, facecolor=PAPER)


def _title(figure: Figure, outcome: Outcome, times: str) -> None:
    assert outcome.found is not None
    figure.text(
        0.02, 0.945, outcome.name.replace("_", " "), color=INK, fontsize=17, fontweight="bold"
    )
    facts = [
        f"{len(outcome.found.rig.cameras)} cameras found from {outcome.found.instants} instants",
        _SCALES[outcome.found.scale_source],
    ]
    if "fused" in outcome.errors:
        ours = outcome.errors["fused"].means
        facts.append(f"P-MPJPE {ours['p_mpjpe_mm']:.1f} mm")
    if "calibrated_limit" in outcome.errors:
        best = outcome.errors["calibrated_limit"].means
        facts.append(f"with the true cameras {best['p_mpjpe_mm']:.1f} mm")
    _legend(figure, times)
    figure.text(0.02, 0.915, "   ·   ".join(facts), color=FAINT, fontsize=10.5)


def _legend(figure: Figure, times: str) -> None:
    """Which colour is which time, and how large the ground's squares are."""
    strip = figure.add_axes((0.03, 0.035, 0.13, 0.012))
    strip.imshow(_TIMES(np.linspace(0.05, 0.85, 256))[None], aspect="auto")
    strip.axis("off")
    figure.text(0.165, 0.041, times, color=FAINT, fontsize=9, va="center")


def _view(
    axes: Axes,
    outcome: Outcome,
    filmed: CalibrationInput,
    still: Picture | None,
    place: tuple[int, int],
    colour: Any,
) -> None:
    """A camera's picture at one instant, the detector's keypoints and the projected skeleton."""
    assert outcome.found is not None
    assert outcome.placed is not None
    row, view = place
    rig, names = outcome.found.rig, outcome.found.body.joint_set
    projected = rig.project(outcome.placed.joints)[row, view]
    seen = filmed.observations.confidence[row, view] > 0
    dots = filmed.observations.keypoints_px[row, view][seen]
    low, high = _crop(np.concatenate([projected, dots]), axes)
    axes.set_facecolor("#3b434a")
    if still is not None:
        axes.imshow(_lit(still), extent=(0, still.shape[1], still.shape[0], 0), zorder=0)
    ends = np.array(names.bones)
    known = (outcome.placed.views_seen[row] > 0)[ends].all(1)
    bones = projected[ends]
    axes.add_collection(
        LineCollection(list(bones[~known]), colors=[colour], linewidths=1, alpha=0.6)
    )
    bones = bones[known]
    for width, paint in ((3.4, (0, 0, 0, 0.55)), (1.9, colour)):
        axes.add_collection(
            LineCollection(list(bones), colors=[paint], linewidths=width, capstyle="round")
        )
    axes.plot(*dots.T, "o", ms=2.6, color="white", mec="black", mew=0.5, zorder=5)
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.text(
        0.04, 0.975, f"{rig.cameras[view]}  {outcome.t_s[row] - outcome.t_s[0]:.2f} s",
        transform=axes.transAxes, va="top", fontsize=8, color="white",
        bbox={"facecolor": (0, 0, 0, 0.45), "edgecolor": "none", "boxstyle": "round,pad=0.25"},
    )  # fmt: skip


def _crop(points: Real, axes: Axes) -> tuple[Real, Real]:
    """The corners of a box around them, of the axes' shape."""
    box = axes.get_window_extent()
    middle = (points.min(0) + points.max(0)) / 2
    size = 1.25 * np.ptp(points, axis=0)
    shape = np.array([box.width, box.height])
    half = shape * float((size / shape).max()) / 2
    return middle - half, middle + half


def _lit(still: Picture) -> Picture:
    """A little darker, so that lines stand out."""
    return np.asarray(cv2.convertScaleAbs(still, alpha=0.85), np.uint8)
