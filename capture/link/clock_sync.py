"""The offset of the hub's clock to this node's: estimated, never corrected.

Waves of probes; of each wave the quickest round trip counts, and a weighted line through the last
minute gives offset and skew. After a step of either clock a new line begins and `sync_epoch` grows.
A constant asymmetry of the two directions cannot be measured; half the round trip bounds it and is
`uncertainty_ns`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import zmq

from cvsf.messages import pack, unpack
from cvsf.wire import envelope, node_socket

_PROBES, _FIRST_GAP_S, _GAP_S, _WAVE_EVERY_S = 8, 0.005, 0.064, 2.0
"""Probes of a wave, seconds between them in the first wave and later, and between waves; a guess,
not measured.
"""
_MEMORY_NS = 60 * 10**9
"""Waves older than that are left out of the line; a guess, not measured."""
_LEAST_NS = 10e9
"""The slope of a shorter line is noise, and the skew counts as 0; a guess, not measured."""
_MAX_SKEW = 200e-6
"""Twice the error of a bad quartz, 100 ppm; a guess, not measured."""
_STEP_WAVES, _STEP_NS = 3, 5_000_000
"""Outliers in a row, by more than that, which mean that a clock was set; a guess, not measured."""


@dataclass(frozen=True, slots=True)
class Wave:
    """The quickest round trip of one wave, nanoseconds."""

    at_ns: int  # node clock
    offset_ns: int  # hub minus node
    round_trip_ns: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """hub time = node time + offset_ns + skew * (node time - at_ns)."""

    at_ns: int
    offset_ns: int
    skew: float
    uncertainty_ns: int
    sync_epoch: int

    def offset_at(self, node_ns: int) -> int:
        """Hub clock minus node clock, in ns, when the node's clock shows `node_ns`, which may be
        before or after the waves of this estimate.
        """
        return self.offset_ns + round(self.skew * (node_ns - self.at_ns))


class OffsetLine:
    """Weighted regression of offset on time over a minute of waves, with a step detector."""

    def __init__(self) -> None:
        self._waves: deque[Wave] = deque()
        self._outliers: list[Wave] = []
        self._epoch = 0
        self.estimate: Estimate | None = None

    def add(self, wave: Wave) -> None:
        """Add a wave, later than all before, and fit the line of clock offsets again, into
        `estimate`; waves older than 60 s are forgotten. An outlier (off the line by more than 5 ms
        and than its round trip) leaves `estimate` as it is. The third outlier in a row is a step of
        a clock: `sync_epoch` grows, and the line is fitted to these three only.
        """
        if self.estimate is not None and self._is_outlier(wave):
            self._outliers.append(wave)
            if len(self._outliers) < _STEP_WAVES:
                return
            self._waves = deque(self._outliers)
            self._epoch += 1
        else:
            self._waves.append(wave)
        self._outliers = []
        while wave.at_ns - self._waves[0].at_ns > _MEMORY_NS:
            self._waves.popleft()
        self.estimate = self._fit()

    def _is_outlier(self, wave: Wave) -> bool:
        assert self.estimate is not None
        error = abs(wave.offset_ns - self.estimate.offset_at(wave.at_ns))
        return error > max(_STEP_NS, wave.round_trip_ns)

    def _fit(self) -> Estimate:
        last = self._waves[-1]
        t = np.array([w.at_ns - last.at_ns for w in self._waves], float)
        y = np.array([w.offset_ns - last.offset_ns for w in self._waves], float)
        weight = 1 / np.square([max(w.round_trip_ns, 1000) for w in self._waves])
        t_mean, y_mean = np.average(t, weights=weight), np.average(y, weights=weight)
        spread = float(np.sum(weight * (t - t_mean) ** 2))
        skew = 0.0
        if -t[0] > _LEAST_NS and spread > 0:
            slope = float(np.sum(weight * (t - t_mean) * (y - y_mean)) / spread)
            skew = float(np.clip(slope, -_MAX_SKEW, _MAX_SKEW))
        offset = last.offset_ns + round(float(y_mean - skew * t_mean))
        quickest = min(w.round_trip_ns for w in self._waves)
        return Estimate(last.at_ns, offset, skew, quickest // 2, self._epoch)


class HubClock:
    """A thread that estimates the hub's clock over a socket of its own, away from the frames."""

    def __init__(
        self, endpoint: str, camera: str, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._endpoint, self._camera, self._now_ns = endpoint, camera, now_ns
        self._line = OffsetLine()
        self._first = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._thread.start()

    @property
    def estimate(self) -> Estimate | None:
        """The newest estimate of hub clock minus node clock (ns), which itself never changes: the
        thread makes a new one every 2 s or so. None until the hub has answered once; without
        further answers it stays the last one.
        """
        return self._line.estimate

    def wait(self, timeout_s: float) -> bool:
        """Block until the hub's first answer, `timeout_s` at most; whether it has come."""
        return self._first.wait(timeout_s)

    def close(self) -> None:
        """End the thread and wait for it, half a second or so; `estimate` keeps its last value."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with zmq.Context() as context, node_socket(context, self._endpoint) as socket:
            while not self._stop.is_set():
                known = self._line.estimate is not None
                if wave := self._wave(socket, _GAP_S if known else _FIRST_GAP_S):
                    self._line.add(wave)
                    self._first.set()
                self._stop.wait(_WAVE_EVERY_S if known else 0.05)

    def _wave(self, socket: "zmq.Socket[bytes]", gap_s: float) -> Wave | None:
        best: Wave | None = None
        for _ in range(_PROBES):
            sent_ns = self._now_ns()
            probe = pack(envelope("probe", camera=self._camera, sent_ns=sent_ns))
            try:
                socket.send(probe, zmq.DONTWAIT)
            except zmq.Again:
                return best
            if wave := self._answer(socket, sent_ns):
                best = wave if best is None or wave.round_trip_ns < best.round_trip_ns else best
            elif best is None:
                return None
            if self._stop.wait(gap_s):
                return best
        return best

    def _answer(self, socket: "zmq.Socket[bytes]", sent_ns: int) -> Wave | None:
        """The echo of this probe; echoes of older ones are ignored."""
        until = time.monotonic() + 0.5
        while (left := until - time.monotonic()) > 0 and not self._stop.is_set():
            if not socket.poll(round(left * 1e3) + 1):
                return None
            received_ns = self._now_ns()
            try:
                echo = unpack(socket.recv())
            except ValueError:
                continue
            if echo.get("kind") == "echo" and echo.get("sent_ns") == sent_ns:
                hub_ns = echo.get("hub_ns")
                if isinstance(hub_ns, int):
                    middle = (sent_ns + received_ns) // 2
                    return Wave(received_ns, hub_ns - middle, received_ns - sent_ns)
        return None
