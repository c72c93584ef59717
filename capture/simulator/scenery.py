"""The static part of a picture, painted once: snow, tracks, trees, mountains and sky."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from capture.simulator.course import Course
from capture.simulator.lighting import Weather, choose_weather
from cvsf.shapes import Array, Float, Mask, Picture, Real, UInt8

_TILE, _TRACK_PX = 512, 2048
"""Sides of the noise tile and of the map of tracks in pixels; guesses, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """The scene without the skier, the same for all cameras of a seed."""

    course: Course
    weather: Weather
    tile: Float[Array, "side side"]  # seamless noise, 0 to 1
    tracks: Float[
        Array, "y x"
    ]  # how much skis have pressed the snow, over `extent` metres around the origin
    extent: float
    ridge: Float[Array, "2 azimuths"]  # elevation of two ranges by azimuth, radians
    trees: Float[Real, "trees 4"]  # x, y, height, shade
    tree_colour: Float[Real, "3"]
    posts: Float[Real, "posts 3"]  # x, y, which colour
    post_colour: Float[Real, "2 3"]
    groove: Float[Real, "3"]  # direction x, y and strength of the groomed lines


def make_land(seed: int, course: Course) -> Land:
    """Weather, snow, trees, gates and mountains of a seed around the course, always the same."""
    rng = np.random.default_rng([seed, 5])
    extent = 2.2 * course.radius + 16
    trees = _forest(rng, course)
    gates = rng.random() < 0.4
    angle = rng.uniform(0, np.pi)
    return Land(
        course=course,
        weather=choose_weather(seed),
        tile=_tile(rng),
        tracks=_tracks(rng, course, extent),
        extent=extent,
        ridge=_ridges(rng),
        trees=trees,
        tree_colour=np.array(
            [rng.uniform(0.1, 0.25), rng.uniform(0.2, 0.35), rng.uniform(0.08, 0.3)]
        ),
        posts=_posts(rng, course) if gates else np.zeros((0, 3)),
        post_colour=np.array([[0.15, 0.12, 0.85], [0.8, 0.3, 0.12]])[:: rng.choice([-1, 1])],
        groove=np.array([np.cos(angle), np.sin(angle), rng.choice([0, 0.01, 0.025])]),
    )


def paint(
    land: Land,
    eye: Float[Real, "3"],
    rotation: Float[Real, "3 3"],
    focal_px: float,
    size: tuple[int, int],
) -> UInt8[Picture, "H W 3"]:
    """The BGR picture without a skier, from `eye` (m, world); `rotation` is view_from_world, `size`
    is (width, height) in px.
    """
    width, height = size
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    pixel = np.stack([(u - width / 2) / focal_px, (v - height / 2) / focal_px, np.ones_like(u)], -1)
    ray = (pixel @ rotation.astype(np.float32)).astype(np.float32)
    fall = ray @ land.course.normal.astype(np.float32)
    above = float(eye @ land.course.normal)
    distance = np.where(fall < -1e-4, above / np.maximum(-fall, 1e-4), 1e6).astype(np.float32)
    reach = 90.0 + 2 * land.course.radius
    on_snow = distance * np.linalg.norm(ray, axis=-1) < reach
    picture = np.zeros((height, width, 3), np.float32)
    snow = int(np.argmax(on_snow.any(1)))
    if not on_snow.all():
        sky = height - int(np.argmin(on_snow.all(1)[::-1]))
        picture[:sky] = _sky(land, ray[:sky])
    _snow(land, eye, ray[snow:], distance[snow:], on_snow[snow:], focal_px, picture[snow:])
    scene = np.clip(picture * 255, 0, 255).astype(np.uint8)
    for tree in _far_to_near(land.trees, eye):
        _tree(land, scene, eye, rotation, focal_px, tree)
    for x, y, which in _far_to_near(land.posts, eye):
        colour = land.post_colour[int(which)] * (land.weather.lamp)
        draw_post(scene, land.course, eye, rotation, focal_px, np.array([x, y]), colour * 255)
    return scene


def draw_post(
    picture: UInt8[Picture, "H W 3"],
    course: Course,
    eye: Float[Real, "3"],
    rotation: Float[Real, "3 3"],
    focal_px: float,
    xy: Float[Real, "2"],
    colour: Float[Real, "3"],
) -> None:
    """Draw a gate's pole with its flag, 1.5 m high, into the picture, at `xy` (m, world). `colour`
    is BGR, 0 to 255. Nothing if a part is less than 0.5 m in front of the camera.
    """
    foot = np.array([*xy, course.height(xy)])
    rod = np.array([[0, 0, 0], [0, 0, 1.5]])
    flag = np.array([[0, 0, 1.05], [0, 0, 1.45], [0.34, 0, 1.45], [0.34, 0, 1.05]])
    flag = np.stack(
        [flag[:, 0] * course.downhill[1], -flag[:, 0] * course.downhill[0], flag[:, 2]], 1
    )
    local = (np.concatenate([rod, flag]) + foot - eye) @ rotation.T
    if local[:, 2].min() < 0.5:
        return
    height, width = picture.shape[:2]
    points = focal_px * local[:, :2] / local[:, 2:] + (width / 2, height / 2)
    at = np.clip(points * 16, -30000, 30000).astype(np.int32)
    tint = tuple(float(c) for c in colour)
    thick = max(1, round(0.03 * focal_px / float(local[0, 2])))
    cv2.line(picture, at[0].tolist(), at[1].tolist(), tint, thick, cv2.LINE_AA, 4)
    cv2.fillPoly(picture, [at[2:]], tint, cv2.LINE_AA, 4)


