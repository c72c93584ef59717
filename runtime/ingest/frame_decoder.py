"""The frames of an instant that can be used, and their pixels.

A frame that is left out is counted by camera and reason; it is recorded nevertheless.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import simplejpeg

from cvsf.messages import Frame
from cvsf.shapes import UInt8

Picture = npt.NDArray[np.uint8]

_FROZEN_NS = 500_000_000
"""A camera whose picture stays the same for longer is frozen; a guess, not measured."""
_LATEST_NS = 1 << 63
"""Times are signed 64 bit numbers on disk."""


class FrameDecoder:
    """Decodes pictures; detects frozen cameras by the checksum of each camera's last picture."""

    def __init__(self, max_uncertainty_ms: float) -> None:
        self._max_uncertainty_ns = max_uncertainty_ms * 1e6
        self._last: dict[str, tuple[int, int]] = {}  # camera: checksum, since when
        self.left_out: Counter[str] = Counter()

    def usable(self, frames: Mapping[str, Frame]) -> dict[str, Frame]:
        """The frames that can be used, in the order of their cameras' names.

        Left out, and counted in `left_out`, are frames of a frozen camera (the same checksum for
        more than 0.5 s, by the frames' own times) and frames whose time has too large an
        uncertainty. Nothing is decoded here. Call it once for each instant, in order of time.
        """
        return {c: f for c, f in sorted(frames.items()) if self._is_usable(f)}

    def decode(self, frames: Mapping[str, Frame]) -> dict[str, UInt8[Picture, "_ _ 3"]]:
        """BGR pixels (8 bits, height x width x 3) of every picture that decodes, by camera.

        A broken picture is missing in the result and counted in `left_out`; nothing is raised for
        it. Sizes were checked on receipt.
        """
        pixels = {}
        for camera, frame in frames.items():
            try:
                pixels[camera] = simplejpeg.decode_jpeg(frame.jpeg, "BGR")
            except ValueError:
                self.left_out[f"{camera}: broken picture"] += 1
        return pixels

    def _is_usable(self, frame: Frame) -> bool:
        checksum, since_ns = self._last.get(frame.camera, (None, 0))
        if frame.crc32 != checksum:
            self._last[frame.camera] = (frame.crc32, frame.t_ns)
        elif frame.t_ns - since_ns > _FROZEN_NS:
            self.left_out[f"{frame.camera}: frozen"] += 1
            return False
        if frame.uncertainty_ns > self._max_uncertainty_ns:
            self.left_out[f"{frame.camera}: moment not known"] += 1
            return False
        return True


def reason_to_refuse(frame: Frame, size_px: tuple[int, int]) -> str | None:
    """Why a frame must be refused; None if it may be decoded.

    Tested are its time, its checksum, its size against `size_px` (width, height) both in the
    message and in the JPEG's header, and that it is a JPEG. No pixel is decoded.
    """
    if not 0 <= frame.t_ns < _LATEST_NS:
        return "impossible time"
    if not frame.intact():
        return "damaged picture"
    if (frame.width_px, frame.height_px) != size_px:
        return "wrong size"
    if frame.jpeg[:2] != b"\xff\xd8":
        return "not a JPEG"
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(frame.jpeg)
    except ValueError:
        return "not a JPEG"
    return None if (width, height) == size_px else "wrong size"
