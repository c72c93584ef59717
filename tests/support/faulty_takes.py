"""Takes of recorded motion with one fault each, as phones and webcams make them.

Cameras and the detector's errors are those of `make_multiview.py` in the shared bench folder; the
fault comes after the detector. The truth and the 2D before the fault stay beside the take.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.skeleton import H36M_16
from tests.support.paths import ROOT

Array = npt.NDArray[Any]

IMAGE_PX = (1920.0, 1080.0)
_SHARED = ROOT.parent / "shared"
_LEAST_S, _MOST_S = 8.0, 22.0
_OTHER_M = 0.8, 2.0  # distance of another person


@dataclass(slots=True)
class FaultyTake:
    """One take of V views, N instants, joints in the order of h36m-16."""

    fps: float
    world_mm: Array  # (N, J, 3)
    R: Array  # (N, V, 3, 3)
    t_mm: Array  # (N, V, 3)
    focal_px: Array  # (N, V)
    keypoints_px: Array  # (N, V, J, 2), with the fault
    confidence: Array  # (N, V, J)
    before: tuple[Array, Array]  # keypoints and confidence before the fault
    size_px: Array  # (V, 2)
    delay_s: Array  # (V,)
    bad: list[int] = field(default_factory=list)  # views with the fault

    def cut(self, first: int, end: int) -> None:
        """Keep only the instants from `first` to before `end`."""
        for name in ("world_mm", "R", "t_mm", "focal_px", "keypoints_px", "confidence"):
            setattr(self, name, getattr(self, name)[first:end])
        self.before = (self.before[0][first:end], self.before[1][first:end])


def bench() -> ModuleType:
    """The shared `make_multiview.py` as a module."""
    path = _SHARED / "bench" / "make_multiview.py"
    spec = importlib.util.spec_from_file_location("make_multiview", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Motions:
    """Recorded motion of chosen people, in clips of 8 s and longer."""

    def __init__(self, subjects: tuple[str, ...]) -> None:
        self._bench = bench()
        file = np.load(_SHARED / "data" / "motion_cmu_public.npz", allow_pickle=False)
        names = [str(name) for name in file["joint_names"]]
        self._columns = [i for i, name in enumerate(names) if name != self._bench.DROP]
        self._names = [names[i] for i in self._columns]
        self._order = [self._names.index(joint) for joint in H36M_16.joints]
        self._bias = np.random.default_rng(0).normal(0, 0.006, (len(self._names), 2))
        people = [str(name) for name in file["subject_names"]]
        joints, clips = file["joints"], file["clip"]
        self._clips = []
        for clip in np.unique(clips):
            rows = np.flatnonzero(clips == clip)
            fps = float(file["clip_fps"][clip])
            if people[int(file["subject"][rows[0]])] in subjects and len(rows) >= _LEAST_S * fps:
                self._clips.append((joints[rows][:, self._columns].astype(float), fps))

    def take(
        self, random: np.random.Generator, views: int, *, pans: int | None = None
    ) -> FaultyTake:
        """A healthy take of a random clip before random still cameras; view `pans` follows the
        athlete and zooms.
        """
        world, fps = self._clips[int(random.integers(len(self._clips)))]
        world = world[: int(_MOST_S * fps)] * random.uniform(0.88, 1.12)
        R, t_mm, focal_px = self._bench.cameras(random, world, views, False)
        if pans is not None:
            eye = -np.einsum("nij,ni->nj", R[:, pans], t_mm[:, pans])
            _, _, zoom = self._bench.cameras(random, world, 1, True)
            target = world.mean(1) + 120 * self._bench.smooth_noise(random, len(world), 3, 15)
            R[:, pans] = self._bench.look_at(eye.copy(), target, np.zeros(len(world)))
            t_mm[:, pans] = -np.einsum("nij,nj->ni", R[:, pans], eye)
            focal_px[:, pans] = zoom[:, 0]
        keypoints, confidence = self.detect(random, world, (R, t_mm, focal_px), fps)
        return FaultyTake(
            fps=fps,
            world_mm=world[:, self._order],
            R=R,
            t_mm=t_mm,
            focal_px=focal_px,
            keypoints_px=keypoints.copy(),
            confidence=confidence.copy(),
            before=(keypoints, confidence),
            size_px=np.tile(np.array([IMAGE_PX], np.float32), (views, 1)),
            delay_s=np.zeros(views),
        )

    def another(self, random: np.random.Generator, take: FaultyTake, scale: float) -> Array:
        """Another person's motion (N, 16, 3) in mm, in the bench's order, near the first one."""
        world, _ = self._clips[int(random.integers(len(self._clips)))]
        count = len(take.world_mm)
        world = np.concatenate([world] * -(-count // len(world)))[:count] * scale
        level = np.array([1.0, 1.0, 0.0])
        return np.asarray(world + (take.world_mm[:, :1].mean(0) - world[0, :1]) * level)

    def in_order(self, world_mm: Array) -> Array:
        """Joints of the bench's order in that of h36m-16."""
        return np.asarray(world_mm[:, self._order])

    def detect(
        self,
        random: np.random.Generator,
        world_mm: Array,
        cameras: tuple[Array, Array, Array],
        fps: float,
    ) -> tuple[Array, Array]:
        """Keypoints and confidence that the bench's detector gives, in the order of h36m-16."""
        R, t_mm, focal_px = cameras
        local = np.einsum("nvij,nkj->nvki", R, world_mm) + t_mm[:, :, None]
        depth = np.maximum(local[..., 2:], 300)
        px = focal_px[..., None, None] * local[..., :2] / depth + np.array(IMAGE_PX) / 2
        found, confidence = self._bench.detect(random, px, self._names, self._bias, fps)
        return found[:, :, self._order].astype(np.float32), confidence[:, :, self._order].astype(
            np.float32
        )


