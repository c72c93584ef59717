"""A V4L2 (USB, CSI) camera through memory-mapped buffers: MJPG passed on, YUYV encoded here.

The moment of exposure is from the driver's buffer stamp, not from the arrival, and every picture
that was lost by driver, bus or this process is counted.
"""

import ctypes
import logging
import time
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from capture.sources import v4l2_api as api
from capture.sources.mjpeg import whole_jpeg
from capture.sources.source import Exposure, Pace, SourceConfig, SourceLost
from capture.sources.v4l2_query import formats, is_camera, refusal
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

_JPEGS = (api.fourcc("MJPG"), api.fourcc("JPEG"))
_YUYV = api.fourcc("YUYV")
_BUFFERS = 4  # of the driver; a guess, not measured
_DEFAULT_SIZE = (1280, 720)
_DEFAULT_FPS = 30.0
_SILENT_S = 5.0  # a camera without a frame for so long is dead; a guess, not measured
_BUS_NS = 1_000_000  # error of a USB clock; a guess, not measured
_SEQUENCE = 1 << 32
_PLAUSIBLE_GAP = 100_000  # of the driver's frame number; a guess, not measured
_HARDWARE_CLOCK = Path("/sys/module/uvcvideo/parameters/hwtimestamps")


def open_device(uri: str, config: SourceConfig) -> "V4l2Camera":
    """Open the camera at `v4l2:/dev/...` and start its stream, at 1280x720 and 30 Hz where `config`
    does not say; the camera may choose another size or rate. Refusal if it cannot be opened or
    started, is no camera, or sends neither MJPG nor YUYV.
    """
    path = Path(uri.removeprefix("v4l2:"))
    try:
        device = api.KernelDevice(path)
    except OSError as error:
        raise refusal(path, error) from error
    return V4l2Camera(device, path, config)


