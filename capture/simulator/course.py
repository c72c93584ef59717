"""The course, a closed run: the skier's position, speed, lean and technique as functions of time.

They depend only on the seed and the time modulo the period: all processes have the same.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Float, Int, Real

Stamps = npt.NDArray[np.int64]
"""Times of a clock, nanoseconds."""

GRAVITY = 9.81
RATE_HZ = 100
"""Rows of the table a second; between them the course is interpolated."""

COLUMNS = (
    "x", "y", "tangent_x", "tangent_y", "speed", "lean", "ahead", "flexion", "tuck", "skate",
    "skate_cos", "skate_sin", "plant_left", "plant_right", "sway", "look",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A table of the run's signals over one period, and the plane it lies in."""

    table: Float[Real, "rows columns"]  # in the order of COLUMNS; the last row is the first again
    slope_rad: float
    downhill: Float[Real, "2"]  # unit vector
    radius: float  # of the circle around the origin that holds the run
    moving: bool

    @property
    def period_ns(self) -> int:
        """Time of the whole run in ns, after which it begins again."""
        return (len(self.table) - 1) * 1_000_000_000 // RATE_HZ

    @property
    def normal(self) -> Float[Real, "3"]:
        """The unit vector in the world that is normal to the snow, upwards."""
        return np.array([*(np.sin(self.slope_rad) * self.downhill), np.cos(self.slope_rad)])

    def height(self, xy: Float[Real, "*points 2"]) -> Float[Real, "*points"]:
        """Height z of the snow in m, at points x, y (m) of the world: a plane through the origin
        that falls in direction `downhill`.
        """
        return np.asarray(-np.tan(self.slope_rad) * (xy @ self.downhill))

    def signal(self, name: str) -> Float[Real, "rows"]:
        """One column of the table by its name in `COLUMNS`, a value each 10 ms, with the units of
        `at`. Its last row is the first again. The array shares memory with the table. ValueError
        for another name.
        """
        return np.asarray(self.table[:, COLUMNS.index(name)])

    @property
    def track(self) -> Float[Real, "rows 2"]:
        """Where the run goes, x and y in the world (m), a row each 10 ms; it is closed: the last
        row is the first again. A new array.
        """
        return np.stack([self.signal("x"), self.signal("y")], 1)

    @property
    def left(self) -> Float[Real, "rows 2"]:
        """The level direction to the skier's left along the track: unit vectors x, y in the world,
        in the rows of `track`.
        """
        return np.stack([-self.signal("tangent_y"), self.signal("tangent_x")], 1)

    def at(self, raw_ns: Int[Stamps, "T"]) -> dict[str, Float[Real, "T"]]:
        """The signals by their names in `COLUMNS`, at times of the clock (ns), interpolated
        linearly; the run repeats with its period. Units: x and y in m (world), speed in m/s, lean
        and ahead (the lean a moment later) in radians, to the skier's left if positive; the others
        have no unit.
        """
        row = (raw_ns % self.period_ns) * (RATE_HZ / 1e9)
        low = np.minimum(row.astype(np.int64), len(self.table) - 2)
        w = (row - low)[:, None]
        values = self.table[low] * (1 - w) + self.table[low + 1] * w
        return {name: values[:, i] for i, name in enumerate(COLUMNS)}


def lay_course(seed: int, moving: bool, take: int = 0) -> Course:
    """The course of a seed, in metres about the world's origin: less than 15 m wide for still
    cameras, several times that for panning ones (`moving`). The same arguments give the same
    course.

    Every take has the same path and slope, with other speeds and movements.
    """
    rng = np.random.default_rng([seed, 1, int(moving)])
    laps = 4 if moving else 9
    path = _path(rng, moving, laps)
    slope_rad = np.radians(rng.uniform(2, 9))
    azimuth = rng.uniform(0, 2 * np.pi)
    downhill = np.array([np.cos(azimuth), np.sin(azimuth)])
    if take:
        rng = np.random.default_rng([seed, 1, int(moving), take])
    table = _signals(rng, *_timed(rng, path, moving, laps, downhill))
    return Course(
        table=np.vstack([table, table[:1]]),
        slope_rad=slope_rad,
        downhill=downhill,
        radius=float(np.linalg.norm(path, axis=1).max()),
        moving=moving,
    )


