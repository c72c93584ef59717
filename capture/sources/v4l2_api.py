"""The part of Linux's video interface that a camera needs: structs, request numbers, a device.

Sizes and offsets are the kernel's on 64-bit Linux (x86_64, aarch64); tests hold them.
"""

import ctypes
import fcntl
import mmap
import os
import select
from ctypes import c_char, c_int32, c_long, c_uint8, c_uint32, c_ulong, c_void_p
from pathlib import Path
from typing import Protocol, runtime_checkable

BUFFER_ERROR = 0x40
CAPTURE_STREAMING = 0x04000001  # a capture device that can stream
CLOCK_MASK, CLOCK_MONOTONIC = 0xE000, 0x2000
STAMP_MASK, STAMP_START_OF_EXPOSURE = 0x70000, 0x10000
VIDEO_CAPTURE = 1  # buffer type
MEMORY_MAPPED = 1
DISCRETE = 1  # frame sizes are a list, not a range
EXPOSURE_TIME = 0x009A0902  # control, in units of 100 us
DEVICE_CAPS = 0x80000000


def fourcc(text: str) -> int:
    """The number that V4L2 uses for a pixel format of four letters, such as MJPG."""
    return int.from_bytes(text.encode(), "little")


def letters(number: int) -> str:
    """The four letters of V4L2's number of a pixel format, without spaces at the ends."""
    return number.to_bytes(4, "little").decode("latin-1").strip()


class Capability(ctypes.Structure):
    _fields_ = [
        ("driver", c_char * 16),
        ("card", c_char * 32),
        ("bus", c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class FormatDescription(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_uint8 * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class FrameSize(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("type", c_uint32),
        ("width", c_uint32),  # discrete; of a range: least width, most width, step, heights alike
        ("height", c_uint32),
        ("rest", c_uint32 * 4),
        ("reserved", c_uint32 * 2),
    ]


class PixelFormat(ctypes.Structure):
    _fields_ = [
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
        ("rest", c_uint32 * 6),
    ]


class _FormatBody(ctypes.Union):
    _fields_ = [("pix", PixelFormat), ("raw", c_uint8 * 200), ("pointer", c_void_p)]


class Format(ctypes.Structure):
    _fields_ = [("type", c_uint32), ("body", _FormatBody)]


class StreamParameters(ctypes.Structure):
    _fields_ = [
        ("type", c_uint32),
        ("capability", c_uint32),
        ("capturemode", c_uint32),
        ("numerator", c_uint32),  # seconds per frame
        ("denominator", c_uint32),
        ("rest", c_uint32 * 46),
    ]


class BufferRequest(ctypes.Structure):
    _fields_ = [
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("reserved", c_uint32),
    ]


class Buffer(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("seconds", c_long),
        ("microseconds", c_long),
        ("timecode", c_uint8 * 16),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("offset", c_ulong),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    ]


class Control(ctypes.Structure):
    _fields_ = [("id", c_uint32), ("value", c_int32)]


def _request(direction: int, number: int, struct: type) -> int:
    return direction << 30 | ctypes.sizeof(struct) << 16 | ord("V") << 8 | number


_WRITE, _READ = 1, 2
QUERYCAP = _request(_READ, 0, Capability)
ENUM_FMT = _request(_READ | _WRITE, 2, FormatDescription)
S_FMT = _request(_READ | _WRITE, 5, Format)
REQBUFS = _request(_READ | _WRITE, 8, BufferRequest)
QUERYBUF = _request(_READ | _WRITE, 9, Buffer)
QBUF = _request(_READ | _WRITE, 15, Buffer)
DQBUF = _request(_READ | _WRITE, 17, Buffer)
STREAMON = _request(_WRITE, 18, c_int32)
STREAMOFF = _request(_WRITE, 19, c_int32)
S_PARM = _request(_READ | _WRITE, 22, StreamParameters)
G_CTRL = _request(_READ | _WRITE, 27, Control)
ENUM_FRAMESIZES = _request(_READ | _WRITE, 74, FrameSize)

Argument = ctypes.Structure | c_int32


@runtime_checkable
class Mapped(Protocol):
    """A buffer shared with the driver."""

    def __getitem__(self, part: slice, /) -> bytes: ...

    def close(self) -> None:
        """Unmap the buffer from this process."""
        ...


@runtime_checkable
class Device(Protocol):
    """What capture needs of an open device, so that a camera can be simulated at this boundary."""

    def ioctl(self, request: int, argument: Argument) -> None:
        """Send one request to the driver; the answer is written into `argument`. OSError if it
        fails.
        """
        ...

    def map(self, length: int, offset: int) -> Mapped:
        """The driver's buffer at that offset, of `length` bytes. OSError if it fails."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Block until a picture or an error can be fetched, `timeout_s` at most; whether there is
        one. It fetches nothing.
        """
        ...

    def close(self) -> None:
        """Close the device."""
        ...


class KernelDevice:
    """A device file, opened without blocking; every failure is an OSError."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def ioctl(self, request: int, argument: Argument) -> None:
        """Send one request; the kernel writes its answer into `argument`. OSError if it fails,
        BlockingIOError where no picture is ready; ValueError after `close`.
        """
        fcntl.ioctl(self._fd, request, argument, True)

    def map(self, length: int, offset: int) -> Mapped:
        """A buffer of the driver, `length` bytes at `offset`, as read-only memory of this process,
        which the caller closes. OSError if the driver refuses.
        """
        return mmap.mmap(self._fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)

    def wait(self, timeout_s: float) -> bool:
        """Block until a picture or an error can be fetched, `timeout_s` at most (below 0 is 0);
        whether there is one. It fetches nothing.
        """
        return bool(self._poll.poll(max(0.0, timeout_s) * 1e3))

    def close(self) -> None:
        """Close the device; a second time does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