def late(take: FaultyTake, delays_s: Array) -> None:
    """View v shows at stamp t what happened at t + delay; the ends without all views are cut."""
    count = len(take.world_mm)
    valid = np.ones(count, bool)
    for view in np.flatnonzero(delays_s):
        at = np.arange(count) + delays_s[view] * take.fps
        low = np.floor(at).astype(int)
        share = (at - low)[:, None, None]
        valid &= (low >= 0) & (low + 1 < count)
        low = low.clip(0, count - 2)
        px, confidence = take.keypoints_px[:, view], take.confidence[:, view]
        both = np.minimum(confidence[low], confidence[low + 1])
        take.confidence[:, view] = np.where(share[..., 0] < 1e-6, confidence[low], both)
        take.keypoints_px[:, view] = px[low] * (1 - share) + px[low + 1] * share
        take.bad.append(int(view))
    take.delay_s = delays_s
    kept = np.flatnonzero(valid)
    take.cut(int(kept[0]), int(kept[-1]) + 1)


def lose(take: FaultyTake, view: int, lost: npt.NDArray[np.bool_]) -> None:
    """One film without some frames; later ones are moved up, and all films end with it."""
    kept = np.flatnonzero(~lost)
    take.keypoints_px[: len(kept), view] = take.keypoints_px[kept, view]
    take.confidence[: len(kept), view] = take.confidence[kept, view]
    take.bad.append(view)
    take.cut(0, len(kept))


def mirror(take: FaultyTake, view: int) -> None:
    """A mirrored picture: the detector calls the left hand right."""
    other = list(H36M_16.mirrored)
    take.keypoints_px[:, view, :, 0] = take.size_px[view, 0] - take.keypoints_px[:, view, :, 0]
    take.keypoints_px[:, view] = take.keypoints_px[:, view][:, other]
    take.confidence[:, view] = take.confidence[:, view][:, other]
    take.bad.append(view)


def turn(take: FaultyTake, view: int, quarters: int) -> None:
    """A picture turned by quarters."""
    for _ in range(quarters):
        width, height = take.size_px[view]
        x, y = take.keypoints_px[:, view, :, 0].copy(), take.keypoints_px[:, view, :, 1].copy()
        take.keypoints_px[:, view, :, 0], take.keypoints_px[:, view, :, 1] = height - y, x
        take.size_px[view] = height, width
    take.bad.append(view)


def exchange(take: FaultyTake, a: int, b: int) -> None:
    """Two films exchanged from the middle on."""
    half = len(take.world_mm) // 2
    for array in (take.keypoints_px, take.confidence):
        array[half:, [a, b]] = array[half:, [b, a]]
    take.bad += [a, b]


