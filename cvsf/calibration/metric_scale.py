"""The metric scale from what the user measured: a stature, a bone or the distance of two cameras.

At most one of them is given. Without any, the stature of an adult is assumed, which is reported.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvsf.system.errors import Refusal

SEGMENTS = {
    "thigh": (0.245, (("lhip", "lknee"), ("rhip", "rknee"))),
    "shin": (0.246, (("lknee", "lankle"), ("rknee", "rankle"))),
    "upper_arm": (0.186, (("lshoulder", "lelbow"), ("rshoulder", "relbow"))),
    "forearm": (0.146, (("lelbow", "lwrist"), ("relbow", "rwrist"))),
    "trunk": (0.288, (("hip", "spine", "thorax"),)),
}
"""Share of the stature and chains of joints: Drillis & Contini (1966), as printed in Winter,
Biomechanics and Motor Control of Human Movement."""

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


def _split(text: str, option: str, form: str) -> tuple[str, float]:
    name, _, length = text.partition("=")
    try:
        metres = float(length)
    except ValueError:
        metres = math.nan
    if not 0 < metres < math.inf:
        raise Refusal(f"{option} is {text!r}: expected a name and metres, as in {form}.")
    return name, metres
