"""A video file as a camera: its frames in step with the other files', or at their own rate.

In step nothing is lost and the trigger is the frame's index; at its own rate late frames are
dropped and counted.
"""

import glob
import logging
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 25))  # read when cv2 is loaded
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # errors of a file are reported here
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")

import cv2
import numpy as np
import simplejpeg

from capture.sources.pacing import reached
from capture.sources.source import Exposure, Found, Pace, SourceConfig, SourceEnded
from cvsf.shapes import Picture, UInt8
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

_QUALITY = 90  # the picture was compressed once before; this and below: guesses, not measured
_FALLBACK_FPS = 30.0  # of a file with an implausible rate
_MOST_PIXELS = 1 << 25
_LONGEST_STEP_NS = 1_000_000_000  # between two frames; a longer step is a wrong time stamp


def find(part: str) -> list[Found]:
    """The video files of a path, or of a pattern in order of name, each named by its file name
    without suffix. Each is opened and its first frame decoded. Refusal if no file matches, or one
    cannot be read as a video.
    """
    paths = (
        [part]
        if Path(part).expanduser().is_file()
        else sorted(
            glob.glob(str(Path(part).expanduser()))  # noqa: PTH207 - Path.glob knows no absolute pattern
        )
    )
    files = [
        Path(path).expanduser().resolve() for path in paths if Path(path).expanduser().is_file()
    ]
    if not files:
        raise Refusal(f"no file matches {part!r}: name video files that exist.")
    for file in files:
        VideoFile(file, SourceConfig()).close()
    return [Found(uri=f"file:{file}", name=file.stem) for file in files]


def open_video(uri: str, config: SourceConfig) -> "VideoFile":
    """Open the video file at `file:/...`, at its first frame: lossless, or live with
    `config.realtime`. Refusal if it is missing, empty, cut short or too large, or cannot be
    decoded.
    """
    return VideoFile(Path(uri.removeprefix("file:")), config)


class VideoFile:
    """One video file; the first frame is decoded at opening, so a bad file is refused there."""

    pace: Pace = "lossless"

    def __init__(self, path: Path, config: SourceConfig) -> None:
        self._path = path
        self._quality = max(_QUALITY, config.jpeg_quality)
        _require_whole(path)
        self._video = cv2.VideoCapture(str(path))
        read, picture = self._decoded() if self._video.isOpened() else (False, None)
        if not read or picture is None:
            self._video.release()
            raise Refusal(
                f"{path} cannot be read as a video: expected a file that OpenCV's FFmpeg decodes,"
                " such as an H.264 .mp4."
            )
        self.height_px, self.width_px = picture.shape[:2]
        if self.height_px * self.width_px > _MOST_PIXELS:
            self._video.release()
            raise Refusal(
                f"{path} has pictures of {self.width_px}x{self.height_px}: expected at most"
                f" {_MOST_PIXELS} pixels; make it smaller."
            )
        self.fps = _plausible_fps(self._video.get(cv2.CAP_PROP_FPS), path)
        self._promised = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT))
        self._period_ns = round(1e9 / self.fps)
        self._index, self._media_ns, self._clock_is_wrong = 0, 0, False
        self._is_grabbed = True  # the first frame is; a grabbed frame can be retrieved again
        self._start_ns: int | None = None
        self._late = 0
        if config.realtime:
            self.pace = "live"
            self._start_ns = config.start_ns or time.monotonic_ns()

    def read(self, timeout_s: float) -> Exposure | None:
        """The next frame, encoded again as JPEG; `raw_ns` is its media time (ns, 0 at the first
        frame), `trigger` its index from 0. At once when lossless. In real time it waits for the
        frame's moment, `timeout_s` at most, then None; frames more than a period late are left out
        and counted in `missed`. SourceEnded after the last frame, and where the size in px changes.
        """
        if not self._is_grabbed:
            self._grab()
        if self._start_ns is not None and not self._await_due(self._start_ns, timeout_s):
            return None
        read, picture = self._video.retrieve()
        if not read or picture.shape[:2] != (self.height_px, self.width_px):
            raise self._ended()
        self._is_grabbed = False
        late, self._late = self._late, 0
        return Exposure(
            jpeg=self._encoded(np.asarray(picture, np.uint8)),
            width_px=self.width_px,
            height_px=self.height_px,
            raw_ns=self._media_ns,
            uncertainty_ns=self._period_ns // 2,
            stamp="media",
            missed=late,
            trigger=self._index,
        )

    def close(self) -> None:
        """Close the video file."""
        self._video.release()

    def _decoded(self) -> tuple[bool, Any]:
        return self._video.retrieve() if self._video.grab() else (False, None)

    def _grab(self) -> None:
        """Grab the next frame and read its time stamp; SourceEnded after the last."""
        if not self._video.grab():
            raise self._ended()
        self._is_grabbed = True
        self._index += 1
        stamp_ns = round(self._video.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        if not self._clock_is_wrong and not 0 < stamp_ns - self._media_ns < _LONGEST_STEP_NS:
            self._clock_is_wrong = True
            log.info("the file's times do not run forward, its rate is used", extra=self._where())
        self._media_ns = self._media_ns + self._period_ns if self._clock_is_wrong else stamp_ns

    def _await_due(self, start_ns: int, timeout_s: float) -> bool:
        """Whether the next frame's moment came within the time; frames long past are skipped."""
        while time.monotonic_ns() - start_ns - self._media_ns > self._period_ns:
            self._late += 1
            self._grab()
        return reached(start_ns + self._media_ns, timeout_s)

    def _ended(self) -> SourceEnded:
        """The end; logged when it comes before the number of frames in the file's header."""
        if self._index + 1 < self._promised:
            log.warning("the file ends early", extra=self._where() | {"promised": self._promised})
        return SourceEnded(f"{self._path} ended after {self._index + 1} frames")

    def _where(self) -> dict[str, object]:
        return {"path": str(self._path), "frame": self._index}

    def _encoded(self, picture: UInt8[Picture, "H W 3"]) -> bytes:
        return bytes(
            simplejpeg.encode_jpeg(
                np.ascontiguousarray(picture),
                quality=self._quality,
                colorspace="BGR",
                colorsubsampling="420",
            )
        )


def _plausible_fps(fps: float, path: Path) -> float:
    if 1.0 <= fps <= 1000.0:
        return fps
    log.warning(
        "the file's rate is implausible",
        extra={"path": str(path), "stated": fps, "taken": _FALLBACK_FPS},
    )
    return _FALLBACK_FPS


def _require_whole(path: Path) -> None:
    """Refuse what is missing, empty, or an MP4 that was cut short: its boxes reach past its end."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(16)
            end = _boxes_end(file, size) if head[4:8] == b"ftyp" else size
    except OSError as error:
        raise Refusal(
            f"{path} cannot be read ({error.strerror}): name a readable video."
        ) from error
    if size == 0:
        raise Refusal(f"{path} is empty: expected a video file.")
    if end > size:
        raise Refusal(
            f"{path} is cut short: {size} bytes of at least {end}; copy or record it again."
        )


def _boxes_end(file: BinaryIO, size: int) -> int:
    """The end of the last box of an MP4 by its length; the file's size where it has none."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0 is "to the end"; less is no box, which the decoder reports
            return size
        position += length
    return max(position, size)
