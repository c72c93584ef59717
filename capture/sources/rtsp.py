"""A network camera over RTSP: a thread decodes, only the newest picture is kept.

PyAV is loaded when a stream is opened, so that a node without it still runs every other camera. The
moment of exposure is the camera's own clock (RTCP) while that is plausible, else the arrival.
"""

import importlib.util
import logging
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import simplejpeg

from capture.sources.source import Exposure, Found, Pace, SourceConfig, SourceLost
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

_PORT = 554
_REACH_S, _OPEN_S, _SILENT_S = 2.0, 4.5, 5.0
"""Time limits to connect, to open and between frames; guesses, not measured."""
_ARRIVAL_NS = 250_000_000  # network, decoder and camera buffers are unknown; a guess, not measured
_RTCP_NS = 20_000_000  # error of a camera's NTP; a guess, not measured
_OLDEST_S, _DRIFT_S = 5.0, 0.5
"""A sender's clock with a larger error is an outlier; guesses, not measured."""
_OPTIONS = {
    "rtsp_transport": "tcp",
    "fflags": "nobuffer",
    "flags": "low_delay",
    "max_delay": "0",
    "reorder_queue_size": "0",
}


def find(url: str) -> list[Found]:
    """The camera at an rtsp:// address, without a name, if a TCP connection to it succeeds within 2
    s; the stream is not opened. Refusal if none does, the address is invalid, or PyAV is missing.
    """
    _require_av()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise Refusal(f"{url!r} is no address ({error}): expected rtsp://host:554/path.") from error
    if not host:
        raise Refusal(f"{url!r} names no host: expected rtsp://host:554/path.")
    try:
        socket.create_connection((host, port), timeout=_REACH_S).close()
    except OSError as error:
        raise Refusal(
            f"no camera answers at {host}:{port} ({error.strerror or error}): check its power, its"
            " network and the address."
        ) from error
    return [Found(uri=url)]


def open_stream(uri: str, config: SourceConfig) -> "RtspCamera":
    """Open the stream at an rtsp:// address; blocks until its first picture, 4.5 s at most. A
    thread then decodes until it is closed. Refusal if PyAV is missing or no picture came.
    """
    _require_av()
    return RtspCamera(uri, config)


def _require_av() -> None:
    if importlib.util.find_spec("av") is None:
        raise Refusal("RTSP cameras need av, which is not installed; run: pip install '.[rtsp]'")


