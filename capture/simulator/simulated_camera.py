"""A simulated camera: exposures of the slope at the ticks of this machine's clock.

Tick k is one moment in every process, so all cameras see the same skier; late ticks are counted.
"""

import time

import cv2
import numpy as np
import simplejpeg

from capture.simulator.ground_truth import TruthRecorder
from capture.simulator.limits import USUAL_FPS, USUAL_SIZE, check
from capture.simulator.renderer import Painter
from capture.simulator.scenario import Staged
from capture.simulator.scene import Viewpoint, make_slope, place_camera, rotated_left
from capture.simulator.shots import Shot, film, set_stage
from capture.sources.pacing import reached
from capture.sources.source import Exposure, Pace, Source, SourceConfig

_AHEAD = 10
"""Ticks whose motion is computed together, which costs little more than one. A guess, not
measured.
"""

_UNCERTAINTY_NS = 1_000
"""The picture is of the stamped moment, but for the rounding of the motion."""


def open_simulated(staged: Staged, config: SourceConfig) -> Source:
    """Open the simulated camera on the slope of `config.seed`; its background is painted first,
    which blocks. Refusal if the simulator cannot comply with the options. OpenCV is set to one
    thread.
    """
    return SimulatedCamera(staged, config)


class SimulatedCamera:
    """One virtual camera, open until closed."""

    pace: Pace = "live"

    def __init__(self, staged: Staged, config: SourceConfig) -> None:
        check(config)
        index, self._knock = staged.index, staged.knock
        self.width_px, self.height_px = size = config.size or USUAL_SIZE
        self.fps = float(config.fps or USUAL_FPS)
        cv2.setNumThreads(1)
        slope = make_slope(config.seed, staged.moving, staged.take)
        self._view = place_camera(slope, index, size)
        self._stage = set_stage(config.seed, slope)
        self._painter = self._paint_for(self._view, index)
        if staged.knock:
            self._knocked_view = rotated_left(self._view, staged.knock.turn_deg)
            self._knocked_painter = self._paint_for(self._knocked_view, index)
        self._quality = config.jpeg_quality
        self._truth = (
            TruthRecorder(config.truth, config.seed, index, self._view) if config.truth else None
        )
        self._shots: dict[int, Shot] = {}
        self._first: int | None = None
        self._next: int | None = None
        self._closed = False

    def read(self, timeout_s: float) -> Exposure | None:
        """The exposure of the next tick, or of the newest one when the reader was late; ticks left
        out are counted in `missed`. `raw_ns` is the moment of the tick, CLOCK_MONOTONIC. Blocks
        `timeout_s` at most, then None. The first call takes the tick after it. It never ends and is
        never lost.
        """
        due = int(time.monotonic_ns() * self.fps / 1e9)
        if self._next is None:
            self._first = self._next = due + 1
        tick = max(self._next, due)
        if not reached(self._at(tick), timeout_s):
            return None
        missed, self._next = tick - self._next, tick + 1
        self._apply_knock(tick)
        shot = self._shot(tick)
        jpeg = simplejpeg.encode_jpeg(self._painter.paint(shot), self._quality, "BGR", "420")
        if self._truth:
            self._truth.add(shot.raw_ns, shot.joints, shot.rotation, shot.focal_px)
        return Exposure(
            jpeg=jpeg, width_px=self.width_px, height_px=self.height_px, raw_ns=shot.raw_ns,
            uncertainty_ns=_UNCERTAINTY_NS, stamp="simulated", missed=missed,
        )  # fmt: skip

    def close(self) -> None:
        """Write the ground truth, if it was asked for; a second time does nothing. OSError if it
        cannot be written.
        """
        if self._truth and not self._closed:
            self._truth.write()
        self._closed = True

    def _paint_for(self, view: Viewpoint, index: int) -> Painter:
        painter = Painter(self._stage, view, index)
        painter.prepare()
        return painter

    def _apply_knock(self, tick: int) -> None:
        """Rotate the camera when the knock is due."""
        if self._knock is None or self._first is None:
            return
        if self._at(tick) >= self._at(self._first) + self._knock.after_s * 1e9:
            self._view, self._painter = self._knocked_view, self._knocked_painter
            self._knock = None
            self._shots.clear()

    def _at(self, tick: int) -> int:
        return round(tick * 1e9 / self.fps)

    def _shot(self, tick: int) -> Shot:
        if tick not in self._shots:
            ticks = range(tick, tick + _AHEAD)
            stamps = np.array([self._at(t) for t in ticks], np.int64)
            self._shots = dict(zip(ticks, film(self._stage, self._view, stamps), strict=True))
        return self._shots.pop(tick)