def _sky(land: Land, ray: Array) -> Array:
    w = land.weather
    azimuth = np.arctan2(ray[..., 1], ray[..., 0])
    elevation = np.arctan2(ray[..., 2], np.hypot(ray[..., 0], ray[..., 1]))
    around = azimuth * (_TILE / (2 * np.pi))  # a whole number of tiles, so that there is no seam
    up = np.clip(elevation / 0.6, 0, 1)[..., None] ** 0.7
    picture = (w.horizon * (1 - up) + w.zenith * up).astype(np.float32)
    cloud = _look(land.tile, around * 3, elevation * 500)
    veil = np.clip((cloud - 0.5) * 3, 0, 0.6)[..., None] * np.clip(elevation * 8, 0, 1)[..., None]
    picture += (veil * (w.horizon * 1.05 - picture)).astype(np.float32)
    turn = (azimuth / (2 * np.pi) % 1) * (land.ridge.shape[1] - 1)
    rock = _look(land.tile, around * 9, elevation * 1400)
    for depth, ridge in enumerate(land.ridge):
        low = np.minimum(turn.astype(np.int64), len(ridge) - 2)  # -0.0 % 1 can be 1
        crest = ridge[low] + (ridge[low + 1] - ridge[low]) * (turn - low)
        bare = np.clip((rock - 0.42 - 0.5 * np.clip(elevation, 0, 0.4)) * 9 + 0.5, 0, 1)[..., None]
        white, stone = w.lamp, 0.35 * w.lamp
        body = white * 0.85 + bare * (stone - white * 0.85)
        faded = body * (0.35 + 0.25 * depth) + w.horizon * (0.65 - 0.25 * depth)
        picture = np.where((elevation < crest)[..., None], faded, picture).astype(np.float32)
    return picture


