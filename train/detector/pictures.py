"""Rendered pictures of one person with the joints' places, read from a folder into memory once.

Coordinates are continuous: a picture `w` wide spans 0 to w, and its pixel i is centred on i + 0.5.
"""

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from jaxtyping import Bool, Float, UInt8

from cvsf.shapes import Array, Mask, Picture
from cvsf.skeleton import H36M_16, JOINT_SETS, remap
from cvsf.system.errors import Refusal
from train.detector.networks import BOX_INPUT_PX

log = logging.getLogger(__name__)

MARGIN = 1.25
"""The side of a person's crop over the larger side of the joints' box; a guess, not measured."""
KEPT_PX = 192
"""Side of a crop as it is kept in memory."""
KEPT_MARGIN = 1.5
"""A kept crop's side over the nominal crop's: room to shift, turn and shrink."""
_FRAMES = 12
_CAMERAS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """N pictures as both networks want them."""

    crops: UInt8[Picture, "N k k 3"]  # RGB, k = KEPT_PX
    joints: Float[Array, "N J 2"]  # in the kept crop's pixels
    small: UInt8[Picture, "N h w 3"]  # RGB, the whole picture
    boxes: Float[Array, "N 4"]  # centre x, y, width, height as shares of the small picture

    def __len__(self) -> int:
        return len(self.joints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture on disk and what is true of it."""

    path: Path
    joints_px: Float[Array, "J 2"]
    visible: Bool[Mask, "J"]


def box_of(joints_px: Float[Array, "... J 2"]) -> Float[Array, "... 4"]:
    """The tight box around all joints in px: centre x, centre y, width, height; NaN if a joint is
    NaN.
    """
    low, high = joints_px.min(-2), joints_px.max(-2)
    return np.concatenate([(low + high) / 2, high - low], -1)


def render(folder: Path, seeds: range) -> None:
    """Render the pictures of the seeds that are missing in `folder`, with the simulator in a child
    process; it blocks. The last fifth of the seeds has moving cameras. Refusal if the simulator
    fails.
    """
    moving_from = seeds.stop - len(seeds) // 5
    _film(folder, range(seeds.start, moving_from), moving=False)
    _film(folder, range(moving_from, seeds.stop), moving=True)


def shots(folder: Path, seeds: range) -> Iterator[Shot]:
    """Every picture of the seeds that is there and has at least half of the joints inside; joints
    in px, h36m-16. Seeds that were not rendered are skipped; Refusal of a joint that no joint set
    has.
    """
    for seed in seeds:
        truth = _seed_folder(folder, seed) / "truth.npz"
        if truth.exists():
            yield from _shots_of(truth)


def read_pictures(folder: Path, seeds: range) -> Pictures:
    """Every usable picture of the seeds, cropped and shrunk, all in memory; a Refusal where there
    is none. Every second one is shrunk smoothly.
    """
    taken = list(shots(folder, seeds))
    if not taken:
        raise Refusal(
            f"{folder} holds no picture of seeds {seeds.start}:{seeds.stop}, expected "
            "seed-000000/{cam0-00000.jpg, truth.npz} as `cvsf simulate --out` writes them"
        )
    width, height = BOX_INPUT_PX
    count = len(taken)
    crops = np.empty((count, KEPT_PX, KEPT_PX, 3), np.uint8)
    small = np.empty((count, height, width, 3), np.uint8)
    joints, boxes = np.empty((count, len(H36M_16), 2), np.float32), np.empty((count, 4), np.float32)
    for i, shot in enumerate(taken):
        picture = read_jpeg(shot.path)
        x, y, w, h = box_of(shot.joints_px)
        side = MARGIN * KEPT_MARGIN * max(w, h)
        corner = np.array([x - side / 2, y - side / 2])
        crops[i] = crop(picture, corner, side, KEPT_PX)
        joints[i] = (shot.joints_px - corner) * (KEPT_PX / side)
        small[i], scale, shift = shrink(picture, smooth=bool(i % 2))
        boxes[i] = np.array([x, y, w, h]) * scale + [*shift, 0, 0]
        boxes[i] /= [width, height, width, height]
    return Pictures(crops=crops, joints=joints, small=small, boxes=boxes)


def read_jpeg(path: Path) -> UInt8[Picture, "h w 3"]:
    """The picture in a JPEG file, RGB, 8 bits; OSError if there is no such file, ValueError if it
    is no JPEG.
    """
    return simplejpeg.decode_jpeg(path.read_bytes(), colorspace="RGB")  # type: ignore[no-any-return]


def crop(
    picture: UInt8[Picture, "h w 3"],
    corner_px: Float[npt.NDArray[np.floating[Any]], "2"],
    side_px: float | np.floating[Any],
    size: int,
) -> UInt8[Picture, "k k 3"]:
    """The square with its upper left corner at `corner_px` and sides of `side_px` (both px of the
    picture), scaled to `size` pixels; zero where it leaves the picture.
    """
    scale = side_px / size
    picture_from_crop = np.array(
        [[scale, 0, corner_px[0] + scale / 2 - 0.5], [0, scale, corner_px[1] + scale / 2 - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, picture_from_crop, (size, size), flags=flags).astype(
        np.uint8, copy=False
    )


def shrink(
    picture: UInt8[Picture, "h w 3"], *, smooth: bool
) -> tuple[UInt8[Picture, "i j 3"], float, tuple[float, float]]:
    """The whole picture in the middle of the box network's input, the rest black; the scale; the
    shift (left, top) in px of the input: px in the input are px of the picture times the scale,
    plus the shift. `smooth` averages over areas.
    """
    width, height = BOX_INPUT_PX
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    padded = np.zeros((height, width, 3), np.uint8)
    way = cv2.INTER_AREA if smooth else cv2.INTER_LINEAR
    padded[top : top + size[1], left : left + size[0]] = cv2.resize(
        picture, size, interpolation=way
    )
    return padded, scale, (left, top)


def _film(folder: Path, seeds: range, *, moving: bool) -> None:
    lacking = [s for s in seeds if not (_seed_folder(folder, s) / "truth.npz").exists()]
    if not lacking:
        return
    first, last = lacking[0], lacking[-1] + 1
    log.info(
        "pictures are being rendered", extra={"folder": str(folder), "seeds": f"{first}:{last}"}
    )
    command = ["-m", "cvsf", "simulate", "--out", str(folder), "--seeds", f"{first}:{last}"]
    command += ["--cams", str(_CAMERAS), "--frames", str(_FRAMES)] + ["--moving"] * moving
    done = subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Refusal(
            f"cvsf simulate ended with {done.returncode}, expected pictures of {first}:{last} "
            f"in {folder}; its own message above has the reason"
        )


def _shots_of(truth: Path) -> Iterator[Shot]:
    with np.load(truth, allow_pickle=False) as arrays:
        names = [str(n) for n in arrays["joint_names"]]
        if unknown := [n for n in names if all(n not in s.joints for s in JOINT_SETS.values())]:
            raise Refusal(
                f"{truth} has joint {unknown[0]!r}, expected joints of a registered joint set"
            )
        truth_px, visible = remap(arrays["truth_px"], arrays["confidence"], names, H36M_16.joints)
        image_px = np.broadcast_to(arrays["image_px"], (truth_px.shape[1], 2))
    for frame, view in np.ndindex(truth_px.shape[:2]):
        path = truth.parent / f"cam{view}-{frame:05d}.jpg"
        joints = truth_px[frame, view]
        inside = ((joints > 0) & (joints < image_px[view])).all(-1).mean()
        if inside >= 0.5 and path.exists():
            yield Shot(path=path, joints_px=joints, visible=visible[frame, view] > 0)


def _seed_folder(folder: Path, seed: int) -> Path:
    return folder / f"seed-{seed:06d}"