class V4l2Camera:
    """One streaming camera; reading gives the newest whole picture."""

    pace: Pace = "live"

    def __init__(self, device: api.Device, path: Path, config: SourceConfig) -> None:
        self._device, self._path = device, path
        self._quality = config.jpeg_quality
        self._buffers: list[api.Mapped] = []
        self._sequence: int | None = None
        self._discarded = 0
        self._exposure_ns: int | None = None
        self._exposure_known_s: float | None = (
            0.0  # when it was last read; None: there is no such control
        )
        try:
            self._driver = self._require_capture()
            self._set_format(config.size or _DEFAULT_SIZE)
            self.fps = self._set_rate(config.fps or _DEFAULT_FPS)
            self._start()
        except (OSError, Refusal) as error:
            self.close()
            raise refusal(path, error) if isinstance(error, OSError) else error from error
        self._last_picture_s = time.monotonic()

    def read(self, timeout_s: float) -> Exposure | None:
        """The newest whole picture as JPEG; older and broken ones are left out and counted in
        `missed`. `raw_ns` is the middle of its exposure, on CLOCK_MONOTONIC. Blocks `timeout_s` at
        most, then None. SourceLost when the device fails, or gives no whole picture for 5 s.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            try:
                buffer = self._newest(max(0.0, left_s))
                picture = None if buffer is None else self._take(buffer)
            except OSError as error:
                raise SourceLost(f"{self._path} stopped ({error.strerror})") from error
            if buffer is not None and picture is not None:
                self._last_picture_s = time.monotonic()
                return self._exposure(buffer, picture)
            if time.monotonic() - self._last_picture_s > _SILENT_S:
                raise SourceLost(f"{self._path} gave no whole picture for {_SILENT_S:.0f} s")
            if left_s <= 0:
                return None

    def close(self) -> None:
        """Stop the stream, unmap the buffers and close the device; nothing if it is closed.

        A device that does not stop is only logged.
        """
        try:
            self._device.ioctl(api.STREAMOFF, ctypes.c_int32(api.VIDEO_CAPTURE))
        except (OSError, ValueError) as error:  # ValueError: closed before
            log.debug("the camera did not stop", extra={"path": self._path, "error": str(error)})
        for buffer in self._buffers:
            buffer.close()
        self._buffers = []
        self._device.close()

    def _require_capture(self) -> str:
        capability = api.Capability()
        self._device.ioctl(api.QUERYCAP, capability)
        if not is_camera(capability):
            raise Refusal(
                f"{self._path} is a video device but no camera: `cvsf cameras` lists the cameras."
            )
        return bytes(capability.driver).decode(errors="replace")

    def _set_format(self, size: tuple[int, int]) -> None:
        offered = [pixelformat for pixelformat, _ in formats(self._device, sizes=False)]
        wanted = next((f for f in (*_JPEGS, _YUYV) if f in offered), _JPEGS[0])
        answer = api.Format(type=api.VIDEO_CAPTURE)
        answer.body.pix.width, answer.body.pix.height = size
        answer.body.pix.pixelformat = wanted
        self._device.ioctl(api.S_FMT, answer)
        pix = answer.body.pix
        if pix.pixelformat not in (*_JPEGS, _YUYV):
            raise Refusal(
                f"{self._path} sends {api.letters(pix.pixelformat)}: expected a camera that can"
                " send MJPG or YUYV."
            )
        self._pixelformat, self._stride = pix.pixelformat, pix.bytesperline
        self.width_px, self.height_px = int(pix.width), int(pix.height)
        if (self.width_px, self.height_px) != size:
            log.info(
                "the camera gives another size than requested",
                extra={"path": self._path, "wanted": size, "got": (pix.width, pix.height)},
            )

    def _set_rate(self, fps: float) -> float:
        answer = api.StreamParameters(type=api.VIDEO_CAPTURE)
        answer.numerator, answer.denominator = 1000, round(fps * 1000)
        try:
            self._device.ioctl(api.S_PARM, answer)
        except OSError:  # a device with one rate may lack the request
            return fps
        return answer.denominator / answer.numerator if answer.numerator else fps

    def _start(self) -> None:
        request = api.BufferRequest(
            count=_BUFFERS, type=api.VIDEO_CAPTURE, memory=api.MEMORY_MAPPED
        )
        self._device.ioctl(api.REQBUFS, request)
        for index in range(request.count):
            buffer = self._buffer(index)
            self._device.ioctl(api.QUERYBUF, buffer)
            self._buffers.append(self._device.map(buffer.length, buffer.offset))
            self._device.ioctl(api.QBUF, buffer)
        self._device.ioctl(api.STREAMON, ctypes.c_int32(api.VIDEO_CAPTURE))

    def _buffer(self, index: int = 0) -> api.Buffer:
        return api.Buffer(index=index, type=api.VIDEO_CAPTURE, memory=api.MEMORY_MAPPED)

    def _newest(self, timeout_s: float) -> api.Buffer | None:
        """The last filled buffer; older ones go back unread, counted."""
        newest = self._fetch() if self._device.wait(timeout_s) else None
        for _ in self._buffers:
            if newest is None or not self._device.wait(0.0) or (later := self._fetch()) is None:
                break
            self._device.ioctl(api.QBUF, newest)
            self._discarded += 1
            newest = later
        return newest

    def _fetch(self) -> api.Buffer | None:
        buffer = self._buffer()
        try:
            self._device.ioctl(api.DQBUF, buffer)
        except BlockingIOError:
            return None
        return buffer

    def _take(self, buffer: api.Buffer) -> bytes | None:
        """The buffer's picture as JPEG; None, and counted, when it did not arrive whole."""
        data = bytes(self._buffers[buffer.index][: buffer.bytesused])
        stamp_parts = (buffer.seconds, buffer.microseconds, buffer.sequence, buffer.flags)
        self._device.ioctl(api.QBUF, buffer)
        buffer.seconds, buffer.microseconds, buffer.sequence, buffer.flags = stamp_parts
        picture = None
        if not buffer.flags & api.BUFFER_ERROR:
            is_yuyv = self._pixelformat == _YUYV
            picture = self._encoded(data) if is_yuyv else self._passed_on(data)
        if picture is None:
            self._discarded += 1
        return picture

    def _passed_on(self, data: bytes) -> bytes | None:
        jpeg = whole_jpeg(data)
        if jpeg is None:
            return None
        try:
            height_px, width_px, *_ = simplejpeg.decode_jpeg_header(jpeg)
        except ValueError:
            return None
        return jpeg if (width_px, height_px) == (self.width_px, self.height_px) else None

    def _encoded(self, data: bytes) -> bytes | None:
        stride = self._stride or self.width_px * 2
        if len(data) < stride * self.height_px:
            return None
        rows = np.frombuffer(data, np.uint8, stride * self.height_px).reshape(
            self.height_px, stride
        )
        yuyv = rows[:, : self.width_px * 2].reshape(self.height_px, self.width_px, 2)
        picture = cv2.cvtColor(np.ascontiguousarray(yuyv), cv2.COLOR_YUV2BGR_YUY2)
        return bytes(
            simplejpeg.encode_jpeg(
                picture, quality=self._quality, colorspace="BGR", colorsubsampling="420"
            )
        )

    def _exposure(self, buffer: api.Buffer, jpeg: bytes) -> Exposure:
        raw_ns, uncertainty_ns, stamp = self._moment(buffer)
        return Exposure(
            jpeg=jpeg,
            width_px=self.width_px,
            height_px=self.height_px,
            raw_ns=raw_ns,
            uncertainty_ns=uncertainty_ns,
            stamp=stamp,
            missed=self._missed(buffer.sequence),
        )

    def _missed(self, sequence: int) -> int:
        """Pictures lost since the last: by the driver's numbers, by our count if it has none."""
        gap = 0 if self._sequence is None else (sequence - self._sequence - 1) % _SEQUENCE
        missed = max(gap, self._discarded) if gap < _PLAUSIBLE_GAP else self._discarded
        self._sequence, self._discarded = sequence, 0
        return missed

    def _moment(self, buffer: api.Buffer) -> tuple[int, int, str]:
        """Middle of the exposure, half width of its error, and how it was obtained."""
        period_ns = round(1e9 / self.fps)
        stamp_ns = buffer.seconds * 1_000_000_000 + buffer.microseconds * 1_000
        if buffer.flags & api.CLOCK_MASK != api.CLOCK_MONOTONIC or stamp_ns == 0:
            return time.monotonic_ns() - period_ns, period_ns, "arrival"
        exposure_ns = self._exposure_time_ns()
        if buffer.flags & api.STAMP_MASK != api.STAMP_START_OF_EXPOSURE:  # end of the readout
            half_ns = period_ns // 2 if exposure_ns is not None else period_ns * 3 // 4
            return stamp_ns - half_ns - (exposure_ns or 0) // 2, half_ns, "kernel"
        if exposure_ns is None:
            return stamp_ns + period_ns // 4, period_ns // 4 + _BUS_NS, "kernel"
        if _stamps_by_hardware(self._driver):
            return stamp_ns + exposure_ns // 2, _BUS_NS, "sensor"
        # uvcvideo then stamps the first data that arrived and still calls it the start of exposure
        return stamp_ns + exposure_ns // 2, exposure_ns + _BUS_NS, "kernel"

    def _exposure_time_ns(self) -> int | None:
        """The exposure time, read once a second as it costs a transfer on the bus."""
        read_s = self._exposure_known_s
        if read_s is None or time.monotonic() - read_s < 1.0:
            return self._exposure_ns
        control = api.Control(id=api.EXPOSURE_TIME)
        try:
            self._device.ioctl(api.G_CTRL, control)
        except OSError:
            self._exposure_known_s = None
            return None
        self._exposure_known_s = time.monotonic()
        self._exposure_ns = control.value * 100_000 if control.value > 0 else None
        return self._exposure_ns


def _stamps_by_hardware(driver: str) -> bool:
    if driver != "uvcvideo":
        return True
    try:
        return _HARDWARE_CLOCK.read_text().strip() in ("1", "Y")
    except OSError:
        return False
