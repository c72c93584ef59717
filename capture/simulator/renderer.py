"""Pictures of the slope: the lit skier over the painted background, with shadow, blur and snow.

A picture is a function of the seed, the camera and the moment, drawn in a few milliseconds.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from capture.simulator.background import Backdrop
from capture.simulator.scene import Viewpoint, camera_at
from capture.simulator.scenery import draw_post
from capture.simulator.shots import Shot, Stage
from capture.simulator.skier import pose_skier
from cvsf.shapes import Float, Picture, Real, UInt8
from cvsf.skeleton import H36M_16

_FINE = 2
"""The skier is drawn this many times larger, then shrunk, for smooth edges. A guess, not
measured.
"""

_PEDESTAL = 10
"""Grey values subtracted before the sensor's noise, which has this mean, is added."""


class Painter:
    """One camera's pictures: holds its background, its noise and its flakes."""

    def __init__(self, stage: Stage, view: Viewpoint, index: int) -> None:
        self._stage, self._view = stage, view
        rng = np.random.default_rng([stage.slope.seed, 8, index])
        width, height = view.size
        weather = stage.land.weather
        noise = rng.normal(_PEDESTAL, weather.noise, (height + 64, width + 64, 3))
        self._noise = np.clip(noise.round(), 0, 255).astype(np.uint8)
        self._flakes = rng.uniform(0, 1, (weather.flakes, 3))
        self._phase = float(rng.uniform(0, 6))
        self._backdrop = Backdrop(stage.land, view)

    def prepare(self) -> None:
        """Paint the background of the whole run now rather than when the first picture needs it; it
        takes much longer than a picture.
        """
        slope, view = self._stage.slope, self._view
        stamps = np.arange(0, slope.course.period_ns, 200_000_000 if view.follows else 10**12)
        pelvis = pose_skier(slope.build, slope.course, stamps).joints[:, H36M_16.index("hip")]
        for rotation, focal_px in zip(*camera_at(view, stamps, pelvis), strict=True):
            self._backdrop.prepare(rotation, float(focal_px))

    def paint(self, shot: Shot) -> UInt8[Picture, "H W 3"]:
        """A new picture of a shot, BGR, 8 bits, with the sensor's noise; the same shot gives the
        same picture. The skier, or his shadow, is left out where a part of it is less than 0.5 m in
        front of the camera.
        """
        gain = self._gain(shot.raw_ns)
        picture = self._backdrop.picture(
            shot.rotation, shot.focal_px, shot.ground_streak, gain, _PEDESTAL
        )
        self._draw_shadow(picture, shot)
        self._draw_skier(picture, shot, gain)
        self._draw_posts(picture, shot, gain)
        self._draw_flakes(picture, shot, gain)
        mixed = (shot.raw_ns // 1_000_000 * 2654435761) & 0xFFFFFFFF
        across, down = mixed >> 8 & 63, mixed >> 16 & 63
        height, width = picture.shape[:2]
        return np.asarray(
            cv2.add(picture, self._noise[down : down + height, across : across + width])
        )

    def _gain(self, raw_ns: int) -> Float[Real, "3"]:
        """Exposure and white balance, which drift, per channel."""
        amount, colour, phase, waves = self._stage.land.weather.drift
        period_ns = self._stage.slope.course.period_ns
        turn = 2 * np.pi * (raw_ns % period_ns) / period_ns
        swing = np.sin(turn * waves + phase + self._phase)
        warm = np.sin(turn * (waves + 1) + self._phase) * colour
        gain: Real = (1 + amount * swing) * np.array([1 - warm, 1.0, 1 + warm])
        return gain

    def _pixels(self, local: npt.NDArray[Any], focal_px: float) -> Real:
        px: Real = focal_px * local[..., :2] / np.maximum(local[..., 2:], 0.3)
        return px + np.array(self._view.size) / 2

    def _draw_shadow(self, picture: Picture, shot: Shot) -> None:
        local = (shot.shadow - self._view.eye) @ shot.rotation.T
        if local[..., 2].min() < 0.5:
            return
        px = self._pixels(local, shot.focal_px)
        box = _box(px.reshape(-1, 2), 6, self._view.size)
        if box is None:
            return
        x0, y0, x1, y1 = box
        weather = self._stage.land.weather
        depth = weather.direct * 0.85 + 0.1
        tone = tuple(float(c) for c in 255 * (1 - depth))
        shade = np.full((y1 - y0, x1 - x0, 3), 255, np.uint8)
        for corners in ((px - (x0, y0)) * 16).astype(np.int32):
            cv2.fillConvexPoly(shade, corners, tone, cv2.LINE_AA, 4)
        soft = 3 if weather.sharp else 9
        region = picture[y0:y1, x0:x1]
        cv2.multiply(region, cv2.blur(shade, (soft, soft)), dst=region, scale=1 / 255)

    def _draw_skier(self, picture: Picture, shot: Shot, gain: Real) -> None:
        if shot.local[:, 2].min() < 0.5:
            return
        px = self._pixels(shot.local, shot.focal_px)
        poles = self._pixels(shot.poles, shot.focal_px)
        reach = 3 + int(np.abs(shot.skier_streak).max())
        box = _box(np.concatenate([px, poles.reshape(-1, 2)]), min(reach, 40), self._view.size)
        if box is None:
            return
        x0, y0, x1, y1 = box
        fine = np.zeros(((y1 - y0) * _FINE, (x1 - x0) * _FINE, 4), np.uint8)
        corners, colours = self._polygons(shot, px, poles, gain)
        corners = ((corners - (x0, y0)) * (_FINE * 16)).astype(np.int32)
        for polygon, colour in zip(corners, colours.tolist(), strict=True):
            cv2.fillConvexPoly(fine, polygon, colour, cv2.LINE_8, 4)
        layer = cv2.resize(fine, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        layer = streaked(np.asarray(layer, np.uint8), shot.skier_streak)
        keep = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(layer, 3)), cv2.COLOR_GRAY2BGR)
        region = picture[y0:y1, x0:x1]
        cv2.multiply(region, keep, dst=region, scale=1 / 255)
        cv2.add(region, cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR), dst=region)

    def _polygons(
        self,
        shot: Shot,
        px: Float[Real, "vertices 2"],
        poles: Float[Real, "2 2 2"],
        gain: Float[Real, "3"],
    ) -> tuple[Float[Real, "n 4 2"], Float[Real, "n 4"]]:
        """Visible quadrilaterals from far to near, and their opaque colours."""
        corners = self._stage.figure.corners[shot.facing]
        depth = shot.local[corners, 2].mean(1)
        lit = np.clip(shot.lit[shot.facing] * gain - _PEDESTAL, 0, 255)
        rods, rod_depth = _rods(poles, shot)
        light = self._stage.land.weather.lamp
        rod_lit = np.repeat(np.clip(60 * light * gain - _PEDESTAL, 0, 255)[None], len(rods), 0)
        order = np.argsort(-np.concatenate([depth, rod_depth]))
        shapes = np.concatenate([px[corners], rods])[order]
        colours = np.concatenate([lit, rod_lit])[order]
        return shapes, np.column_stack([colours, np.full(len(colours), 255.0)])

    def _draw_posts(self, picture: Picture, shot: Shot, gain: Real) -> None:
        """Gates nearer than the skier hide him."""
        land, eye = self._stage.land, self._view.eye
        skier = float(np.linalg.norm(shot.joints[H36M_16.index("hip"), :2] - eye[:2]))
        distance = np.linalg.norm(land.posts[:, :2] - eye[:2], axis=1)
        for x, y, which in land.posts[distance < skier]:
            colour = land.post_colour[int(which)] * land.weather.lamp * 255 * gain - _PEDESTAL
            draw_post(
                picture, land.course, eye, shot.rotation, shot.focal_px, np.array([x, y]),
                np.clip(colour, 0, 255),
            )  # fmt: skip

    def _draw_flakes(self, picture: Picture, shot: Shot, gain: Real) -> None:
        """Falling snow in a box in front of the camera."""
        if not len(self._flakes):
            return
        weather, room = self._stage.land.weather, np.array([7.0, 7.0, 5.0])
        fallen = weather.wind * (shot.raw_ns / 1e9 % 7000)
        world = np.mod(self._flakes * room + fallen - self._view.eye, room) - room / 2
        local = world @ shot.rotation.T
        local = local[local[:, 2] > 0.9]
        wide = self._view.size[0] * 1.1
        px = wide * local[:, :2] / local[:, 2:] + np.array(self._view.size) / 2
        step = wide * (weather.wind @ shot.rotation.T)[:2] * weather.shutter_s / local[:, 2:]
        tone = np.clip(weather.lamp * 260 * gain, 0, 255).tolist()
        thick = np.clip(wide * 0.007 / local[:, 2], 1, 4).round().astype(int).tolist()
        ends = (np.stack([px, px + step], 1) * 8).astype(np.int32).tolist()
        for (start, end), width in zip(ends, thick, strict=True):
            cv2.line(picture, start, end, tone, width, cv2.LINE_8, 3)


