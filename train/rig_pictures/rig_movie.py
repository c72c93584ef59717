"""A short film of a calibrated rig: the skeleton that moves in it, near by, and the reprojection
error of each camera running along.

What stands still is drawn once; only what moves is drawn for every picture.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from cvsf.multiview.observations import time_aligned
from cvsf.multiview.rig import Rig
from cvsf.shapes import Float, Picture, Real
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.view_errors import view_errors
from train.rig_pictures.error_curves import ErrorCurves
from train.rig_pictures.film_times import FilmTimes, film_times
from train.rig_pictures.movie_file import GIF, write_movie
from train.rig_pictures.moving_skeleton import LEFT, RIGHT, MovingSkeleton
from train.rig_pictures.world_figure import (
    FAINT,
    INK,
    PAPER,
    Eye,
    draw_ground,
    fit,
    pyramids,
    viewpoint,
)

_INCHES = (40 / 3, 7.5)
_PER_SECOND, _DPI = {GIF: 10}, {GIF: 72}  # a GIF is large
_USUAL_PER_SECOND, _USUAL_DPI = 25, 96  # 1280x720
_REACH_M = 1.2  # from the hip to the upper and lower edge of the skeleton near by
_POINTS = 200  # instants at most that decide how far the drawing reaches; a guess, not measured


def film(outcome: CalibrationResult, path: Path) -> None:
    """Write a film of at most 20 s of a calibrated session to `path` (.mp4 or .gif). Only of a
    session that was calibrated and holds its observations, else AssertionError; Refusal if the file
    cannot be written.
    """
    per_second = _PER_SECOND.get(path.suffix, _USUAL_PER_SECOND)
    times = film_times(outcome.t_s, per_second)
    write_movie(path, _pictures(outcome, times, _DPI.get(path.suffix, _USUAL_DPI)), per_second)


def _pictures(outcome: CalibrationResult, times: FilmTimes, dpi: int) -> Iterator[Picture]:
    """The RGB pictures of the film, one after another in the same memory."""
    figure = Figure(figsize=_INCHES, dpi=dpi, facecolor=PAPER)
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    scene = _Scene(figure, outcome, times)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    for number in range(len(times.row)):
        canvas.restore_region(still)
        for artist in scene.at(number):
            figure.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())[..., :3]


class _Scene:
    """Everything that a picture of the film shows."""

    def __init__(self, figure: Figure, outcome: CalibrationResult, times: FilmTimes) -> None:
        """Draw on the figure what does not move, and prepare what does."""
        assert outcome.calibration is not None
        assert outcome.reconstruction is not None
        self._rig, self._times = outcome.calibration.rig, times
        self._joints = outcome.reconstruction.joints
        joint_set = outcome.calibration.body.joint_set
        self._hip = joint_set.index("hip")
        world = figure.add_axes((0.0, 0.0, 0.62, 0.9))
        self._eye, self._cameras = _draw_rig(world, outcome, times)
        self._skeleton = MovingSkeleton(world, joint_set, width=2.6)
        near = figure.add_axes((0.63, 0.47, 0.36, 0.43))
        box = near.get_window_extent()
        wide = _REACH_M * box.width / box.height
        near.set(xlim=(-wide, wide), ylim=(-_REACH_M, _REACH_M))
        near.axis("off")
        self._near = MovingSkeleton(near, joint_set, width=3.4)
        self._curves = ErrorCurves(
            figure, (0.64, 0.05, 0.35, 0.40), self._rig.cameras, times.t_s, _errors(outcome, times)
        )
        self._time = figure.text(0.98, 0.93, "", ha="right", color=INK, fontsize=15, animated=True)
        _write_title(figure, outcome, times)

    def at(self, number: int) -> list[Artist]:
        """What moves, as it is in that picture of the film, in the order of drawing."""
        row = int(self._times.row[number])
        self._time.set_text(f"{self._times.t_s[number]:.2f} s")
        moving: list[Artist] = []
        if self._rig.is_panning:
            rig = self._rig.rows(max(row, 0))
            self._cameras.set_verts(_faces(self._eye, rig))
            moving.append(self._cameras)
        joints = self._joints[row] if row >= 0 else np.full(self._joints.shape[1:], np.nan)
        self._skeleton.set(
            self._eye.project(joints), shadow=self._eye.project(joints * [1.0, 1.0, 0.0])
        )
        self._near.set(((joints - joints[self._hip]) @ self._eye.axes.T)[:, :2])
        moving += [*self._skeleton.artists, *self._near.artists]
        return [*moving, *self._curves.at(number), self._time]


def _draw_rig(
    axes: Axes, outcome: CalibrationResult, times: FilmTimes
) -> tuple[Eye, PolyCollection]:
    """Draw ground, cameras and the athlete's track on the ground; the viewpoint, and the cameras if
    they move.
    """
    assert outcome.calibration is not None
    assert outcome.reconstruction is not None
    shown = times.row[times.row >= 0]
    shown = shown[np.linspace(0, len(shown) - 1, min(len(shown), _POINTS)).round().astype(int)]
    joints = outcome.reconstruction.joints[shown]
    joints = joints[np.isfinite(joints).all((1, 2))]
    if not len(joints):  # nobody is there in the shown part
        joints = outcome.reconstruction.joints
        joints = joints[np.isfinite(joints).all((1, 2))][:1]
    rig = outcome.calibration.rig
    some = rig.rows(int(shown[len(shown) // 2]) if len(shown) else 0)
    eye = viewpoint(some.centres, joints)
    draw_ground(axes, eye, np.concatenate([some.centres, np.median(joints, axis=0)]))
    cameras = PolyCollection(
        _faces(eye, some), facecolors=(0.13, 0.19, 0.24, 0.05), edgecolors=INK, linewidths=0.9,
        animated=rig.is_panning, zorder=6,
    )  # fmt: skip
    axes.add_collection(cameras)
    corners = [eye.project(pyramids(rig.rows(int(row)))).reshape(-1, 2) for row in shown[::10]]
    feet = eye.project(some.centres * [1, 1, 0])
    tops = eye.project(pyramids(some))
    for view, (foot, top) in enumerate(zip(feet, tops, strict=True)):
        axes.plot(*np.stack([top[4], foot]).T, color=FAINT, lw=0.8, ls=(0, (2, 3)), zorder=3)
        at = (float(np.ptp(top[:, 0]) / 2 + top[:, 0].min()), float(top[:, 1].max()))
        axes.annotate(
            rig.cameras[view], at, xytext=(0, 5), textcoords="offset points", ha="center",
            fontsize=9, color=INK, zorder=60,
        )  # fmt: skip
    hip = outcome.calibration.body.joint_set.index("hip")
    axes.plot(*eye.project(joints[:, hip] * [1, 1, 0]).T, color=INK, lw=1, alpha=0.35, zorder=4)
    bodies = np.quantile(eye.project(joints), (0.02, 0.98), axis=(0, 1))
    fit(axes, np.concatenate([*corners, tops.reshape(-1, 2), feet, bodies]))
    return eye, cameras


def _faces(eye: Eye, rig: Rig) -> list[Float[Real, "K 2"]]:
    """The sides and the front of every camera's pyramid in the drawing."""
    faces = []
    for at in eye.project(pyramids(rig)):
        faces += [np.stack([at[4], at[i], at[(i + 1) % 4]]) for i in range(4)] + [at[:4]]
    return faces


