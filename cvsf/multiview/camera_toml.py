"""Cameras as a TOML file that Pose2Sim, anipose and Caliscope's export share, and the intrinsics in
such files.

One table a camera: name, picture size, camera matrix, OpenCV's distortion coefficients, and the
rotation vector and translation that take a point of the world (m, z up) into the camera's axes
(x right, y down, z forward).
"""

import json
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.intrinsics import Intrinsics, intrinsics_of
from cvsf.shapes import Array, Float
from cvsf.system.errors import Refusal

Real = npt.NDArray[np.float64]

_LEAST_DELAY_S = 5e-4  # that is written


def cameras_to_toml(calibration: Calibration, mirrored: Collection[str] = ()) -> str:
    """The text of the file, in the unit of the calibration's world, with delays in a comment, and
    the cameras whose pictures are `mirrored`: the layout has no place for either. ValueError for
    panning cameras, which it cannot hold.
    """
    rig = calibration.rig
    if rig.is_panning:
        raise ValueError("the cameras pan, and a TOML file holds one pose of each; use the .json")
    tables = []
    for view, name in enumerate(rig.cameras):
        focal, (x, y) = float(rig.focal_px[view]), rig.centre_px[view].tolist()
        values: dict[str, Any] = {
            "name": name,
            "size": [round(side) for side in rig.image_px[view].tolist()],
            "matrix": [[focal, 0.0, x], [0.0, focal, y], [0.0, 0.0, 1.0]],
            "distortions": rig.distortion[view].tolist(),
            "rotation": cv2.Rodrigues(rig.view_from_world[view])[0].ravel().tolist(),
            "translation": rig.translation[view].tolist(),
            "fisheye": False,
        }
        lines = [
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
        ]
        tables.append("\n".join([f"[cam_{view}]", *lines]))
    late = [
        f"{name} {delay:+.3f}"
        for name, delay in zip(rig.cameras, rig.delay_s, strict=True)
        if abs(delay) > _LEAST_DELAY_S
    ]
    note = [f"# delays in s, not corrected in the films: {', '.join(late)}"] if late else []
    if mirrored:
        names = ", ".join(name for name in rig.cameras if name in mirrored)
        note.append(f"# for pictures mirrored back, as these films are mirrored: {names}")
    error_px = float(np.median(calibration.uncertainty.reprojection_px))
    end = f"[metadata]\nadjusted = false\nerror = {error_px}"
    return "\n\n".join([*note, *tables, end]) + "\n"


def read_intrinsics(path: Path, cameras: Sequence[str], size_px: Float[Array, "V 2"]) -> Intrinsics:
    """The intrinsics of the cameras that the file has, scaled to their pictures (width, height;
    px), in the layout of Pose2Sim, anipose or Caliscope. A camera is found by its `name`, by the
    name of its table, or by the number at its end: `cam2` is `[cam_2]` and `[cameras.2]`.

    Refusal if the file cannot be read, has none of the cameras, or values that cannot be used.
    """
    tables = _camera_tables(path)
    found = Intrinsics.unknown(len(cameras))
    for view, camera in enumerate(cameras):
        table = _table_of(camera, tables)
        if table is None:
            continue
        width, height = size_px[view].tolist()
        try:
            K, distortion, calibrated_px = _values(table)
        except (TypeError, ValueError, IndexError) as error:
            raise Refusal(f"{path}: {camera} has values that are no numbers: {error}") from None
        try:
            one = intrinsics_of(camera, K, distortion, calibrated_px, (width, height))
        except ValueError as error:
            raise Refusal(f"{path}: {error}") from None
        found = found.with_view(view, one)
    if not found.is_known.any():
        raise Refusal(
            f"{path} has the cameras {', '.join(tables)}, expected one of {', '.join(cameras)}; "
            "rename them"
        )
    return found


def _camera_tables(path: Path) -> dict[str, Mapping[str, Any]]:
    """The tables with a camera matrix, by name."""
    try:
        whole = tomllib.loads(path.read_text())
    except OSError as error:
        raise Refusal(f"{path} cannot be read ({error.strerror}): name a .toml file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} is no TOML file: {error}") from None
    nested = whole.get("cameras")
    tables = dict(nested) if isinstance(nested, dict) else whole
    found: dict[str, Mapping[str, Any]] = {
        str(table.get("name", name)): table
        for name, table in tables.items()
        if isinstance(table, dict) and "matrix" in table
    }
    if not found:
        raise Refusal(
            f"{path} has no camera, expected tables with a matrix, as Pose2Sim, anipose or "
            "Caliscope write them"
        )
    return found


def _values(
    table: Mapping[str, Any],
) -> tuple[Float[Real, "..."], list[float], tuple[float, float] | None]:
    """Camera matrix, distortion coefficients, and width and height (px) if they are there."""
    size = table.get("size")
    return (
        np.array(table["matrix"], np.float64),
        [float(value) for value in table.get("distortions", ())],
        None if size is None else (float(size[0]), float(size[1])),
    )


def _table_of(camera: str, tables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """By name, else by the number at the end if only one table has it."""
    if camera in tables:
        return tables[camera]
    number = re.search(r"\d+$", camera)
    alike = [
        table
        for name, table in tables.items()
        if number and (end := re.search(r"\d+$", name)) and int(end[0]) == int(number[0])
    ]
    return alike[0] if len(alike) == 1 else None
