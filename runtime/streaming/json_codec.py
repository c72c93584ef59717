"""Messages to clients as maps, JSON and pictures, the same for every output.

Keys are those of `docs/protocol.md`: they may be added, but not renamed. Pictures are not encoded
again.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.messages import SCHEMA, Frame, MultiviewPose, Skeleton, to_header
from cvsf.skeleton import JointSet

_DECIMALS = 5
_CANONICAL = (
    "x forward, y to the body's left, z up along the trunk; pelvis at the origin, unit scale"
)
_WORLD = "right-handed, z up, metres; origin on the ground below the first position"


def about(
    joint_set: JointSet,
    cameras: Sequence[str],
    engine: str,
    *,
    detector: str = "",
    up: str = "+z",
    world: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The first message to a client, as a map; nothing is sent here.

    `up` is the upward axis of the canonical frame, `world` the cameras as `World.about` gives them;
    None without a calibration.
    """
    return {
        "schema": SCHEMA,
        "kind": "about",
        "joint_set": joint_set.name,
        "joints": list(joint_set.joints),
        "bones": [list(bone) for bone in joint_set.bones],
        "cameras": list(cameras),
        "engine": engine,
        "detector": detector,
        "up": up,
        "axes": {"canonical": _CANONICAL, "world": _WORLD},
        "world": world,
    }


def jsonable(value: Any) -> Any:
    """The value for JSON: arrays as nested lists, numbers that are not finite as null.

    Numbers in arrays are rounded to five decimals, except in an array with one that is not finite;
    single numbers are not rounded. Keys become text. Other types come back as they are. The input
    stays unchanged.
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _rounded(value)
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: Mapping[str, Any]) -> str:
    """The map as one line of JSON, converted by `jsonable`; unknown types become text."""
    return json.dumps(jsonable(value), separators=(",", ":"), allow_nan=False, default=str)


def skeleton_json(skeleton: Skeleton) -> str:
    """The skeleton's map as one line of JSON, arrays as nested lists rounded as by `jsonable`."""
    return to_json(to_header(skeleton))


def picture(frame: Frame, instant: int, pose: MultiviewPose) -> bytes:
    """A picture message: 4 bytes little-endian length, the header as JSON, the camera's JPEG.

    The length is that of the header. The JPEG is the frame's own; keypoints (px) and confidence are
    in the header if the pose has the camera.
    """
    header: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "picture",
        "camera": frame.camera,
        "instant": instant,
        "t_ns": frame.t_ns,
        "width_px": frame.width_px,
        "height_px": frame.height_px,
        "joint_set": pose.joint_set,
    }
    if frame.camera in pose.cameras:
        view = pose.cameras.index(frame.camera)
        header["keypoints_px"] = np.round(pose.keypoints_px[view].astype(np.float64), 1)
        header["confidence"] = np.round(pose.confidence[view].astype(np.float64), 3)
    body = to_json(header).encode()
    return struct.pack("<I", len(body)) + body + frame.jpeg


def _rounded(array: npt.NDArray[Any]) -> Any:
    if array.dtype.kind != "f":
        return array.tolist()
    if not np.isfinite(array).all():
        return [jsonable(item) for item in array.tolist()]
    return np.round(array.astype(np.float64), _DECIMALS).tolist()
