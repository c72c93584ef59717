"""Ground truth of the simulated slope, kept per camera and joined afterwards.

It goes to a file of its own and never to the wire; a camera's part is written whole or not at all.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capture.simulator.course import Stamps
from capture.simulator.scene import Viewpoint, project
from cvsf.shapes import Bool, Float, Int, Mask, Real
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

_LIMBS = (
    ("hip", "thorax", 0.14), ("thorax", "head", 0.1), ("lhip", "lknee", 0.085),
    ("rhip", "rknee", 0.085),
    ("lknee", "lankle", 0.07), ("rknee", "rankle", 0.07), ("lshoulder", "lelbow", 0.06),
    ("rshoulder", "relbow", 0.06), ("lelbow", "lwrist", 0.05), ("relbow", "rwrist", 0.05),
)  # fmt: skip
"""Limbs that occlude joints behind them, and their radius in metres; guesses, not measured."""

_ROW = np.dtype(
    [
        ("raw_ns", np.int64),
        ("joints", np.float32, (len(H36M_16), 3)),
        ("rotation", np.float64, (3, 3)),
        ("focal_px", np.float64),
    ]
)
"""The ground truth of an exposure: joints in world metres, and the camera."""

_START = np.array([H36M_16.index(start) for start, _, _ in _LIMBS])
_END = np.array([H36M_16.index(end) for _, end, _ in _LIMBS])
_RADIUS = np.array([radius for _, _, radius in _LIMBS])
_BEHIND = 0.08
"""Metres by which a joint must lie behind a limb's axis to be hidden. A guess, not measured."""


def visible_joints(
    joints: Float[Real, "T J 3"],
    view: Viewpoint,
    rotation: Float[Real, "T 3 3"],
    focal_px: Float[Real, "T"],
) -> Bool[Mask, "T J"]:
    """Which joints are inside the picture, more than 0.1 m in front of the camera, and not hidden
    by a limb. A limb hides a joint where it covers it and is more than 8 cm nearer in depth; a limb
    that ends at the joint does not. Joints (h36m-16) are in the world (m), `rotation` is
    view_from_world, the focal length is in px.
    """
    local, px = project(joints, view.eye, rotation, focal_px, view.size)
    inside = np.logical_and(px >= 0, px < np.array(view.size)).all(-1) & (local[..., 2] > 0.1)
    start, way = px[:, None, _START], (px[:, _END] - px[:, _START])[:, None]
    along = ((px[:, :, None] - start) * way).sum(-1) / np.maximum((way**2).sum(-1), 1e-9)
    along = np.clip(along, 0, 1)[..., None]
    near = local[:, None, _START, 2] * (1 - along[..., 0]) + local[:, None, _END, 2] * along[..., 0]
    away_px = np.linalg.norm(px[:, :, None] - start - along * way, axis=-1)
    covered = away_px < _RADIUS * focal_px[:, None, None] / np.maximum(near, 0.1)
    own = (np.arange(len(H36M_16))[:, None] == _START) | (np.arange(len(H36M_16))[:, None] == _END)
    own[H36M_16.index("spine"), 0] = True
    hidden = (covered & (near < local[..., None, 2] - _BEHIND) & ~own).any(-1)
    return np.asarray(inside & ~hidden)


class TruthRecorder:
    """One camera's exposures, kept in memory until `write`."""

    def __init__(self, path: Path, seed: int, index: int, view: Viewpoint) -> None:
        self.path = path.with_name(f"{path.stem}.{index}.npz")
        self._about = {
            "seed": seed,
            "camera": index,
            "width_px": view.size[0],
            "height_px": view.size[1],
        }
        self._view = view
        self._rows = np.zeros(1024, _ROW)
        self._count = 0

    def add(
        self,
        raw_ns: int,
        joints: Float[Real, "J 3"],
        rotation: Float[Real, "3 3"],
        focal_px: float,
    ) -> None:
        """Add the truth of an exposure, in memory: time (ns), joints (h36m-16) in the world (m),
        view_from_world, focal length (px).
        """
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[self._count] = raw_ns, joints, rotation, focal_px
        self._count += 1

    def write(self) -> None:
        """Write the truth of this camera to NAME.INDEX.npz beside the run's truth file, whole or
        not at all, in place of an older one. OSError if it cannot be written.
        """
        arrays = {name: self._rows[name][: self._count] for name in _ROW.names or ()}
        arrays["eye"], arrays["about"] = self._view.eye, np.array(json.dumps(self._about))
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        part.replace(self.path)


