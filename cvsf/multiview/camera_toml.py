"""Cameras as TOML files: one that Pose2Sim and anipose read, and one that Caliscope reads.

One table a camera: picture size, camera matrix, OpenCV's distortion coefficients, and the rotation
vector and translation that take a point of the world (m, z up) into the camera's axes (x right,
y down, z forward).
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

import cv2
import numpy as np

from cvsf.multiview.calibration import Calibration

_LEAST_DELAY_S = 5e-4  # that is written


def cameras_to_toml(calibration: Calibration, mirrored: Collection[str] = ()) -> str:
    """The text of the file for Pose2Sim and anipose, in the unit of the calibration's world, with
    delays in a comment, and the cameras whose pictures are `mirrored`: the layout has no place for
    either. ValueError for panning cameras, which it cannot hold.
    """
    tables = {
        f"cam_{view}": {"name": name, **_values(calibration, view), "fisheye": False}
        for view, name in enumerate(calibration.rig.cameras)
    }
    error_px = float(np.median(calibration.uncertainty.reprojection_px))
    tables["metadata"] = {"adjusted": False, "error": error_px}
    return _text(calibration, mirrored, tables)


def cameras_to_caliscope(calibration: Calibration, mirrored: Collection[str] = ()) -> str:
    """The text of Caliscope's `camera_array.toml` (0.11), otherwise as `cameras_to_toml`. It knows
    cameras by number: those of the rig in order, with the names in comments.
    """
    tables = {
        f"cameras.{view}": {
            "cam_id": view,
            "rotation_count": 0,
            "error": float(calibration.uncertainty.reprojection_px[view]),
            **_values(calibration, view),
        }
        for view in range(len(calibration.rig.cameras))
    }
    numbers = [f"{view} is {name}" for view, name in enumerate(calibration.rig.cameras)]
    return f"# {', '.join(numbers)}\n\n" + _text(calibration, mirrored, tables)


def _values(calibration: Calibration, view: int) -> dict[str, Any]:
    rig = calibration.rig
    if rig.is_panning:
        raise ValueError("the cameras pan, and a TOML file holds one pose of each; use the .json")
    focal, (x, y) = float(rig.focal_px[view]), rig.centre_px[view].tolist()
    return {
        "size": [round(side) for side in rig.image_px[view].tolist()],
        "matrix": [[focal, 0.0, x], [0.0, focal, y], [0.0, 0.0, 1.0]],
        "distortions": rig.distortion[view].tolist(),
        "rotation": cv2.Rodrigues(rig.view_from_world[view])[0].ravel().tolist(),
        "translation": rig.translation[view].tolist(),
    }


def _text(
    calibration: Calibration, mirrored: Collection[str], tables: Mapping[str, Mapping[str, Any]]
) -> str:
    rig = calibration.rig
    late = [
        f"{name} {delay:+.3f}"
        for name, delay in zip(rig.cameras, rig.delay_s, strict=True)
        if abs(delay) > _LEAST_DELAY_S
    ]
    blocks = [f"# delays in s, not corrected in the films: {', '.join(late)}"] if late else []
    if mirrored:
        names = ", ".join(name for name in rig.cameras if name in mirrored)
        blocks.append(f"# for pictures mirrored back, as these films are mirrored: {names}")
    for name, values in tables.items():
        lines = [f"{key} = {json.dumps(v, ensure_ascii=False)}" for key, v in values.items()]
        blocks.append("\n".join([f"[{name}]", *lines]))
    return "\n\n".join(blocks) + "\n"
