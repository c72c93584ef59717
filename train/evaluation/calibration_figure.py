"""One picture of a calibrated session: the rig in its world, the skeletons over time, and the
skeletons projected into the cameras' pictures.

Dots are the detector's keypoints, lines are the reconstructed skeletons.
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

from cvsf.multiview.observations import time_aligned
from cvsf.shapes import Picture, Real
from train.data.calibration_input import CalibrationInput
from train.data.images import stills
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.world_figure import FAINT, INK, PAPER, draw_world

_INCHES, _DPI = (15.0, 8.4), 96
_TIME_COLOURS = mpl.colormaps["plasma"]
_SCALES = {
    "height": "metres by the athlete's height",
    "bone": "metres by a bone",
    "distance": "metres by the distance of two cameras",
    "adult": "metres as if the athlete were 1.70 m tall",
}
_MOMENTS = 6  # skeletons drawn in the world
_IN_PICTURES = (1, 4)  # those of them that are drawn on the pictures
_MOST_VIEWS = 4


def draw(outcome: CalibrationResult, session: CalibrationInput, file: Path, picture: Path) -> None:
    """Draw the rig, skeletons and pictures of a calibrated session to the file `picture` (.png), in
    place of one that is there. `file` is where the session was read from; without pictures there,
    the rest is drawn. At least one instant must have all joints.
    """
    assert outcome.calibration is not None
    assert outcome.reconstruction is not None
    cameras, joints = outcome.calibration.rig.cameras, outcome.reconstruction.joints
    observed = session.observations.of_views(
        [session.observations.cameras.index(c) for c in cameras]
    )
    delay_s = outcome.calibration.rig.delay_s
    corrected = [cameras.index(camera) for camera in outcome.corrected]
    own = np.isin(np.arange(len(cameras)), corrected, invert=True)  # keypoints of no other camera
    aligned = time_aligned(observed, delay_s)
    aligned = replace(aligned, confidence=np.where(own[:, None], aligned.confidence, 0))
    session = replace(session, observations=aligned)
    complete = np.flatnonzero(np.isfinite(joints).all((1, 2)))
    rows = complete[np.linspace(0, len(complete) - 1, _MOMENTS).round().astype(int)]
    colours = [_TIME_COLOURS(0.05 + 0.8 * share) for share in np.linspace(0, 1, _MOMENTS)]
    chosen = [(int(rows[k]), colours[k]) for k in _IN_PICTURES]
    pictures = _pictures(file, cameras, [row for row, _ in chosen], (outcome.t_s, delay_s))
    pictures = {cell: still for cell, still in pictures.items() if cell[1] not in corrected}
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
            cell = (0.605 + view * width, 0.475 - 0.445 * line, width - 0.006, 0.435)
            axes = figure.add_axes(cell)
            _view(axes, outcome, session, pictures.get((row, view)), (row, view), colour)
    _title(figure, outcome, f"0 to {session.duration_s:.2f} s; grid {step:.0f} m")
    figure.savefig(picture, facecolor=PAPER)


def _pictures(
    file: Path, cameras: tuple[str, ...], rows: list[int], times: tuple[Real, Real]
) -> dict[tuple[int, int], Picture]:
    """By row and view, the picture of each delayed camera that shows that instant. `times` are the
    stamps of the instants and the delays of the cameras, in s.
    """
    t_s, delay_s = times
    shown = {
        (row, view): int(np.abs(t_s - (t_s[row] - delay)).argmin())
        for row in rows
        for view, delay in enumerate(delay_s)
    }
    found = stills(file, cameras, sorted(set(shown.values())))
    return {
        (row, view): found[at, view] for (row, view), at in shown.items() if (at, view) in found
    }


def _title(figure: Figure, outcome: CalibrationResult, times: str) -> None:
    assert outcome.calibration is not None
    figure.text(
        0.02, 0.945, outcome.name.replace("_", " "), color=INK, fontsize=17, fontweight="bold"
    )
    facts = [
        f"{len(outcome.calibration.rig.cameras)} cameras, "
        f"calibrated from {outcome.calibration.instants} instants",
        _SCALES[outcome.calibration.scale_source],
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
    """The colour of each time, and the distance of the lines on the ground."""
    strip = figure.add_axes((0.03, 0.035, 0.13, 0.012))
    strip.imshow(_TIME_COLOURS(np.linspace(0.05, 0.85, 256))[None], aspect="auto")
    strip.axis("off")
    figure.text(0.165, 0.041, times, color=FAINT, fontsize=9, va="center")


def _view(
    axes: Axes,
    outcome: CalibrationResult,
    session: CalibrationInput,
    still: Picture | None,
    cell: tuple[int, int],
    colour: Any,
) -> None:
    """A camera's picture at one instant, the detector's keypoints and the projected skeleton."""
    assert outcome.calibration is not None
    assert outcome.reconstruction is not None
    row, view = cell
    rig, names = outcome.calibration.rig, outcome.calibration.body.joint_set
    projected = rig.project(outcome.reconstruction.joints)[row, view]
    observed = session.observations.confidence[row, view] > 0
    dots = session.observations.keypoints_px[row, view][observed]
    low, high = _crop(np.concatenate([projected, dots]), axes)
    axes.set_facecolor("#3b434a")
    if still is not None:
        axes.imshow(_lit(still), extent=(0, still.shape[1], still.shape[0], 0), zorder=0)
    ends = np.array(names.bones)
    known = (outcome.reconstruction.views_seen[row] > 0)[ends].all(1)
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
    """Two corners of the box around the points, with the aspect of the axes."""
    box = axes.get_window_extent()
    middle = (points.min(0) + points.max(0)) / 2
    size = 1.25 * np.ptp(points, axis=0)
    shape = np.array([box.width, box.height])
    half = shape * float((size / shape).max()) / 2
    return middle - half, middle + half


def _lit(still: Picture) -> Picture:
    """A little darker, so that lines are visible."""
    return np.asarray(cv2.convertScaleAbs(still, alpha=0.85), np.uint8)
