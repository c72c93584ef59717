"""One picture of a calibrated session: the rig in its world with skeletons over time, and of every
camera its best and its worst picture.

Dots are the detector's keypoints, lines are the reconstructed skeletons.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from train.data.calibration_input import CalibrationInput
from train.evaluation.calibrate_and_score import CalibrationResult
from train.rig_pictures.camera_pictures import CameraPictures, Shot, camera_pictures
from train.rig_pictures.picture_overlay import draw_overlay, draw_place
from train.rig_pictures.world_figure import FAINT, INK, PAPER, draw_world

_DPI = 96
_TIME_COLOURS = mpl.colormaps["plasma"]
SCALES = {
    "height": "metres by the athlete's height",
    "bone": "metres by a bone",
    "distance": "metres by the distance of two cameras",
    "adult": "metres as if the athlete were 1.70 m tall",
}
_MOMENTS = 6  # skeletons drawn in the world
_SHOWN = 4  # the one of them at which the cameras have their pictures
_BEST, _WORST, _STANDS_OUT = "#35d0a5", "#ffb000", "#c1121f"
# inches
_RIG, _PAIR, _HEIGHT, _ROW = 8.0, 3.5, 8.4, 3.3
_TITLE, _FOOT, _HEAD, _CAPTION, _GAP = 0.75, 0.52, 0.34, 0.5, 0.06


def draw(outcome: CalibrationResult, session: CalibrationInput, file: Path, picture: Path) -> None:
    """Draw the rig, skeletons and pictures of a calibrated session to the file `picture` (.png), in
    place of one that is there. `file` is where the session was read from; without pictures there,
    the 2D is drawn alone. At least one instant must have all joints.
    """
    assert outcome.calibration is not None
    assert outcome.reconstruction is not None
    joints = outcome.reconstruction.joints
    complete = np.flatnonzero(np.isfinite(joints).all((1, 2)))
    rows = complete[np.linspace(0, len(complete) - 1, _MOMENTS).round().astype(int)]
    colours = [_TIME_COLOURS(0.05 + 0.8 * share) for share in np.linspace(0, 1, _MOMENTS)]
    shown = int(rows[_SHOWN])
    found, in_world = camera_pictures(outcome, session, file, shown)
    (width, height), places = _layout(len(found))
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=PAPER)
    world = figure.add_axes((0.0, 0.0, _RIG / width, 1 - _TITLE / height))
    moments = [(int(row), colour) for row, colour in zip(rows, colours, strict=True)]
    step = draw_world(world, outcome, moments, shown, in_world)
    for name, pair, place in zip(outcome.calibration.rig.cameras, found, places, strict=True):
        _draw_pair(figure, outcome, (name, pair), place)
    _title(figure, outcome, f"0 to {session.duration_s:.2f} s; grid {step:.0f} m")
    figure.savefig(picture, facecolor=PAPER)


def _layout(cameras: int) -> tuple[tuple[float, float], list[tuple[float, float, float, float]]]:
    """The size of the figure, and the place of each camera's two pictures: left, bottom, width and
    height, in inches.
    """
    lines = 2 if cameras <= 8 else 3
    columns = -(-cameras // lines)
    room = max(2 * _PAIR, _PAIR * columns)
    height = _HEIGHT if lines == 2 else _TITLE + _FOOT + 3 * _ROW
    line = (height - _TITLE - _FOOT) / lines
    places = []
    for number in range(cameras):
        down, along = divmod(number, columns)
        left = _RIG + along * room / columns
        places.append((left, height - _TITLE - (down + 1) * line, room / columns, line))
    return (_RIG + room, height), places


def _draw_pair(
    figure: Figure,
    outcome: CalibrationResult,
    camera: tuple[str, CameraPictures | None],
    place: tuple[float, float, float, float],
) -> None:
    """A camera's best and worst picture, its name and its median error above them."""
    assert outcome.calibration is not None
    name, pair = camera
    left, bottom, width, height = place
    inches = np.array([figure.get_figwidth(), figure.get_figheight()])
    notes = "mirrored back" if name in outcome.mirrored_back else ""
    if name in outcome.corrected and not notes:
        notes = "exchanged back"
    if delay_s := outcome.calibration.rig.delay_s[outcome.calibration.rig.cameras.index(name)]:
        when = "late" if delay_s > 0 else "early"
        notes += f"{', ' if notes else ''}{1e3 * abs(delay_s):.0f} ms {when}"
    ratio = outcome.standing_out.get(name)
    x, y = (left / inches[0], (bottom + height - 0.24) / inches[1])
    title = figure.text(x, y, name, color=INK if ratio is None else _STANDS_OUT, fontsize=10)
    title.set_fontweight("bold")
    facts = "in no skeleton" if pair is None else f"median {pair.median_px:.1f} px"
    facts += f", {ratio:.1f} times the others'" if ratio is not None else ""
    along = (left + min(0.095 * len(name) + 0.14, width / 2)) / inches[0]
    figure.text(
        along, y, ", ".join(filter(None, (facts, notes))), fontsize=8.5,
        color=FAINT if ratio is None else _STANDS_OUT,
    )  # fmt: skip
    if pair is None:
        return
    half = (width - _GAP) / 2
    cell = np.array([half - _GAP, height - _HEAD - _CAPTION])
    for number, (word, shot, colour) in enumerate(
        (("best", pair.best, _BEST), ("worst", pair.worst, _WORST))
    ):
        corner = np.array([left + number * half, bottom + _CAPTION])
        _draw_shot(figure, outcome, (word, shot, colour), np.stack([corner, cell]) / inches)


