"""A node whose camera does what a test wants; its wire and its hub are real."""

import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from capture.link.sender import Sender
from tests.support.material import make_frame

WIDTH, HEIGHT, FPS = 160, 120, 8.0


class FakeCamera:
    """A node in this process whose camera does what a test wants."""

    def __init__(self, camera: str, port: str, boot_id: str = "a") -> None:
        self.camera, self.boot_id, self.seq = camera, boot_id, -1
        self.sender = Sender(f"tcp://127.0.0.1:{port}", self.identity(), ring_mb=16, lossless=False)

    def identity(self) -> dict[str, object]:
        about = {"camera": self.camera, "boot_id": self.boot_id, "pace": "live", "in_step": False}
        return about | {"width_px": WIDTH, "height_px": HEIGHT, "fps": FPS}

    def shoot(self, jpeg: bytes, **changes: Any) -> None:
        """Take a picture now."""
        self.seq += 1
        now_ns = time.monotonic_ns()  # the hub's clock, for one that was started so
        fields = {"boot_id": self.boot_id, "width_px": WIDTH, "height_px": HEIGHT, "t_ns": now_ns}
        fields |= {"crc32": zlib.crc32(jpeg), "raw_ns": now_ns} | changes
        self.sender.put(make_frame(self.camera, self.seq, jpeg, **fields))

    def close(self) -> None:
        self.sender.close(ended=True, drain_s=3)


@contextmanager
def filming(camera: FakeCamera, pictures: Sequence[bytes]) -> Iterator[FakeCamera]:
    """The camera taking those pictures, again and again, until the block ends."""
    stop = threading.Event()

    def film() -> None:
        while not stop.wait(1 / FPS):
            camera.shoot(pictures[camera.seq % len(pictures)])

    thread = threading.Thread(target=film)
    thread.start()
    try:
        yield camera
    finally:
        stop.set()
        thread.join()
        camera.close()
