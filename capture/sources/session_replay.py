"""A recorded session as cameras: the frames of its instants, in the same order.

The recorded JPEGs are passed on untouched, with the times and the stamps they were recorded with.
"""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from capture.sources.pacing import reached
from capture.sources.source import Exposure, Found, Pace, SourceConfig, SourceEnded
from cvsf.messages import Frame
from cvsf.session.reader import SessionReader
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)


def find(path: Path) -> list[Found]:
    """The cameras of a recorded session, by name; `path` is its folder or its session.json. Refusal
    if there is no session.json, it cannot be read or is not sealed, or no frames were recorded.
    """
    folder = (path.parent if path.name == "session.json" else path).resolve()
    if not (folder / "session.json").is_file():
        raise Refusal(
            f"{folder} is no session: a session folder holds session.json; `cvsf sessions` lists"
            " the sessions there are."
        )
    reader = SessionReader(folder)
    if reader.manifest.frames == 0:
        raise Refusal(_no_pictures(folder))
    return [
        Found(uri=f"session:{folder}?camera={name}", name=name) for name in sorted(reader.cameras)
    ]


def open_recorded(uri: str, config: SourceConfig) -> "RecordedCamera":
    """Open the camera at `session:/folder?camera=name`: lossless, or live with `config.realtime`.
    Refusal if the session cannot be read or is not sealed, or no instant has a frame of this
    camera.
    """
    folder, _, camera = uri.removeprefix("session:").rpartition("?camera=")
    return RecordedCamera(Path(folder), camera, config)


def _no_pictures(folder: Path) -> str:
    return (
        f"{folder} holds no pictures: only a session recorded with --record frames can be played."
    )


class RecordedCamera:
    """One camera of a session; frames that no instant took are left out."""

    pace: Pace = "lossless"

    def __init__(self, folder: Path, camera: str, config: SourceConfig) -> None:
        self._camera = camera
        reader = SessionReader(folder)
        self._instants: dict[tuple[str, int], int] = {}
        times_ns = []
        for instant in reader.instants():
            if camera in instant.frames:
                self._instants[instant.frames[camera]] = instant.index
                times_ns.append(instant.t_ns)
        self._frames = self._of_instants(reader.frames(camera))
        self._ahead = next(self._frames, None)
        if self._ahead is None:
            raise Refusal(f"{camera}: {_no_pictures(folder)}")
        self.width_px, self.height_px = self._ahead[0].width_px, self._ahead[0].height_px
        span_ns = times_ns[-1] - times_ns[0]
        self.fps = (len(times_ns) - 1) * 1e9 / span_ns if span_ns > 0 else 1.0
        self._late = 0
        self._shift_ns: int | None = None
        if config.realtime:
            self.pace = "live"
            self._shift_ns = (config.start_ns or time.monotonic_ns()) - times_ns[0]

    def read(self, timeout_s: float) -> Exposure | None:
        """The next frame that is part of an instant, as it was recorded; `raw_ns` is its recorded
        hub time (ns), `trigger` the index of its instant. At once when lossless. In real time it
        waits for the frame's moment, `timeout_s` at most, then None; frames more than a period late
        are left out and counted in `missed`. SourceEnded after the last frame.
        """
        if self._shift_ns is not None and not self._await_due(self._shift_ns, timeout_s):
            return None
        if self._ahead is None:
            raise SourceEnded(f"{self._camera} has no further frame")
        (frame, index), self._ahead = self._ahead, next(self._frames, None)
        late, self._late = self._late, 0
        return Exposure(
            jpeg=frame.jpeg,
            width_px=frame.width_px,
            height_px=frame.height_px,
            raw_ns=frame.t_ns,
            uncertainty_ns=frame.uncertainty_ns,
            stamp=frame.stamp,
            missed=late,
            trigger=index,
        )

    def close(self) -> None:
        """Let go of the session's files; a later `read` raises SourceEnded."""
        self._ahead, self._frames = None, iter(())

    def _of_instants(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, int]]:
        last = -1
        for frame in frames:
            index = self._instants.get((frame.boot_id, frame.seq), -1)
            if index > last:
                last = index
                yield frame, index

    def _await_due(self, shift_ns: int, timeout_s: float) -> bool:
        """Whether the next frame's moment came within the time; frames long past are skipped."""
        period_ns = 1e9 / self.fps
        while self._ahead and time.monotonic_ns() - shift_ns - self._ahead[0].t_ns > period_ns:
            self._late += 1
            self._ahead = next(self._frames, None)
        if self._ahead is None:
            return True
        return reached(self._ahead[0].t_ns + shift_ns, timeout_s)
