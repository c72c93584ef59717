"""What the user knows in metres, as typed: a stature, a bone, or how far apart two cameras stand.

At most one of them; without any the athlete counts as an adult of middle height, and says so.
"""

import math
from typing import Any

from cvsf.calibration.world_frame import SEGMENTS
from cvsf.system.errors import Refusal
from runtime.config import HubConfig

_TALL_M = (0.5, 2.6)


def measures(config: HubConfig) -> dict[str, Any]:
    """For the surveyor: height_m, bone [name, metres] or distance [camera, camera, metres]."""
    given = {
        "--height": config.height_m,
        "--bone": config.bone,
        "--distance": config.camera_distance,
    }
    if len(both := [name for name, value in given.items() if value is not None]) > 1:
        raise Refusal(f"{' and '.join(both)} were given: one of them makes the metre, give one.")
    if config.height_m is not None:
        return {"height_m": _height(config.height_m)}
    if config.bone is not None:
        name, metres = _split(config.bone, "--bone", f"thigh=0.45 ({', '.join(SEGMENTS)})")
        if name not in SEGMENTS:
            raise Refusal(f"--bone names {name!r}: expected one of {', '.join(SEGMENTS)}.")
        return {"bone": [name, metres]}
    if config.camera_distance is not None:
        pair, metres = _split(config.camera_distance, "--distance", "cam0,cam2=7.5")
        one, comma, other = pair.partition(",")
        if not comma or not one or not other or one == other:
            raise Refusal(f"--distance names {pair!r}: expected two cameras, as in cam0,cam2=7.5.")
        return {"distance": [one, other, metres]}
    return {}


def _height(metres: float) -> float:
    if not _TALL_M[0] <= metres <= _TALL_M[1]:
        raise Refusal(
            f"--height is {metres:g}: expected metres between {_TALL_M[0]} and {_TALL_M[1]},"
            " such as 1.82."
        )
    return metres


def _split(text: str, option: str, form: str) -> tuple[str, float]:
    name, _, length = text.partition("=")
    try:
        metres = float(length)
    except ValueError:
        metres = math.nan
    if not 0 < metres < math.inf:
        raise Refusal(f"{option} is {text!r}: expected a name and metres, as in {form}.")
    return name, metres