def _snow(
    land: Land, eye: Real, ray: Array, distance: Array, on_snow: Mask,
    focal_px: float, picture: Array
) -> None:  # fmt: skip
    """Paint the slope into the picture: lit, rippled, tracked, hazed."""
    w = land.weather
    far = np.where(on_snow, distance, 0)
    x, y = (eye[i] + far * ray[..., i] for i in (0, 1))
    fine = np.clip(focal_px / (np.maximum(far, 1) * 90), 0, 1)
    relief = 0.1 * (_look(land.tile, x * 9, y * 9) - 0.5)
    relief += 0.1 * (_look(land.tile, x * 43 + 99, y * 43) - 0.5) * np.sqrt(fine)
    relief += 0.12 * (_look(land.tile, x * 190, y * 190 + 77) - 0.5) * fine
    across = land.groove[0] * x + land.groove[1] * y
    relief += (
        land.groove[2] * np.sin(across * 30).astype(np.float32) * np.clip(2 * fine - 0.6, 0, 1)
    )
    scale = _TRACK_PX / land.extent
    column, row = ((p + land.extent / 2) * scale for p in (x, y))
    pressed = cv2.remap(
        land.tracks, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    lit = max(0.15, float(w.sun @ land.course.normal))
    bump = (1 + relief * (0.4 + 1.3 * w.direct.mean()) - 0.08 * pressed)[..., None]
    colour = (w.skylight + w.sunlight * lit) * 0.97 * bump
    hidden = (1 - np.exp(-far / w.haze))[..., None]
    colour = colour * (1 - hidden) + w.horizon * hidden
    picture[on_snow] = colour[on_snow]


def _tree(
    land: Land, picture: Picture, eye: Real, rotation: Real, focal_px: float, tree: Real
) -> None:  # fmt: skip
    x, y, tall, shade = tree
    base = np.array([x, y, float(land.course.height(np.array([x, y])))]) - eye
    local = np.stack([base, base + np.array([0, 0, tall])]) @ rotation.T
    if local[:, 2].min() < 2:
        return
    height, width = picture.shape[:2]
    foot, top = focal_px * local[:, :2] / local[:, 2:] + (width / 2, height / 2)
    if max(foot[0], top[0]) < -width * 0.3 or min(foot[0], top[0]) > width * 1.3:
        return
    w = land.weather
    hidden = 1 - np.exp(-float(np.linalg.norm(base)) / w.haze)
    light = w.lamp
    stem, side = top - foot, np.array([-(top - foot)[1], (top - foot)[0]])
    rng = np.random.default_rng(int(shade * 1e6))
    for layer in np.linspace(0.06, 0.78, 9):
        spread = 0.2 * (1.02 - layer) * rng.uniform(0.8, 1.2)
        low, high = foot + stem * layer, foot + stem * min(1.0, layer + 0.24)
        droop = stem * 0.04
        for part, tint in ((1.0, land.tree_colour * (0.4 + 0.6 * shade)), (0.55, np.full(3, 0.75))):
            if part < 1 and shade < 0.35:
                continue
            lift = stem * (0.09 if part < 1 else 0.0)
            wide = side * spread * part
            edge = [low - wide - droop + lift, low + lift, low + wide - droop + lift]
            corners = np.array([*edge, high])
            colour = (tint * light * (1 - hidden) + w.horizon * hidden) * 255
            cv2.fillPoly(
                picture, [np.clip(corners * 16, -3e5, 3e5).astype(np.int32)],
                tuple(float(c) for c in colour), cv2.LINE_AA, 4,
            )  # fmt: skip


def _far_to_near(rows: Real, eye: Real) -> Real:
    return np.asarray(rows[np.argsort(-np.linalg.norm(rows[:, :2] - eye[:2], axis=1))])


def _look(tile: Array, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Array:
    """The tile at positions in its pixels, endlessly repeated."""
    column, row = (np.mod(p, _TILE).astype(np.float32) for p in (x, y))
    return np.asarray(
        cv2.remap(tile, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32
    )


def _tile(rng: np.random.Generator) -> Array:
    """Seamless cloudy noise, 0 to 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_TILE), np.fft.rfftfreq(_TILE), indexing="ij"))
    spectrum = np.fft.rfft2(rng.normal(size=(_TILE, _TILE)))
    spectrum *= np.exp(-((frequency / 0.16) ** 2)) / np.maximum(frequency, 3 / _TILE) ** 1.2
    noise = np.fft.irfft2(spectrum, (_TILE, _TILE))
    return np.asarray(np.clip(0.5 + noise / (noise.std() * 5), 0, 1), np.float32)


def _ridges(rng: np.random.Generator) -> Array:
    azimuth = np.linspace(0, 2 * np.pi, 1441)
    ranges = []
    for high in rng.uniform([0.05, 0.0], [0.28, 0.16]):
        line = np.zeros_like(azimuth)
        for octave in range(1, 8):
            wave = np.sin(azimuth * round(2.3 * 1.75**octave) + rng.uniform(0, 6))
            line += (1 - np.abs(wave)) / 1.8**octave
        ranges.append(high * (0.3 + line / line.max()))
    return np.array(ranges, np.float32)


def _forest(rng: np.random.Generator, course: Course) -> Real:
    count = int(rng.choice([0, 12, 40, 110]))
    near = course.radius * 1.15 + (26 if course.moving else 18)
    away = rng.uniform(near, near + 45, count)
    azimuth = rng.uniform(0, 2 * np.pi, count) if rng.random() < 0.5 else rng.normal(0, 1.2, count)
    azimuth = azimuth + rng.uniform(0, 6)
    return np.stack(
        [
            away * np.cos(azimuth),
            away * np.sin(azimuth),
            rng.uniform(3, 12, count),
            rng.random(count),
        ],
        1,
    )


def _posts(rng: np.random.Generator, course: Course) -> Real:
    """Slalom poles on the inner side of some turns, beside the track and apart from each other."""
    count = int(rng.integers(1, 4)) * (3 if course.moving else 1)
    track = course.track
    rows = rng.integers(0, len(track) - 1, 80)
    inside = np.sign(course.signal("lean")[rows])[:, None]
    chosen: list[Real] = []
    for xy in track[rows] + course.left[rows] * inside * 1.3:
        clear = np.linalg.norm(track - xy, axis=1).min() > 0.8
        if clear and all(np.linalg.norm(xy - other) > 2 for other in chosen):
            chosen.append(xy)
    posts = np.array(chosen[:count]).reshape(-1, 2)
    return np.column_stack([posts, np.arange(len(posts)) % 2])


def _tracks(rng: np.random.Generator, course: Course, extent: float) -> Array:
    """Where skis went: the run itself and older, fainter ones."""
    pressed = np.zeros((_TRACK_PX, _TRACK_PX), np.uint8)
    scale = _TRACK_PX / extent * 16
    thick = max(1, round(0.07 * _TRACK_PX / extent))
    for older in range(int(rng.integers(1, 7))):
        shift = rng.normal(0, 0.25 if older == 0 else 0.3 * course.radius, 2)
        turn = 0.0 if older == 0 else rng.uniform(0, 6)
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        path = course.track @ spin.T + shift
        aside = course.left @ spin.T * 0.16
        for side in (aside, -aside):
            points = ((path + side + extent / 2) * scale).astype(np.int32)
            cv2.polylines(
                pressed,
                [np.ascontiguousarray(points[::4])],
                True,
                int(rng.uniform(60, 220)),
                thick,
                cv2.LINE_AA,
                4,
            )
    return (cv2.GaussianBlur(pressed, (0, 0), 1.2) / 255).astype(np.float32)
