"""Lenses that are known by the camera's name: from a TOML file of Pose2Sim, anipose or Caliscope,
from the settings of a hub, or as `cvsf cameras` keeps them.

One table a camera: camera matrix, OpenCV's distortion coefficients, picture size.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvsf.multiview.intrinsics import Intrinsics, intrinsics_of
from cvsf.shapes import Array, Float
from cvsf.system.errors import Refusal

Row = tuple[float, float, float]
Side = Annotated[float, Field(gt=0, allow_inf_nan=False)]

KEPT = "intrinsics.toml"
"""In the data folder: the lenses that `cvsf cameras --intrinsics` keeps."""
_NUMBERED = re.compile(r"(?:(?:int_?)?(?:cam|camera|cameras|c)?[_.-]?)0*(\d+)(?:_img)?")
"""Names that only number a camera: `cam2`, `cam_02`, `int_cam2_img`, `2`."""


class Lens(BaseModel):
    """The lens of one camera, as it was calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    matrix: tuple[Row, Row, Row]
    """fx, 0, cx; 0, fy, cy; 0, 0, 1 (px)."""
    distortions: tuple[float, ...] = ()
    """k1, k2, p1, p2, k3 in OpenCV's order; fewer are padded with 0."""
    size: tuple[Side, Side] | None = None
    """Width and height (px) of the pictures it was calibrated with; None: those of the session."""


Lenses = Mapping[str, Lens]
"""By camera."""


def read_lenses(path: Path) -> dict[str, Lens]:
    """All lenses of a TOML file in the layout of Pose2Sim, anipose or Caliscope, by the `name` in a
    table, or the table's own; other tables and keys are ignored. Refusal if the file cannot be
    read, has no lens, or one whose values cannot be.
    """
    try:
        whole = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Refusal(f"{path} cannot be read ({error.strerror}): name a .toml file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} is no TOML file: {error}") from None
    nested = whole.get("cameras")
    tables = dict(nested) if isinstance(nested, dict) else whole
    found = {
        str(table.get("name", name)): _lens(path, str(table.get("name", name)), table)
        for name, table in tables.items()
        if isinstance(table, dict) and "matrix" in table
    }
    if not found:
        raise Refusal(
            f"{path} has no camera, expected tables with a matrix, as Pose2Sim, anipose or "
            "Caliscope write them"
        )
    return found


def kept_lenses(data: Path) -> dict[str, Lens]:
    """The lenses that `cvsf cameras --intrinsics` keeps in the data folder, by the camera's name;
    none without a file. Refusal if it cannot be read.
    """
    path = data / KEPT
    return read_lenses(path) if path.exists() and path.stat().st_size else {}


def merged(*groups: Lenses) -> dict[str, Lens]:
    """All lenses; of a camera that several groups have, by its name or its number, the last one."""
    found: dict[str, Lens] = {}
    for group in groups:
        numbers = {number for name in group if (number := _number(name))}
        found = {name: lens for name, lens in found.items() if _number(name) not in numbers}
        found |= group
    return found


def check_lenses(lenses: Lenses) -> None:
    """ValueError, one sentence that names the camera, of a lens whose values cannot be used."""
    for camera, lens in lenses.items():
        _intrinsics(camera, lens, lens.size or (1.0, 1.0))


def known_intrinsics(
    lenses: Lenses, cameras: Sequence[str], size_px: Float[Array, "V 2"]
) -> tuple[Intrinsics, dict[str, str]]:
    """The intrinsics of the cameras, scaled to their pictures (width, height; px), NaN where there
    is no lens or no picture; and of each camera whose lens does not fit its pictures the reason.

    A lens is found by the camera's name, or by the number where both only number a camera: `cam2`
    is `cam_02` and `2`.
    """
    found, problems = Intrinsics.unknown(len(cameras)), {}
    for view, camera in enumerate(cameras):
        lens, (width, height) = lens_of(camera, lenses), size_px[view].tolist()
        if lens is None or not min(width, height) > 0:
            continue
        try:
            found = found.with_view(view, _intrinsics(camera, lens, (width, height)))
        except ValueError as error:
            problems[camera] = str(error)
    return found, problems


def read_intrinsics(path: Path, cameras: Sequence[str], size_px: Float[Array, "V 2"]) -> Intrinsics:
    """The intrinsics of the cameras that the file has, as `read_lenses` and `known_intrinsics` find
    them. Refusal if the file cannot be read, has none of the cameras, or values that cannot be
    used for their pictures.
    """
    lenses = read_lenses(path)
    found, problems = known_intrinsics(lenses, cameras, size_px)
    if problems:
        raise Refusal(f"{path}: {next(iter(problems.values()))}")
    if not found.is_known.any():
        raise Refusal(
            f"{path} has the cameras {', '.join(lenses)}, expected one of {', '.join(cameras)}; "
            "rename them"
        )
    return found


def lenses_to_toml(lenses: Lenses) -> str:
    """The text of a file that `read_lenses` reads, in Pose2Sim's layout."""
    tables = []
    for camera, lens in lenses.items():
        values: dict[str, Any] = {
            "name": camera,
            "matrix": lens.matrix,
            "distortions": lens.distortions,
        }
        if lens.size is not None:
            values["size"] = lens.size
        lines = [f"{key} = {json.dumps(v, ensure_ascii=False)}" for key, v in values.items()]
        tables.append("\n".join([f"[{json.dumps(camera, ensure_ascii=False)}]", *lines, ""]))
    return "\n".join(tables)


def is_only_numbered(camera: str) -> bool:
    """Whether the name only numbers a camera, as `cam2` does, which cameras without a name get."""
    return _number(camera) is not None


def _lens(path: Path, name: str, table: Mapping[str, Any]) -> Lens:
    if table.get("fisheye"):
        raise Refusal(
            f"{path}: {name} has a fisheye lens, expected k1, k2, p1, p2, k3 of a common one; "
            "leave it out, or undistort its pictures first"
        )
    try:
        lens = Lens.model_validate({key: table[key] for key in Lens.model_fields if key in table})
        check_lenses({name: lens})
    except ValidationError as error:
        first = error.errors()[0]
        raise Refusal(
            f"{path}: the {first['loc'][0]} of {name} is no list of the numbers that are expected "
            f"({first['msg']})"
        ) from None
    except ValueError as error:
        raise Refusal(f"{path}: {error}") from None
    return lens


def _intrinsics(camera: str, lens: Lens, size_px: tuple[float, float]) -> Intrinsics:
    K: npt.NDArray[np.float64] = np.array(lens.matrix, np.float64)
    return intrinsics_of(camera, K, lens.distortions, lens.size, size_px)


def lens_of(camera: str, lenses: Lenses) -> Lens | None:
    """The lens of a camera by its name, or its number; None if there is none, or several."""
    if camera in lenses:
        return lenses[camera]
    number = _number(camera)
    alike = [lens for name, lens in lenses.items() if number and _number(name) == number]
    return alike[0] if len(alike) == 1 else None


def _number(name: str) -> str | None:
    numbered = _NUMBERED.fullmatch(name.lower())
    return numbered[1] if numbered else None
