"""From pictures to the input of a network (letterbox, crop), and from its pixels back.

Coordinates are continuous: (0, 0) is the corner of the first pixel, whose centre is (0.5, 0.5).
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvsf.shapes import Float, Picture, Real, Shaped, UInt8
from runtime.detection.bundle import NetworkManifest
from runtime.detection.network import Batch


@dataclass(frozen=True, slots=True)
class Fit:
    """The map from picture to input, per axis: input = scale * picture + shift."""

    scale: Float[Real, "2"]
    shift: Float[Real, "2"]

    def to_picture(self, input_px: Shaped[npt.NDArray[Any], "... 2"]) -> Float[Real, "... 2"]:
        """Points in px of the picture, from points in px of the network's input.

        Points outside of the input are allowed; nothing is clipped.
        """
        return np.asarray((input_px - self.shift) / self.scale)


def letterbox(
    picture: UInt8[Picture, "h w 3"], manifest: NetworkManifest, into: Shaped[Batch, "a b c"]
) -> Fit:
    """Write a BGR picture, scaled to fit with its aspect, to `into`, one item of a batch.

    `into` is changed in place; its axes are those of the manifest's layout. The rest of it is
    filled with the manifest's pad value; colours and range become those of the network. Returns the
    map from picture to input. The picture stays unchanged.
    """
    width, height = manifest.size_px
    high, wide = picture.shape[:2]
    scale = min(width / wide, height / high)
    inner = (max(1, round(wide * scale)), max(1, round(high * scale)))
    left, top = 0, 0
    if manifest.letterbox == "centred":
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = _resized(picture, inner)
    if inner != (width, height):
        canvas = _padded(canvas, left, top, (width, height), manifest.pad)
    _normalise(canvas, manifest, into)
    shares = np.array([inner[0] / wide, inner[1] / high])
    return Fit(shares, np.array([left, top], np.float64))


def crop(
    picture: UInt8[Picture, "h w 3"],
    box_px: Float[Real, "4"],
    manifest: NetworkManifest,
    into: Shaped[Batch, "a b c"],
) -> Fit:
    """Write the crop of a BGR picture around a box to `into`, one item of a batch.

    The box is x0, y0, x1, y1 in px of the picture; it is widened to the input's aspect and by the
    manifest's margin, about its centre. What is outside of the picture gets the pad value. `into`
    is changed in place; picture and box stay unchanged. Returns the map from picture to input.
    """
    left, top, wide, high = _crop_rectangle(box_px, manifest)
    if (
        left >= 0
        and top >= 0
        and left + wide <= picture.shape[1]
        and top + high <= picture.shape[0]
    ):
        resized = _resized(picture[top : top + high, left : left + wide], manifest.size_px)
    else:
        resized = _warped(picture, (left, top, wide, high), manifest)
    _normalise(resized, manifest, into)
    scale = np.array([manifest.size_px[0] / wide, manifest.size_px[1] / high])
    return Fit(scale, -scale * (left, top))


def _crop_rectangle(box_px: Real, manifest: NetworkManifest) -> tuple[int, int, int, int]:
    """Left, top, width and height of the crop, in whole pixels, so that it is a slice."""
    width, height = manifest.size_px
    x0, y0, x1, y1 = box_px.tolist()
    per_input_px = max((x1 - x0) / width, (y1 - y0) / height, 1.0 / width, 1.0 / height)
    wide = max(2, round(manifest.crop_margin * per_input_px * width))
    high = max(2, round(manifest.crop_margin * per_input_px * height))
    return round((x0 + x1 - wide) / 2), round((y0 + y1 - high) / 2), wide, high


def _resized(part: Picture, size_px: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(part, size_px, interpolation=cv2.INTER_LINEAR), np.uint8)


def _warped(
    picture: Picture, part: tuple[int, int, int, int], manifest: NetworkManifest
) -> Picture:
    """The resized crop of a part that leaves the picture, with OpenCV's pixel centres."""
    left, top, wide, high = part
    across, down = wide / manifest.size_px[0], high / manifest.size_px[1]
    picture_from_input = np.array(
        [[across, 0, left + across / 2 - 0.5], [0, down, top + down / 2 - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = (manifest.pad,) * 3
    warped = cv2.warpAffine(
        picture, picture_from_input, manifest.size_px, flags=flags, borderValue=border
    )
    return np.asarray(warped, np.uint8)


def _padded(part: Picture, left: int, top: int, size_px: tuple[int, int], pad: int) -> Picture:
    high, wide = part.shape[:2]
    canvas = np.full((size_px[1], size_px[0], 3), pad, np.uint8)
    canvas[top : top + high, left : left + wide] = part
    return canvas


def _normalise(picture: Picture, manifest: NetworkManifest, into: Batch) -> None:
    """Pixels in the network's colour order, layout and range."""
    if manifest.colour == "GREY":
        planes = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)]
    elif manifest.is_raw and manifest.layout == "NHWC" and manifest.dtype == "uint8":
        if manifest.colour == "RGB":
            cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=into)
        else:
            into[:] = picture
        return
    else:
        planes = list(cv2.split(picture))
        if manifest.colour == "RGB":
            planes.reverse()
    for k, plane in enumerate(planes):
        target = into[:, :, k] if manifest.layout == "NHWC" else into[k]
        if manifest.is_raw:
            target[:] = plane
            continue
        std = np.float32(manifest.std[k % len(manifest.std)])
        mean = np.float32(manifest.mean[k % len(manifest.mean)])
        np.multiply(plane, np.float32(1) / std, out=target)
        if mean:
            target -= mean / std