def _path(rng: np.random.Generator, moving: bool, laps: int) -> Float[Real, "M 2"]:
    """Closed curve: a figure of eight or a wavy loop, never the same from lap to lap."""
    tau = np.linspace(0, 2 * np.pi * laps, 1500 * laps, endpoint=False)
    size = rng.uniform(17, 24) if moving else rng.uniform(2.9, 3.9)
    swell = _slow(rng, len(tau), 2 * laps)
    if rng.random() < (0.3 if moving else 0.55):
        width = size * (rng.uniform(0.5, 0.62) + 0.06 * swell)
        curve = np.stack([size * np.sin(tau), width * np.sin(2 * tau)], 1)
    else:
        waves = int(rng.integers(5, 8)) if moving else int(rng.integers(2, 4))
        depth = (0.55 + 0.25 * swell) * (0.16 if waves > 4 else 0.34 if waves == 2 else 0.26)
        reach = size * 0.84 * (1 + depth * np.cos(waves * tau + rng.uniform(0, 6)))
        squeeze = rng.uniform(0.75, 1.0)
        curve = np.stack([reach * np.cos(tau), squeeze * reach * np.sin(tau)], 1)
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    curve = curve @ rotation.T
    closed: Real = curve[::-1].copy() if rng.random() < 0.5 else curve
    return closed


def _timed(
    rng: np.random.Generator,
    path: Float[Real, "M 2"],
    moving: bool,
    laps: int,
    downhill: Float[Real, "2"],
) -> tuple[
    Float[Real, "rows 2"],
    Float[Real, "rows 2"],
    Float[Real, "rows"],
    Float[Real, "rows"],
    Float[Real, "rows"],
]:
    """Position, unit tangent, speed, curvature and descent on a regular time grid."""
    first, second = _derivative(path), _derivative(_derivative(path))
    rate = np.linalg.norm(first, axis=1)
    curvature = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / rate**3
    steepest = np.radians(rng.uniform(34, 48))
    fastest = rng.uniform(9, 12.5) if moving else rng.uniform(3.6, 5.2)
    bearable = np.sqrt(GRAVITY * np.tan(steepest) / (np.abs(curvature) + 1e-3))
    tangent = first / rate[:, None]
    descent = tangent @ downhill
    eased = len(path) // (90 * laps)
    around = np.pad(np.minimum(fastest, bearable), (eased, eased - 1), mode="wrap")
    slowest = np.lib.stride_tricks.sliding_window_view(around, 2 * eased).min(-1)
    speed = _smooth(slowest, eased) * (1 + 0.04 * descent)
    clock = np.concatenate([[0], np.cumsum(rate / speed)])
    rows = int(clock[-1] * RATE_HZ)
    now = np.arange(rows) * (clock[-1] / rows)

    def on_time(values: Real) -> Real:
        closed = np.concatenate([values, values[:1]])
        columns = closed.reshape(len(closed), -1).T
        return np.stack([np.interp(now, clock, column) for column in columns], 1)

    lap = [on_time(values) for values in (path, tangent, speed, curvature, descent)]
    # time is scaled by less than one row, so that the period is a whole number of rows
    stretch = clock[-1] * RATE_HZ / rows
    return lap[0], lap[1], lap[2][:, 0] * stretch, lap[3][:, 0], lap[4][:, 0]