def _draw_shot(
    figure: Figure, outcome: CalibrationResult, what: tuple[str, Shot, str], place: Any
) -> None:
    """One picture, and below it its error, its time, and its place in the whole picture; `place` is
    its lower left corner and its size, in shares of the figure.
    """
    assert outcome.calibration is not None
    word, shot, colour = what
    (left, bottom), (width, height) = place
    axes = figure.add_axes((left, bottom, width, height))
    crop = draw_overlay(axes, shot, outcome.calibration.body.joint_set, colour)
    tall = (_CAPTION - 0.12) / figure.get_figheight()
    figure.text(
        left, bottom - 0.1 * tall, f"{word}: {shot.error_px:.1f} px\n"
        f"{shot.error_share:.1%}, {shot.t_s:.2f} s", color=INK, fontsize=8, va="top",
        linespacing=1.25,
    )  # fmt: skip
    small = figure.add_axes((left + 0.68 * width, bottom - 1.06 * tall, 0.32 * width, tall))
    draw_place(small, shot, crop, "#d1495b")


def _title(figure: Figure, outcome: CalibrationResult, times: str) -> None:
    assert outcome.calibration is not None
    width, height = figure.get_figwidth(), figure.get_figheight()

    def at(x: float, y: float) -> tuple[float, float]:
        return x / width, y / height

    figure.text(
        *at(0.3, height - 0.46), outcome.name.replace("_", " "),
        color=INK, fontsize=17, fontweight="bold",
    )  # fmt: skip
    facts = [
        f"{len(outcome.calibration.rig.cameras)} cameras, "
        f"calibrated from {outcome.calibration.instants} instants",
        SCALES[outcome.calibration.scale_source],
    ]
    if "fused" in outcome.errors:
        ours = outcome.errors["fused"].means
        facts.append(f"P-MPJPE {ours['p_mpjpe_mm']:.1f} mm")
    if "calibrated_limit" in outcome.errors:
        facts[-1] += f" (true cameras {outcome.errors['calibrated_limit'].means['p_mpjpe_mm']:.1f})"
    figure.text(*at(0.3, height - 0.7), "   ·   ".join(facts), color=FAINT, fontsize=10.5)
    strip = figure.add_axes((*at(0.3, 0.31), *at(2.0, 0.09)))
    strip.imshow(_TIME_COLOURS(np.linspace(0.05, 0.85, 256))[None], aspect="auto")
    strip.axis("off")
    figure.text(*at(2.45, 0.345), times, color=FAINT, fontsize=9, va="center")
    figure.text(
        *at(_RIG, 0.13), "Dots: the detector's keypoints. Lines: the skeleton, projected. Red: the "
        "error of each joint.\nBelow: the median error in px and as a share of the person, the "
        "time, and the place in the whole picture.",
        color=FAINT, fontsize=8.5, linespacing=1.3,
    )  # fmt: skip