def streaked(layer: UInt8[Picture, "H W C"], streak: Float[Real, "2"]) -> UInt8[Picture, "H W C"]:
    """The picture smeared along the vector `streak` (px; x right, y down) about where it was, as by
    motion during the exposure. Below 2 px the picture itself is returned; a longer streak than 15
    px is shortened.
    """
    steps = int(min(15, np.abs(streak).max()))
    if steps < 2:
        return layer
    half = steps // 2 + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    way = np.linspace(-0.5, 0.5, steps)[:, None] * streak[::-1] * min(1, 15 / np.abs(streak).max())
    row, column = (way.round().astype(int) + half).T
    kernel[row.clip(0, 2 * half), column.clip(0, 2 * half)] = 1
    return np.asarray(cv2.filter2D(layer, -1, kernel / kernel.sum()), np.uint8)


def _rods(poles: Float[Real, "2 2 2"], shot: Shot) -> tuple[Float[Real, "n 4 2"], Float[Real, "n"]]:
    """Poles as thin quadrilaterals in pixels, and their depth."""
    at = np.linspace(0, 1, 6)
    line = poles[:, :1] + at[:, None] * (poles[:, 1:] - poles[:, :1])  # (2, 6, 2)
    depth = shot.poles[:, :1, 2] + at * (shot.poles[:, 1:, 2] - shot.poles[:, :1, 2])
    way = poles[:, 1] - poles[:, 0]
    aside = (
        np.stack([-way[:, 1], way[:, 0]], 1)
        / np.maximum(np.linalg.norm(way, axis=1), 1e-6)[:, None]
    )
    half = np.maximum(0.009 * shot.focal_px / depth, 0.45)[..., None] * aside[:, None]
    near, far = line + half, line - half
    quads = np.stack([near[:, :-1], near[:, 1:], far[:, 1:], far[:, :-1]], 2)
    return quads.reshape(-1, 4, 2), (depth[:, 1:] + depth[:, :-1]).reshape(-1) / 2


def _box(px: Real, margin: int, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The part of the picture that holds the points, None where that is nothing."""
    low = np.maximum(np.floor(px.min(0)) - margin, 0)
    high = np.minimum(np.ceil(px.max(0)) + margin, size)
    if (high - low < 2).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