def another_person(
    take: FaultyTake, motions: Motions, random: np.random.Generator, views: list[int]
) -> None:
    """Some views show another person for 3 to 6 s."""
    angle, away = random.uniform(0, 2 * np.pi), 1000 * random.uniform(*_OTHER_M)
    world = motions.another(random, take, random.uniform(0.88, 1.12))
    world = world + away * np.array([np.cos(angle), np.sin(angle), 0])
    found = motions.detect(random, world, (take.R, take.t_mm, take.focal_px), take.fps)
    length = int(random.uniform(3, 6) * take.fps)
    first = int(random.integers(max(1, len(world) - length)))
    rows = slice(first, first + length)
    for view in views:
        take.keypoints_px[rows, view], take.confidence[rows, view] = (a[rows, view] for a in found)
    take.bad += views


def adult_then_child(take: FaultyTake, motions: Motions, random: np.random.Generator) -> None:
    """From the middle on a child instead, perhaps after 2 s of nobody."""
    child = motions.another(random, take, random.uniform(0.55, 0.75))
    cameras = take.R, take.t_mm, take.focal_px
    keypoints, confidence = motions.detect(random, child, cameras, take.fps)
    half, pause = len(child) // 2, int(random.choice([0.0, 2.0]) * take.fps)
    take.keypoints_px[half:], take.confidence[half:] = keypoints[half:], confidence[half:]
    take.confidence[half : half + pause] = 0
    take.world_mm = np.concatenate([take.world_mm[:half], motions.in_order(child)[half:]])
    take.before = take.keypoints_px.copy(), take.confidence.copy()


Fault = Callable[[FaultyTake, Motions, np.random.Generator], None]


def one_that_pans(take: FaultyTake, motions: Motions, random: np.random.Generator) -> None:
    """Another take, in which one camera follows the athlete and zooms."""
    view = int(random.integers(take.confidence.shape[1]))
    other = motions.take(random, take.confidence.shape[1], pans=view)
    for part in fields(FaultyTake):
        setattr(take, part.name, getattr(other, part.name))
    take.bad = [view]


def _one(act: Callable[[FaultyTake, int], None]) -> Fault:
    return lambda take, motions, random: act(take, int(random.integers(take.R.shape[1])))


def _late(delay_s: float) -> Fault:
    def act(take: FaultyTake, view: int) -> None:
        late(take, delay_s * np.eye(take.R.shape[1])[view])

    return _one(act)


def _pair(take: FaultyTake, random: np.random.Generator) -> list[int]:
    return [int(view) for view in random.choice(take.R.shape[1], 2, replace=False)]


def _lost(share: float) -> Fault:
    def act(take: FaultyTake, motions: Motions, random: np.random.Generator) -> None:
        view = int(random.integers(take.R.shape[1]))
        lose(take, view, random.random(len(take.world_mm)) < share)

    return act


FAULTS: dict[str, tuple[int, Fault]] = {
    **{f"one {delay:g} s late": (4, _late(delay)) for delay in (0.1, 0.2, 0.4, 1, 2, 4)},
    "all apart by up to 0.8 s": (
        4,
        lambda take, motions, random: late(take, np.append(0, random.uniform(-0.4, 0.4, 3))),
    ),
    "10 % of one film lost": (4, _lost(0.1)),
    "one mirrored": (4, _one(mirror)),
    "one turned by 90": (4, _one(lambda take, view: turn(take, view, 1))),
    "one turned by 180": (4, _one(lambda take, view: turn(take, view, 2))),
    "two exchanged halfway": (
        4,
        lambda take, motions, random: exchange(take, *_pair(take, random)),
    ),
    "another person in one": (
        4,
        lambda take, motions, random: another_person(
            take, motions, random, [int(random.integers(4))]
        ),
    ),
    "another person in two": (
        4,
        lambda take, motions, random: another_person(take, motions, random, _pair(take, random)),
    ),
    "adult then child": (4, adult_then_child),
    "two views, one 0.4 s late": (2, _late(0.4)),
    "two views, 0.8 s apart": (2, lambda take, motions, random: late(take, np.array([0, 0.8]))),
    "two views, 10 % of one lost": (2, _lost(0.1)),
    "one pans, three stand still": (4, one_that_pans),
}
"""What goes wrong: number of views, and how."""
