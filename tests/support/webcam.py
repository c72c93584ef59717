"""A webcam behind the ioctl boundary: it answers as the kernel's video interface would."""

import errno
import os
import time
from dataclasses import dataclass, field

from capture.sources import v4l2_api as api

SIZE = (64, 48)


@dataclass
class SimulatedCamera:
    """A camera as the kernel shows it: pictures wait in `sent` until a queued buffer takes them."""

    pixelformats: tuple[str, ...] = ("YUYV", "MJPG")
    sent: list[tuple[int, bytes, int]] = field(default_factory=list)  # sequence, bytes, flags
    exposure_100us: int | None = 100
    failures: dict[int, int] = field(default_factory=dict)  # request: errno
    stamp_flags: int = api.CLOCK_MONOTONIC | api.STAMP_START_OF_EXPOSURE
    capabilities: int = api.CAPTURE_STREAMING
    driver: bytes = b"simulated"
    closed: bool = False
    format: int = 0
    queued: list[int] = field(default_factory=list)
    memory: list[bytearray] = field(default_factory=list)

    def ioctl(self, request: int, argument: api.Argument) -> None:
        if self.closed:
            raise ValueError("file descriptor cannot be a negative integer (-1)")
        if request in self.failures:
            raise OSError(self.failures[request], os.strerror(self.failures[request]))
        if isinstance(argument, api.Capability):
            argument.driver, argument.capabilities = self.driver, self.capabilities
        elif isinstance(argument, api.FormatDescription):
            if argument.index >= len(self.pixelformats):
                raise OSError(errno.EINVAL, "end")
            argument.pixelformat = api.fourcc(self.pixelformats[argument.index])
        elif isinstance(argument, api.FrameSize):
            if argument.index >= 2:
                raise OSError(errno.EINVAL, "end")
            argument.type = api.DISCRETE
            argument.width, argument.height = [SIZE, (32, 24)][argument.index]
        elif isinstance(argument, api.Format):
            pix = argument.body.pix
            if api.letters(pix.pixelformat) not in self.pixelformats:
                pix.pixelformat = api.fourcc(self.pixelformats[0])
            pix.width, pix.height = SIZE
            is_yuyv = pix.pixelformat == api.fourcc("YUYV")
            pix.bytesperline = SIZE[0] * 2 + 16 if is_yuyv else 0
            self.format = pix.pixelformat
        elif isinstance(argument, api.StreamParameters):
            argument.numerator, argument.denominator = 1, 25
        elif isinstance(argument, api.BufferRequest):
            argument.count = 3
            self.memory = [bytearray(1 << 16) for _ in range(3)]
        elif isinstance(argument, api.Control):
            if self.exposure_100us is None:
                raise OSError(errno.EINVAL, "no such control")
            argument.value = self.exposure_100us
        elif isinstance(argument, api.Buffer):
            self._buffer(request, argument)

    def _buffer(self, request: int, buffer: api.Buffer) -> None:
        if request == api.QUERYBUF:
            buffer.length, buffer.offset = 1 << 16, buffer.index << 16
        elif request == api.QBUF:
            assert buffer.index not in self.queued, "a buffer was given back twice"
            self.queued.append(buffer.index)
        elif request == api.DQBUF:
            if not self.sent or not self.queued:
                raise BlockingIOError(errno.EAGAIN, "nothing yet")
            sequence, data, flags = self.sent.pop(0)
            buffer.index = self.queued.pop(0)
            self.memory[buffer.index][: len(data)] = data
            buffer.bytesused, buffer.sequence = len(data), sequence
            buffer.flags = flags | self.stamp_flags
            buffer.seconds, buffer.microseconds = 1000 + sequence, 500_000

    def map(self, length: int, offset: int) -> "SimulatedMemory":
        return SimulatedMemory(self, offset >> 16)

    def wait(self, timeout_s: float) -> bool:
        if api.DQBUF in self.failures or self.sent:
            return True
        time.sleep(min(timeout_s, 0.01))
        return False

    def close(self) -> None:
        self.closed = True


@dataclass
class SimulatedMemory:
    camera: SimulatedCamera
    index: int

    def __getitem__(self, part: slice, /) -> bytes:
        return bytes(self.camera.memory[self.index][part])

    def close(self) -> None:
        pass