@dataclass(slots=True)
class _Newest:
    """What the thread hands over: the last picture, how many it replaced, and how it ended."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    picture: Any = None  # av.VideoFrame
    moment: tuple[int, int, str] = (0, 0, "arrival")
    replaced: int = 0
    fps: float = 0.0
    failure: str = ""


class RtspCamera:
    """One stream; reading gives the newest picture."""

    pace: Pace = "live"

    def __init__(
        self, url: str, config: SourceConfig, options: dict[str, str] | None = None
    ) -> None:
        self._url, self._quality = url, config.jpeg_quality
        self._options = _OPTIONS | (options or {})
        self._newest = _Newest()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._decode, name="rtsp", daemon=True)
        self._thread.start()
        with self._newest.changed:
            self._newest.changed.wait_for(self._has_news, _OPEN_S)
            if self._newest.picture is None:
                self._stop.set()
                reason = self._newest.failure or f"no picture within {_OPEN_S:.0f} s"
                raise Refusal(
                    f"{shown(url)} gives no video ({reason}): check the address, its user and"
                    " password, and that another program can play it."
                )
            self.width_px = int(self._newest.picture.width)
            self.height_px = int(self._newest.picture.height)
            self.fps = self._newest.fps
        self._last_picture_s = time.monotonic()

    def read(self, timeout_s: float) -> Exposure | None:
        """The newest picture that was not read before, as JPEG; those it replaced are counted in
        `missed`. `raw_ns` is its moment on CLOCK_MONOTONIC, by the sender's clock or, less exactly,
        of its arrival. Blocks `timeout_s` at most, then None. SourceLost when the stream broke and
        no picture is left, or when nothing came for 5 s.
        """
        newest = self._newest
        with newest.changed:
            newest.changed.wait_for(self._has_news, timeout_s)
            picture, newest.picture = newest.picture, None
            missed, moment = newest.replaced, newest.moment
            failure = newest.failure
            if picture is not None:
                newest.replaced = 0
        if picture is None:
            silent = time.monotonic() - self._last_picture_s > _SILENT_S
            if failure or silent:
                raise SourceLost(f"{shown(self._url)} stopped ({failure or 'nothing came'})")
            return None
        self._last_picture_s = time.monotonic()
        return self._exposure(picture, moment, missed)

    def close(self) -> None:
        """Ask the thread to end, and wait 1 s for it at most; it ends with its next packet or its
        timeout.
        """
        self._stop.set()
        self._thread.join(timeout=1.0)

    def _has_news(self) -> bool:
        return self._newest.picture is not None or bool(self._newest.failure)

    def _exposure(self, picture: Any, moment: tuple[int, int, str], missed: int) -> Exposure:
        raw_ns, uncertainty_ns, stamp = moment
        jpeg = simplejpeg.encode_jpeg(
            picture.to_ndarray(format="bgr24"),
            quality=self._quality,
            colorspace="BGR",
            colorsubsampling="420",
        )
        return Exposure(
            jpeg=bytes(jpeg),
            width_px=int(picture.width),
            height_px=int(picture.height),
            raw_ns=raw_ns,
            uncertainty_ns=uncertainty_ns,
            stamp=stamp,
            missed=missed,
        )

    def _decode(self) -> None:
        """The thread: open, decode, hand over the newest, until `close` or an error."""
        import av

        failure = "the stream ended"
        try:
            with av.open(self._url, options=self._options, timeout=(_OPEN_S, _SILENT_S)) as stream:
                video = next((s for s in stream.streams if s.type == "video"), None)
                if video is None:
                    raise ValueError("it has no video")
                video.thread_type = "SLICE"  # threads by frame would each hold one back
                clock = SenderClock()
                for picture in stream.decode(video):
                    realtime_us = getattr(stream, "start_time_realtime", None)
                    self._hand_over(picture, clock.moment(realtime_us, picture.time), video)
                    if self._stop.is_set():
                        return
        except (OSError, ValueError, av.FFmpegError) as error:
            failure = getattr(error, "strerror", None) or str(error)
        with self._newest.changed:
            self._newest.failure = failure
            self._newest.changed.notify_all()

    def _hand_over(self, picture: Any, moment: tuple[int, int, str], video: Any) -> None:
        newest = self._newest
        with newest.changed:
            newest.replaced += newest.picture is not None
            newest.picture, newest.moment = picture, moment
            newest.fps = float(video.average_rate or video.guessed_rate or 25)
            newest.changed.notify_all()


class SenderClock:
    """The moment of a picture by its sender's clock, as long as that runs like ours."""

    def __init__(self) -> None:
        self._first_lag_s: float | None = None
        self._is_plausible = True

    def moment(self, realtime_us: int | None, media_s: float | None) -> tuple[int, int, str]:
        """Moment of a picture on CLOCK_MONOTONIC (ns), half width of its error (ns), and its stamp.
        `realtime_us` is the sender's Unix time at media time 0, `media_s` the picture's media time.
        With both, "rtcp", while the lag is -0.02 to 5 s and within 0.5 s of the first one; at the
        first lag beyond that, "arrival" from then on. "arrival" is the time of this call, with an
        error of 250 ms.
        """
        now_ns = time.monotonic_ns()
        if realtime_us and media_s is not None and self._is_plausible:
            lag_s = time.time() - realtime_us / 1e6 - media_s
            if self._first_lag_s is None:
                self._first_lag_s = lag_s
            drift_s = abs(lag_s - self._first_lag_s)
            if -_RTCP_NS / 1e9 <= lag_s <= _OLDEST_S and drift_s <= _DRIFT_S:
                uncertainty_ns = _RTCP_NS + round(drift_s * 1e9)
                return now_ns - round(lag_s * 1e9), uncertainty_ns, "rtcp"
            self._is_plausible = False
            log.warning(
                "the camera's clock is implausible, arrival is used",
                extra={"lag_s": round(lag_s, 3), "drift_s": round(drift_s, 3)},
            )
        return now_ns, _ARRIVAL_NS, "arrival"


def shown(url: str) -> str:
    """The address with `***` in place of its password, for messages; unchanged if it has none."""
    parts = urlsplit(url)
    return url if parts.password is None else url.replace(f":{parts.password}@", ":***@", 1)