def merge_truth(parts: Sequence[Path], out: Path) -> None:
    """Join the ground truth of the cameras, by time of exposure (ns), in one multi-view file at
    `out`; the parts stay. A row is a moment at which any camera exposed. A camera that did not has
    raw_ns and confidence 0 there, and rotation and focal length of its next exposure, or of its
    last.

    A missing part is logged. Refusal if all are missing, or one is damaged or has no exposure;
    OSError if the file cannot be written.
    """
    found = [path for path in parts if path.exists()]
    if missing := [path.name for path in parts if path not in found]:
        log.warning("a camera wrote no ground truth", extra={"missing": missing})
    if not found:
        raise Refusal("no camera wrote ground truth: let the simulated cameras end in order.")
    cameras = sorted((_read(path) for path in found), key=lambda camera: camera["about"]["camera"])
    stamps = np.unique(np.concatenate([camera["raw_ns"] for camera in cameras]))
    joints = np.zeros((len(stamps), len(H36M_16), 3))
    for camera in cameras:
        joints[np.searchsorted(stamps, camera["raw_ns"])] = camera["joints"]
    views = [_view_truth(camera, stamps, joints) for camera in cameras]
    write_multiview(out, stamps, views, cameras[0]["about"])


def write_multiview(
    out: Path,
    stamps: Int[Stamps, "T"],
    views: Sequence[dict[str, npt.NDArray[Any]]],
    about: dict[str, int],
) -> None:
    """Write a multi-view file (.npz) at `out` from the views' arrays, each with axis 0 as long as
    `stamps`; the views become axis 1. Float64 becomes float32, and `t_s` counts from the first
    stamp. `about` has seed, width_px and height_px. The file is written whole or not at all;
    OSError if it cannot be.
    """
    rows = len(stamps)
    both = {name: np.stack([view[name] for view in views], 1) for name in views[0]}
    arrays = {
        name: v.astype(np.float32) if v.dtype == np.float64 else v for name, v in both.items()
    }
    first = stamps[0] if rows else 0
    part = out.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            **arrays,
            session=np.zeros(rows, np.int32),
            subject=np.zeros(rows, np.int32),
            frame=np.arange(rows, dtype=np.int32),
            t_s=(stamps - first) / 1e9,
            joint_names=np.array(H36M_16.joints),
            subject_names=np.array([f"sim-{about['seed']:06d}"]),
            image_px=np.array([about["width_px"], about["height_px"]]),
        )
    part.replace(out)


def view_arrays(
    view: Viewpoint,
    joints: Float[Real, "T J 3"],
    rotation: Float[Real, "T 3 3"],
    focal_px: Float[Real, "T"],
    raw_ns: Int[Stamps, "T"],
) -> dict[str, npt.NDArray[Any]]:
    """One view's arrays of a multi-view file, true 2D in px and joints in the view frame in mm.
    Joints are given in the world (m), `rotation` is view_from_world, the focal length is in px.

    Confidence is 1 for visible joints, else 0; 0 for all where raw_ns is 0, as there was no
    exposure. `camera_t_mm` is the t of x_view = R x_world + t; `head_px` is the distance from
    thorax to head in the picture. `keypoints_px` and `truth_px` are one array; rotation, focal
    length and times are the given arrays, not copies.
    """
    local, px = project(joints, view.eye, rotation, focal_px, view.size)
    shown = visible_joints(joints, view, rotation, focal_px) & (raw_ns != 0)[:, None]
    head, thorax = px[:, H36M_16.index("head")], px[:, H36M_16.index("thorax")]
    return {
        "keypoints_px": px, "confidence": shown.astype(np.float32), "truth_px": px,
        "joints_mm": local * 1e3, "head_px": np.linalg.norm(head - thorax, axis=-1),
        "camera_R": rotation, "camera_t_mm": -rotation @ view.eye * 1e3, "focal_px": focal_px,
        "raw_ns": raw_ns,
    }  # fmt: skip


def _view_truth(
    camera: dict[str, Any], stamps: Int[Stamps, "T"], joints: Float[Real, "T J 3"]
) -> dict[str, npt.NDArray[Any]]:
    """A camera's columns at all stamps; where it missed one it is as at its next exposure."""
    own = camera["raw_ns"]
    if len(own) == 0:
        raise Refusal(
            f"camera {camera['about']['camera']} made no exposure: there is no truth to join."
        )
    at = np.searchsorted(own, stamps).clip(0, len(own) - 1)
    exposed = own[at] == stamps
    about = camera["about"]
    view = _partial_viewpoint(camera["eye"], (about["width_px"], about["height_px"]))
    return view_arrays(
        view, joints, camera["rotation"][at], camera["focal_px"][at], np.where(exposed, stamps, 0)
    )


def _partial_viewpoint(eye: Float[Real, "3"], size: tuple[int, int]) -> Viewpoint:
    """A viewpoint with only the camera centre and the size of the pictures."""
    return Viewpoint(
        eye=eye, roll=0.0, size=size, target=np.zeros(3), focal_px=0.0, follows=False, tall_px=0.0,
        wobble=np.zeros((4, 4, 2)), period_ns=1,
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    try:
        with np.load(path) as file:
            part: dict[str, Any] = dict(file)
        part["about"] = json.loads(str(part["about"]))
    except (OSError, ValueError, KeyError) as error:
        raise Refusal(f"{path} is no part of a truth file ({error}).") from error
    return part
