"""A camera's sender and a hub's receiver with nothing around them."""

import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import simplejpeg

from cvsf.messages import Frame
from runtime.ingest.camera_connection import Link, OnDisk
from tests.support.receivers import make_receiver

WIDTH, HEIGHT = 64, 48


PICTURE = simplejpeg.encode_jpeg(
    np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), quality=80
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def frame(seq: int, jpeg: bytes = PICTURE, **changes: object) -> Frame:
    fields: dict[str, object] = {
        "camera": "cam0",
        "boot_id": "boot",
        "seq": seq,
        "t_ns": seq * 1000,
        "raw_ns": seq * 1000,
        "offset_ns": 0,
        "uncertainty_ns": 10,
        "sync_epoch": 0,
        "stamp": "simulated",
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "crc32": zlib.crc32(jpeg),
        "jpeg": jpeg,
    }
    return Frame(**(fields | changes))  # type: ignore[arg-type]  # made from one literal above


def identity(pace: str = "live", boot_id: str = "boot") -> dict[str, object]:
    return {
        "camera": "cam0",
        "boot_id": boot_id,
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "fps": 30.0,
        "pace": pace,
        "in_step": False,
    }


class Hub:
    """A receiver that puts on disk at once, or when told to."""

    def __init__(
        self,
        port: int,
        *,
        durable: bool = True,
        resume: dict[tuple[str, str], OnDisk] | None = None,
    ):
        self.frames: list[Frame] = []
        self.durable = durable
        self.receiver = make_receiver(self._take, port=port)
        self.receiver.resume = resume or {}
        self.receiver.start()

    def _take(self, taken: Frame, link: Link) -> bool:
        self.frames.append(taken)
        if self.durable:
            link.store(taken.seq)
        return True

    @property
    def link(self) -> Link:
        return self.receiver.links["cam0"]


@contextmanager
def running(port: int, *, durable: bool = True) -> Iterator[Hub]:
    hub = Hub(port, durable=durable)
    try:
        yield hub
    finally:
        hub.receiver.close()
