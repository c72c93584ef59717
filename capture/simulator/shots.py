"""Shots: what one camera needs to draw a moment, computed for many moments at once.

A shot follows from the seed, the camera and the clock; only its pixels leave the process.
"""

from dataclasses import dataclass

import numpy as np

from capture.simulator.clothing import dress
from capture.simulator.course import Course, Stamps
from capture.simulator.lighting import Weather
from capture.simulator.mesh import Figure, cross, facet_normals, make_figure, surface
from capture.simulator.scene import Slope, Viewpoint, camera_at, project
from capture.simulator.scenery import Land, make_land
from capture.simulator.skier import Pose, pose_skier
from cvsf.shapes import Array, Bool, Float, Int, Mask, Real
from cvsf.skeleton import H36M_16

_SHADOW_LIMBS = (
    (0.16, "hip", "thorax"), (0.11, "thorax", "head"), (0.09, "lhip", "lknee"),
    (0.09, "rhip", "rknee"),
    (0.075, "lknee", "lankle"), (0.075, "rknee", "rankle"), (0.06, "lshoulder", "lelbow"),
    (0.06, "rshoulder", "relbow"), (0.05, "lelbow", "lwrist"), (0.05, "relbow", "rwrist"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The slope, the land and the clothed mesh of a seed, the same for all cameras."""

    slope: Slope
    land: Land
    figure: Figure
    reflectance: Float[Array, "F 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Everything one camera needs to draw one moment."""

    raw_ns: int
    joints: Float[Real, "J 3"]  # world metres
    rotation: Float[Real, "3 3"]
    focal_px: float
    local: Float[Array, "vertices 3"]  # in the camera's axes, metres
    facing: Bool[Mask, "F"]  # towards the camera
    lit: Float[Array, "F 3"]  # 0 to 255
    poles: Float[Real, "2 2 3"]  # grips and tips in the camera's axes
    shadow: Float[Real, "limbs 4 3"]  # on the snow, world
    skier_streak: Float[Real, "2"]  # pixels the skier moves while the shutter is open
    ground_streak: Float[Real, "2"]  # and the snow below him


def set_stage(seed: int, slope: Slope) -> Stage:
    """Land, mesh and clothes of a seed with its slope, the same for all cameras. `slope` must be of
    the same seed, which is not checked. The land is that of the slope's first take, the mesh the
    same for every seed.
    """
    figure = make_figure()
    return Stage(
        slope=slope,
        land=make_land(seed, slope.first),
        figure=figure,
        reflectance=dress(figure, seed).astype(np.float32),
    )


def film(stage: Stage, view: Viewpoint, raw_ns: Int[Stamps, "T"]) -> list[Shot]:
    """The shots of one camera at T clock times (ns), in their order, not drawn yet; many at once
    cost little more than one. The skier is that of the stage's slope, with his pose at the time
    itself. The streaks are movements in the picture (px, x right, y down) from that time to the end
    of the shutter time. Arrays of the shots are parts of common arrays, so one shot keeps all of
    them in memory.
    """
    slope, weather, count = stage.slope, stage.land.weather, len(raw_ns)
    later = raw_ns + round(weather.shutter_s * 1e9)
    pose = pose_skier(slope.build, slope.course, np.concatenate([raw_ns, later]))
    pelvis = pose.joints[:, H36M_16.index("hip")]
    rotation, focal = camera_at(view, np.concatenate([raw_ns, later]), pelvis)
    here = np.concatenate([pelvis[:count, None], pelvis[count:, None]], 1)
    _, now_px = project(here, view.eye, rotation[:count], focal[:count], view.size)
    _, later_px = project(here, view.eye, rotation[count:], focal[count:], view.size)
    first = Pose(**{name: getattr(pose, name)[:count] for name in Pose.__slots__})
    vertices = surface(stage.figure, slope.build, first)
    near = (vertices - view.eye).astype(np.float32)  # float32 is enough this near to the camera
    normals = facet_normals(stage.figure, near)
    centre = near[:, stage.figure.corners[:, 0]]
    facing = (normals * centre).sum(-1) < 0
    lit = stage.reflectance * _light(weather, normals) * 255
    local = near @ np.swapaxes(rotation[:count], 1, 2).astype(np.float32)
    poles = np.stack([_grips(first), first.pole_tip], 2) - view.eye
    poles = poles @ np.swapaxes(rotation[:count], 1, 2)[:, None]
    shadow = _shadow(slope.course, weather, first)
    return [
        Shot(
            raw_ns=int(raw_ns[i]), joints=first.joints[i],
            rotation=rotation[i], focal_px=float(focal[i]),
            local=local[i], facing=facing[i], lit=lit[i], poles=poles[i], shadow=shadow[i],
            skier_streak=later_px[i, 1] - now_px[i, 0], ground_streak=later_px[i, 0] - now_px[i, 0],
        )
        for i in range(count)
    ]  # fmt: skip


def _light(weather: Weather, normals: Float[Array, "T F 3"]) -> Float[Array, "T F 3"]:
    """Light on facets: of the sun, of the sky above and of the snow below."""
    facing_sun = np.clip(normals @ weather.sun.astype(np.float32), 0, None)[..., None]
    snow = 0.36 * (weather.skylight + weather.sunlight * weather.sun[2])
    even = (0.6 * weather.skylight + 0.5 * snow).astype(np.float32)
    upward = (0.3 * weather.skylight - 0.5 * snow).astype(np.float32)
    light: Array = weather.sunlight.astype(np.float32) * facing_sun + even
    light += upward * normals[..., 2:]
    return light


def _grips(pose: Pose) -> Float[Real, "T 2 3"]:
    """The hands' places on the poles, just beyond the wrists."""
    wrist, elbow = (
        pose.joints[:, [H36M_16.index(f"{side}{joint}") for side in "lr"]]
        for joint in ("wrist", "elbow")
    )
    way = wrist - elbow
    grip = wrist + 0.07 * way / np.linalg.norm(way, axis=-1, keepdims=True)
    down = pose.pole_tip - grip
    return np.asarray(grip - 0.1 * down / np.linalg.norm(down, axis=-1, keepdims=True))


def _shadow(course: Course, weather: Weather, pose: Pose) -> Float[Real, "T limbs 4 3"]:
    """Shadows of limbs, skis and poles on the snow: quadrilaterals in the world."""
    ends = [(H36M_16.index(a), H36M_16.index(b)) for _, a, b in _SHADOW_LIMBS]
    limbs = pose.joints[:, ends]
    skis = np.stack([pose.sole - 0.75 * pose.ski[:, :, 1], pose.sole + 0.85 * pose.ski[:, :, 1]], 2)
    poles = np.stack([_grips(pose), pose.pole_tip], 2)
    limbs = np.concatenate([limbs, skis, poles], 1)
    width = np.array([w for w, _, _ in _SHADOW_LIMBS] + [0.05] * 2 + [0.012] * 2)
    light = weather.sun if weather.sharp else np.array([0.0, 0.0, 1.0])
    fall = (limbs @ course.normal) / (light @ course.normal)
    flat = limbs - fall[..., None] * light
    way = flat[:, :, 1] - flat[:, :, 0]
    long = np.linalg.norm(way, axis=-1, keepdims=True)
    along = way / np.maximum(long, 1e-6)
    aside = cross(course.normal, along) * width[:, None]
    along = along * width[:, None] * 0.6
    a, b = flat[:, :, 0] - along, flat[:, :, 1] + along
    return np.stack([a + aside, b + aside, b - aside, a - aside], 2)
