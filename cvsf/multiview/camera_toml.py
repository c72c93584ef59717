"""Cameras as a TOML file that Pose2Sim, anipose and Caliscope's export share.

One table a camera: name, picture size, camera matrix, OpenCV's distortion coefficients, and the
rotation vector and translation that take a point of the world (m, z up) into the camera's axes
(x right, y down, z forward).
"""

import json
from collections.abc import Collection
from typing import Any

import cv2
import numpy as np

from cvsf.multiview.calibration import Calibration

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
