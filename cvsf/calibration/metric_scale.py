"""The metric scale from what the user measured: a stature, a bone or the distance of two cameras;
and how well the metre is known: one standard deviation of the scale, as a share of it.

At most one length is given. Without any, the stature of an adult is assumed, which is reported.
What is between that length and the joints makes the deviation: how stature and bones go with
joints, and how well the calibration knows them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.multiview.calibration import Calibration
from cvsf.shapes import Float
from cvsf.system.errors import Refusal

Real = npt.NDArray[np.float64]

SEGMENTS = {
    "thigh": (0.245, (("lhip", "lknee"), ("rhip", "rknee"))),
    "shin": (0.246, (("lknee", "lankle"), ("rknee", "rankle"))),
    "upper_arm": (0.186, (("lshoulder", "lelbow"), ("rshoulder", "relbow"))),
    "forearm": (0.146, (("lelbow", "lwrist"), ("relbow", "rwrist"))),
    "trunk": (0.288, (("hip", "spine", "thorax"),)),
}
"""Share of the stature and chains of joints: Drillis & Contini (1966), as printed in Winter,
Biomechanics and Motor Control of Human Movement."""

ADULTS = 0.06
"""Standard deviation of the stature of adults, as of `world_frame.ADULT_M`."""
RATIOS = 1.25
"""Deviation of a stature over the scatter of those that the segments give: with it 79 % of 128
sessions of six people, 1.70 m assumed, are within one deviation and all within two."""
BONE = 0.018
"""Between a bone and its joints as detected: 68 % of the same sessions, each with the true length
of its thigh, are within it (shin and upper arm within 0.004)."""
OWN = 0.3
"""What the calibration leaves open, over the deviation of the position of its worst camera: with
it the true thighs, shins and trunks are within two deviations in 95, 98 and 97 % of 64 sessions of
the same people with two cameras (with 0.1 in 91, 95 and 94 %); with four it is hardly needed.
"""
_LEAST_RATIOS = 2  # segments without which nothing can be said of their scatter
_RATIO = 0.12  # the scatter that is assumed then, the larger half of those people's

_STATURE_M = (0.5, 2.6)
"""Least and most: a small child, and more than the tallest athlete; guesses, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The one length that is known in metres; without any, the stature of an adult is assumed."""

    height_m: float | None = None  # stature
    bone: tuple[str, float] | None = None  # name of a segment, metres
    cameras: tuple[str, str, float] | None = None  # names of two cameras, metres between them

    def __post_init__(self) -> None:
        given = [g for g in (self.height_m, self.bone, self.cameras) if g is not None]
        if len(given) > 1:
            raise ValueError(
                "a height, a bone and a camera distance make a scale, expected only one of them"
            )
        for value in given:
            metres = value if isinstance(value, float | int) else value[-1]
            if not 0 < metres < math.inf:
                raise ValueError(f"a scale is {metres} m, expected a length above 0")

    @property
    def source(self) -> str:
        """The key `scale_source`: `height`, `bone`, `distance`, or `adult` where no length is
        given.
        """
        if self.height_m is not None:
            return "height"
        if self.bone is not None:
            return "bone"
        return "adult" if self.cameras is None else "distance"


def read_scale(height_m: float | None, bone: str | None, distance: str | None) -> Scale:
    """The scale from options: a stature in metres, "thigh=0.45", "cam0,cam2=7.5"; an assumed adult
    if all are None. Refusal, which names the option, if more than one is given, a stature is not
    0.5 to 2.6 m, or a text is malformed. The cameras' names are not checked.
    """
    options = {"--height": height_m, "--bone": bone, "--distance": distance}
    if len(given := [name for name, value in options.items() if value is not None]) > 1:
        raise Refusal(f"{' and '.join(given)} were given: expected only one of them.")
    if height_m is not None:
        least, most = _STATURE_M
        if not least <= height_m <= most:
            raise Refusal(
                f"--height is {height_m:g}: expected metres between {least} and {most},"
                " such as 1.82."
            )
        return Scale(height_m=height_m)
    if bone is not None:
        name, metres = _split(bone, "--bone", f"thigh=0.45 ({', '.join(SEGMENTS)})")
        if name not in SEGMENTS:
            raise Refusal(f"--bone names {name!r}: expected one of {', '.join(SEGMENTS)}.")
        return Scale(bone=(name, metres))
    if distance is not None:
        pair, metres = _split(distance, "--distance", "cam0,cam2=7.5")
        one, comma, other = pair.partition(",")
        if not comma or not one or not other or one == other:
            raise Refusal(f"--distance names {pair!r}: expected two cameras, as in cam0,cam2=7.5.")
        return Scale(cameras=(one, other, metres))
    return Scale()


def scale_from_plain(plain: Mapping[str, Any]) -> Scale:
    """The scale from a map of its fields (m), in which msgpack has made tuples lists. ValueError if
    a length is not above 0, or if there is more than one; TypeError of an unknown field.
    """
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
    return Scale(**fields)


def deviation_of_stature(
    calibration: Calibration, statures: Mapping[str, float], used: float, *, given: bool
) -> float:
    """Of a scale by a stature, `given` by the user or that of an adult.

    `statures` are those that single segments give (Drillis and Contini 1966) and `used` the one
    that made the scale, all in the calibration's unit. Where people are not built as the ratios
    have it, or joints are not where they have them, the segments disagree; a single segment tells
    nothing, and counts as people of the larger scatter.
    """
    scatter = _RATIO
    if len(statures) >= _LEAST_RATIOS:
        ratios = np.array(list(statures.values())) / used
        scatter = float(np.sqrt(np.mean(np.square(ratios - 1))))
    return float(np.linalg.norm([0 if given else ADULTS, RATIOS * scatter, _own(calibration)]))


def deviation_of_bone(calibration: Calibration) -> float:
    """Of a scale by the length of a bone that the user measured."""
    return float(np.hypot(BONE, _own(calibration)))


def deviation_of_distance(
    calibration: Calibration, joints: Float[Real, "N J 3"], pair: tuple[str, str]
) -> float:
    """Of a scale by the distance of two cameras of the rig that the user measured: the deviation of
    their positions over their distance. `joints` are in the world and unit of the calibration; NaN
    is unknown. ValueError if one is not in the rig.
    """
    rig = calibration.rig
    views = [rig.cameras.index(camera) for camera in pair]
    first, second = (np.asarray(rig.centres)[..., view, :] for view in views)
    apart = float(np.median(np.linalg.norm(first - second, axis=-1)))
    away = np.linalg.norm(np.nanmean(rig.in_views(joints), axis=(0, 2)), axis=-1)[views]
    position = calibration.uncertainty.position_share[views] * away
    return float(np.linalg.norm(position) / max(apart, 1e-9))


def _split(text: str, option: str, form: str) -> tuple[str, float]:
    name, _, length = text.partition("=")
    try:
        metres = float(length)
    except ValueError:
        metres = math.nan
    if not 0 < metres < math.inf:
        raise Refusal(f"{option} is {text!r}: expected a name and metres, as in {form}.")
    return name, metres


def _own(calibration: Calibration) -> float:
    """What the calibration itself leaves open: where distances are known badly, so is the size."""
    return OWN * float(np.max(calibration.uncertainty.position_share))
