"""Light, air and snowfall of a day on the slope, random from a seed.

Colours are blue, green, red from 0 to 1, and flat snow in full light is the brightest of them.
"""

from dataclasses import dataclass

import numpy as np

from cvsf.shapes import Float, Real


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Light and air of a day; colours are blue, green, red, 0 to 1."""

    sun: Float[Real, "3"]  # unit vector towards it
    sunlight: Float[Real, "3"]  # colour times strength
    skylight: Float[Real, "3"]
    zenith: Float[Real, "3"]
    horizon: Float[Real, "3"]
    haze: float  # distance in metres at which 63 % of the light is lost
    flakes: int  # falling snow in the picture
    wind: Float[Real, "3"]  # m/s of the flakes
    noise: float  # of the sensor, grey values
    drift: Float[Real, "4"]  # of exposure and white balance: amplitudes, phase, waves a period
    shutter_s: float

    @property
    def direct(self) -> Float[Real, "3"]:
        """The sun's share of the light on flat snow, for blue, green and red: 0 to 1. A shadow
        lacks it.
        """
        sun = self.sunlight * self.sun[2]
        share: Real = sun / (sun + self.skylight)
        return share

    @property
    def sharp(self) -> bool:
        """Whether the sun casts the shadow; otherwise the sky does, straight down."""
        return bool(self.direct.mean() > 0.25)

    @property
    def lamp(self) -> Float[Real, "3"]:
        """The light on a vertical surface, averaged over its directions: blue, green, red, about 0
        to 1.
        """
        light: Real = self.skylight + 0.5 * self.sunlight
        return light


# colour of the zenith and of the horizon; ranges of the brightness of flat snow, the sun's share
# and the sun's elevation (degrees)
_DAYS = {
    "sun": ((0.85, 0.5, 0.22), (0.95, 0.85, 0.72), (0.78, 0.93), (0.42, 0.62), (22, 62)),
    "cloud": ((0.76, 0.75, 0.73), (0.88, 0.87, 0.86), (0.72, 0.95), (0.02, 0.2), (40, 70)),
    "dusk": ((0.6, 0.42, 0.35), (0.6, 0.7, 0.95), (0.55, 0.8), (0.3, 0.5), (15, 25)),
    "night": ((0.12, 0.07, 0.05), (0.25, 0.16, 0.12), (0.5, 0.75), (0.4, 0.65), (35, 65)),
}


def choose_weather(seed: int) -> Weather:
    """The weather of a seed: sun, cloud, dusk or floodlight, with its light, haze, snowfall, noise
    and shutter time. The same seed gives the same.
    """
    rng = np.random.default_rng([seed, 4])
    kind = str(rng.choice(list(_DAYS), p=[0.48, 0.32, 0.12, 0.08]))
    overhead, low, level, share, heights = _DAYS[kind]
    elevation, azimuth = np.radians(rng.uniform(*heights)), rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(azimuth), np.sin(azimuth), np.tan(elevation)]) * np.cos(elevation)
    bright, direct, cast = rng.uniform(*level), rng.uniform(*share), rng.normal(1, 0.025, 3)
    warm = np.array([0.7, 0.86, 1.0]) if kind == "dusk" else np.array([0.94, 0.98, 1.0])
    cool = np.array([1.0, 1.0, 0.99]) if kind == "cloud" else np.array([1.07, 1.0, 0.94])
    snowing = rng.random() < (0.7 if kind == "cloud" else 0.35)
    return Weather(
        sun=sun,
        sunlight=warm * cast * bright * direct / max(0.42, sun[2]),
        skylight=cool * cast * bright * (1 - direct),
        zenith=np.array(overhead) * cast,
        horizon=np.array(low) * cast,
        haze=float(rng.choice([60, 150, 400, 1000])),
        flakes=int(rng.integers(20, 140)) if snowing else 0,
        wind=np.array([*rng.normal(0, 1.0, 2), -rng.uniform(0.8, 2.0)]),
        noise=float(rng.uniform(0.5, 3.0)),
        drift=np.array(
            [rng.uniform(0.01, 0.1), rng.uniform(0, 0.025), rng.uniform(0, 6), rng.integers(1, 5)]
        ),
        shutter_s=float(rng.choice([1 / 60, 1 / 120, 1 / 250, 1 / 500])),
    )