def _errors(outcome: CalibrationResult, times: FilmTimes) -> Float[Real, "F V"]:
    """The error (px) of every camera in every picture of the film; NaN where it has no part."""
    assert outcome.calibration is not None
    assert outcome.reconstruction is not None
    assert outcome.observations is not None
    observations, rig = outcome.observations, outcome.calibration.rig
    aligned = time_aligned(observations, rig.delay_s)
    rows = np.unique(times.row[times.row >= 0])
    if not len(rows):
        return np.full((len(times.row), len(rig.cameras)), np.nan)
    found = view_errors(aligned, rig, outcome.reconstruction, rows).px
    px = found[np.clip(np.searchsorted(rows, times.row), 0, len(rows) - 1)]
    return np.asarray(np.where(times.row[:, None] >= 0, px, np.nan))


def _write_title(figure: Figure, outcome: CalibrationResult, times: FilmTimes) -> None:
    assert outcome.calibration is not None
    figure.text(
        0.02, 0.93, outcome.name.replace("_", " "), color=INK, fontsize=17, fontweight="bold"
    )
    figure.text(
        0.02, 0.895, f"{len(outcome.calibration.rig.cameras)} cameras   ·   {times.sentence}",
        color=FAINT, fontsize=10.5,
    )  # fmt: skip
    figure.text(0.64, 0.462, "reprojection error, px", color=FAINT, fontsize=9)
    sides: tuple[tuple[float, str, Any], ...] = ((0.64, "left", LEFT), (0.68, "right", RIGHT))
    for along, word, colour in sides:
        figure.text(along, 0.9, word, color=colour, fontsize=9, fontweight="bold")