def _signals(
    rng: np.random.Generator,
    position: Float[Real, "rows 2"],
    tangent: Float[Real, "rows 2"],
    speed: Float[Real, "rows"],
    curvature: Float[Real, "rows"],
    descent: Float[Real, "rows"],
) -> Float[Real, "rows columns"]:
    """The table's rows, columns as in COLUMNS."""
    rows = len(position)
    lean = _smooth(np.arctan(speed**2 * curvature / GRAVITY), 0.07 * RATE_HZ)
    ahead = np.roll(_smooth(lean, 0.1 * RATE_HZ), -int(rng.uniform(0.05, 0.22) * RATE_HZ))
    calm = np.exp(-((np.abs(lean) / 0.28) ** 2))
    every = max(2, rows // (RATE_HZ * 4))
    mood = _smooth(_slow(rng, rows, every), 0.3 * RATE_HZ)
    tuck = _smooth(_rise(mood, 0.15, 0.5) * (0.15 + 0.85 * calm), 0.16 * RATE_HZ)
    skate = _rise(-mood - 0.25 * descent, 0.2, 0.5) * (0.1 + 0.9 * calm)
    skate = _smooth(skate, 0.2 * RATE_HZ) * (1 - tuck)
    seconds = rows / RATE_HZ
    phase = 2 * np.pi * round(rng.uniform(0.7, 1.15) * seconds) * np.arange(rows) / rows
    rhythm = rng.uniform(-1, 1)
    turn = np.abs(lean) / max(0.3, float(np.abs(lean).max()))
    flexion = _smooth(rhythm * (turn - 0.5) + 0.25 * _slow(rng, rows, every), 0.08 * RATE_HZ)
    plant_left, plant_right = _plants(lean)
    sway, look = _slow(rng, rows, every * 3), _slow(rng, rows, every * 2)
    columns = [
        position, tangent, speed, lean, ahead, flexion, tuck, skate, np.cos(phase), np.sin(phase),
        plant_left, plant_right, sway, look,
    ]  # fmt: skip
    return np.column_stack(columns)


def _plants(lean: Real) -> tuple[Real, Real]:
    """Progress of each pole's plant, 0 to 1: the inside pole, at the start of a turn."""
    beat = np.sign(lean) - np.roll(np.sign(lean), 1)
    wide = 0.13 * RATE_HZ
    peak = wide * np.sqrt(2 * np.pi)
    early = -int(0.08 * RATE_HZ)
    left, right = (np.clip(np.roll(side, early) / 2, 0, 1) for side in (beat, -beat))
    return np.clip(_smooth(left, wide) * peak, 0, 1), np.clip(_smooth(right, wide) * peak, 0, 1)


def _derivative(values: Real) -> Real:
    """Of periodic rows, per row."""
    ahead, behind = np.roll(values, -1, 0), np.roll(values, 1, 0)
    difference: Real = (ahead - behind) / 2
    return difference


def _smooth(values: Real, rows: float) -> Real:
    """Periodic Gaussian blur of standard deviation `rows`."""
    frequency = np.fft.rfftfreq(len(values))
    blurred = np.fft.rfft(values) * np.exp(-2 * (np.pi * frequency * rows) ** 2)
    result: Real = np.fft.irfft(blurred, len(values))
    return result


def _slow(rng: np.random.Generator, rows: int, bumps: int) -> Real:
    """A periodic random signal with about `bumps` waves, within -1 to 1."""
    waves = np.arange(1, max(2, bumps) + 1)
    amplitude, phase = rng.normal(size=len(waves)), rng.uniform(0, 2 * np.pi, len(waves))
    spectrum = np.zeros(rows // 2 + 1, complex)
    spectrum[waves] = amplitude * np.exp(1j * phase)
    signal: Real = np.fft.irfft(spectrum, rows)
    return np.asarray(np.tanh(signal / (signal.std() * 1.3)))


def _rise(values: Any, low: float, high: float) -> Real:
    """0 below `low`, 1 above `high`, smooth between."""
    x = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(x * x * (3 - 2 * x))
