"""The skier's clothing: one random colour for every facet of the mesh.

Left and right have the same colours, so that only the body distinguishes them.
"""

import colorsys

import numpy as np

from capture.simulator.mesh import Figure
from cvsf.shapes import Float, Mask, Real

JACKET = ("belly", "chest", "sleeve", "cuffs")


def dress(figure: Figure, seed: int) -> Float[Real, "F 3"]:
    """Reflectance of every facet of the skier, random from the seed: blue, green, red, 0.05 to
    0.97. It is the same for the same seed, and alike on left and right.
    """
    rng = np.random.default_rng([seed, 3])
    colour = np.zeros((len(figure.part), 3))
    jacket, accent, third = (_cloth(rng) for _ in range(3))
    trousers = jacket if rng.random() < 0.15 else _cloth(rng)
    boots, skis, gloves = _cloth(rng), _cloth(rng), _cloth(rng) * 0.8
    helmet = _cloth(rng)
    plain = {
        "seat": trousers, "thigh": trousers, "shin": trousers, "belly": jacket, "chest": jacket,
        "sleeve": jacket, "cuffs": jacket, "neck": accent, "face": _skin(rng), "helmet": helmet,
        "boot": boots, "shell": boots * 0.9, "glove": gloves, "ski": skis,
    }  # fmt: skip
    for name, cloth in plain.items():
        colour[_of(figure, name)] = cloth
    _pattern_jacket(rng, figure, colour, accent, third)
    _pattern_trousers(rng, figure, colour, accent, jacket)
    _goggles(rng, figure, colour)
    colour[_of(figure, "helmet") & (np.abs(figure.angle - np.pi / 2) < rng.uniform(0, 0.9))] = (
        helmet if rng.random() < 0.6 else accent
    )
    colour[_of(figure, "ski") & (figure.along > rng.uniform(0.6, 1.1))] = _cloth(rng)
    # cloth is never quite even: the same folds on both sides
    folds = rng.normal(1, rng.uniform(0.01, 0.06), (len(figure.names), 16, 16))
    cell = (figure.part, (figure.along * 7).astype(int) % 16, (figure.angle * 2).astype(int))
    return np.asarray(np.clip(colour * folds[cell][:, None], 0.05, 0.97))


def _of(figure: Figure, *names: str) -> Mask:
    return np.asarray(np.isin(figure.part, [figure.names.index(name) for name in names]))


def _cloth(rng: np.random.Generator) -> Real:
    """A fabric's colour: bright, pastel, dark, grey, white or black."""
    kind = rng.random()
    hue = rng.random()
    if kind < 0.45:
        rgb = colorsys.hsv_to_rgb(hue, rng.uniform(0.65, 1), rng.uniform(0.5, 0.95))
    elif kind < 0.65:
        rgb = colorsys.hsv_to_rgb(hue, rng.uniform(0.4, 0.9), rng.uniform(0.12, 0.4))
    elif kind < 0.75:
        rgb = colorsys.hsv_to_rgb(hue, rng.uniform(0.15, 0.5), rng.uniform(0.6, 0.95))
    else:
        rgb = colorsys.hsv_to_rgb(
            hue, rng.uniform(0, 0.1), rng.choice([0.05, 0.1, 0.25, 0.5, 0.85])
        )
    return np.array(rgb[::-1])


def _skin(rng: np.random.Generator) -> Real:
    """A face, or the scarf in front of it."""
    if rng.random() < 0.3:
        return _cloth(rng)
    light, dark = np.array([0.62, 0.72, 0.92]), np.array([0.12, 0.2, 0.33])
    return np.asarray(light + rng.random() * (dark - light))


def _pattern_jacket(
    rng: np.random.Generator, figure: Figure, colour: Real, accent: Real, third: Real
) -> None:
    jacket, chest = _of(figure, *JACKET), _of(figure, "chest")
    kind = rng.choice(["plain", "yoke", "stripes", "sides", "bib", "camouflage", "sleeves", "band"])
    if kind == "yoke":
        colour[(chest & (figure.along > 0.5)) | (_of(figure, "sleeve") & (figure.along < 0.4))] = (
            accent
        )
    elif kind == "stripes":
        bands = (figure.along * rng.choice([3.0, 4.0, 6.0])).astype(int) % 2 == 1
        colour[jacket & bands] = accent
    elif kind == "sides":
        colour[_of(figure, "belly", "chest") & (np.abs(np.cos(figure.angle)) > 0.75)] = accent
        colour[_of(figure, "sleeve", "cuffs") & (np.sin(figure.angle) > 0.4)] = accent
    elif kind == "bib":
        facing = np.abs(np.sin(figure.angle)) > 0.45
        colour[_of(figure, "belly", "chest") & facing] = accent
        number = chest & (np.abs(np.sin(figure.angle)) > 0.9) & (figure.along > 0.1)
        colour[number & (figure.along < 0.7)] = third
    elif kind == "camouflage":
        patch = rng.random((len(figure.names), 12, 12))[
            figure.part, (figure.along * 6).astype(int) % 12, (figure.angle * 1.9).astype(int)
        ]
        colour[jacket & (patch < 0.35)] = accent
        colour[jacket & (patch > 0.75)] = third
    elif kind == "sleeves":
        colour[_of(figure, "sleeve", "cuffs")] = accent
    elif kind == "band":
        colour[_of(figure, "belly") & (figure.along > 0.6)] = accent
        colour[_of(figure, "cuffs") & (figure.along > 0.3)] = accent


def _pattern_trousers(
    rng: np.random.Generator, figure: Figure, colour: Real, accent: Real, jacket: Real
) -> None:
    legs = _of(figure, "thigh", "shin")
    kind = rng.choice(["plain", "plain", "stripe", "knees", "gaiters"])
    if kind == "stripe":
        colour[legs & (np.abs(np.cos(figure.angle)) > 0.93)] = accent
    elif kind == "knees":
        knee = (_of(figure, "thigh") & (figure.along > 0.75)) | (
            _of(figure, "shin") & (figure.along < 0.2)
        )
        colour[knee] = jacket * 0.7
    elif kind == "gaiters":
        colour[_of(figure, "shin") & (figure.along > 0.4)] = accent


def _goggles(rng: np.random.Generator, figure: Figure, colour: Real) -> None:
    lens = np.array([0.05, 0.05, 0.06]) if rng.random() < 0.6 else _cloth(rng)
    band = _of(figure, "face") & (figure.along > 0.47)
    colour[band] = lens
    strap = _of(figure, "helmet") & (figure.along > 0.55) & (figure.along < 0.72)
    colour[strap & (np.abs(np.sin(figure.angle)) < 0.7)] = (
        lens if rng.random() < 0.5 else _cloth(rng)
    )
