"""Cameras as a TOML file that Pose2Sim, anipose and Caliscope's export share.

One table a camera: name, picture size, camera matrix, OpenCV's distortion coefficients, and the
rotation vector and translation that take a point of the world (m, z up) into the camera's axes
(x right, y down, z forward).
"""

import json
from typing import Any

import cv2

from cvsf.multiview.rig import Rig


def cameras_to_toml(rig: Rig) -> str:
    """The text of the file, in the unit of the rig's world; ValueError for panning cameras, which
    the layout cannot hold.
    """
    if rig.is_panning:
        raise ValueError("the cameras pan, and a TOML file holds one pose of each; use the .json")
    tables = []
    for view, name in enumerate(rig.cameras):
        focal, (x, y) = float(rig.focal_px[view]), rig.centre_px[view].tolist()
        values: dict[str, Any] = {
            "name": name,
            "size": [round(side) for side in rig.image_px[view].tolist()],
            "matrix": [[focal, 0.0, x], [0.0, focal, y], [0.0, 0.0, 1.0]],
            "distortions": [float(rig.radial[view]), 0.0, 0.0, 0.0, 0.0],
            "rotation": cv2.Rodrigues(rig.view_from_world[view])[0].ravel().tolist(),
            "translation": rig.translation[view].tolist(),
            "fisheye": False,
        }
        lines = [
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
        ]
        tables.append("\n".join([f"[cam_{view}]", *lines]))
    return "\n\n".join([*tables, "[metadata]\nadjusted = false\nerror = 0.0"]) + "\n"
