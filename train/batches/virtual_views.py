"""Endless virtual views: synthetic bodies before random perspective cameras, with the errors of an
imperfect 2D detector.

Every batch is new and drawn from one torch generator, so a run is exactly resumable.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.geometry import body_rotation, rotation_about, unit_length
from cvsf.skeleton import JointSet
from train.batches.body_augmentation import Bodies

# how often a joint is hidden, relative to the average, as bench/make_multiview.py has it; its
# values are guesses, not measured
_HIDDEN = {
    "hip": 0.1, "rhip": 0.4, "lhip": 0.4, "spine": 0.1, "thorax": 0.1, "head": 0.3,
    "lshoulder": 0.5, "rshoulder": 0.5, "rankle": 1.2, "lankle": 1.2, "lelbow": 1.3,
    "relbow": 1.3, "lwrist": 1.8, "rwrist": 1.8,
}  # fmt: skip
_SWAPPED = (
    ("knee", "ankle"),
    ("elbow", "wrist"),
    ("hip", "knee", "ankle"),
    ("shoulder", "elbow", "wrist"),
)


@dataclass(frozen=True, slots=True)
class Views:
    """Detections of B bodies in V views, and the truth."""

    pose2d: Float[Tensor, "B V J 2"]  # image plane, arbitrary scale
    confidence: Float[Tensor, "B V J"]
    truth2d: Float[Tensor, "B V J 2"]  # where the joints really project
    canonical: Float[Tensor, "B J 3"]  # body frame, unit scale
    view_from_canonical: Float[Tensor, "B V 3 3"]


class VirtualViews:
    """Draws `Views` without end."""

    def __init__(
        self, joints_mm: Float[Tensor, "N J 3"], joint_set: JointSet, random: torch.Generator
    ) -> None:
        self.joint_set = joint_set
        self.random = random
        self._bodies = Bodies(joints_mm, joint_set)
        self._hidden = torch.tensor([_HIDDEN.get(j, 1.0) for j in joint_set.joints])

    def draw(self, instants: int, views: int) -> Views:
        """`instants` new synthetic bodies, each seen by as many new cameras as `views` says, with a
        detector's errors. It advances the generator, which alone determines the result.
        """
        return self.observe(self._bodies.draw(instants, self.random), views)

    def observe(self, joints: Float[Tensor, "B J 3"], views: int) -> Views:
        """What that many new cameras, 3 to 18 m away, and a simulated detector see of bodies: 2D on
        the image plane (x right, y down, no unit) and canonical poses at unit scale. `joints` are
        in metres, z up, the pelvis at the origin. A hidden joint has confidence 0 or an uncertain
        place; the generator advances.
        """
        instants = len(joints)
        body = body_rotation(joints, self.joint_set)
        canonical = joints @ body.mT
        view_from_world, distance = self._cameras(instants, views)
        view_from_canonical = view_from_world @ body.mT[:, None]
        shape = (instants, 1, len(self.joint_set), 3)
        moved = canonical[:, None] + 0.02 * self._normal(*shape) * self._uniform(
            0, 1, instants, 1, 1, 1
        )
        truth2d = self._projected(canonical[:, None], view_from_canonical, distance)
        pose2d = self._projected(moved, view_from_canonical, distance)
        pose2d, confidence = self._detected(pose2d)
        pose2d, confidence = self._without_midpoints(pose2d, confidence)
        scale = unit_length(canonical, self.joint_set)[:, None, None]
        return Views(pose2d, confidence, truth2d, canonical / scale, view_from_canonical)

    def _cameras(self, instants: int, views: int) -> tuple[Tensor, Tensor]:
        """Rotations from z-up world to view axes (right, down, forward) around tilted bodies;
        distances in metres.
        """
        start = self._uniform(0, 2 * math.pi, instants, 1)
        around = 2 * math.pi * torch.arange(views) / views
        azimuth = start + around + 0.5 * self._normal(instants, views)
        elevation = self._uniform(-0.3, 0.75, instants, views)
        roll = 0.1 * self._normal(instants, views)
        level = torch.tensor(
            [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]
        )  # looking along +x
        looking = rotation_about(1, elevation) @ rotation_about(2, azimuth).mT
        view_from_world = rotation_about(2, roll) @ level @ looking
        tilt = self._uniform(0, math.radians(60), instants) * (self._uniform(0, 1, instants) < 0.5)
        about = self._uniform(0, 2 * math.pi, instants)
        turn = rotation_about(2, about)
        tilted = turn @ rotation_about(0, tilt) @ turn.mT
        return view_from_world @ tilted[:, None], self._uniform(3.0, 18.0, instants, views)

    def _projected(self, joints: Tensor, view_from_canonical: Tensor, distance: Tensor) -> Tensor:
        local = joints @ view_from_canonical.mT
        aside = 0.03 * self._normal(
            *local.shape[:2], 1, 2
        )  # the ray through the pelvis is not exactly known
        depth = local[..., 2:] / distance[..., None, None] + 1
        return (local[..., :2] - aside * local[..., 2:]) / depth

    def _detected(self, pose2d: Tensor) -> tuple[Tensor, Tensor]:
        """2D and confidence by a detector of random quality: make_multiview's errors, wider."""
        instants, views, joints, _ = pose2d.shape
        size = (pose2d.amax(-2) - pose2d.amin(-2)).norm(dim=-1)[..., None, None]
        bias = self._normal(instants, 1, joints, 2) * self._uniform(0.002, 0.012, instants, 1, 1, 1)
        noise = self._normal(*pose2d.shape) * self._uniform(0.003, 0.016, instants, views, 1, 1)
        confidence = (0.9 + 0.05 * self._normal(instants, views, joints)).clamp(0.5, 1)
        often = self._uniform(0.02, 0.14, instants, 1, 1) * self._hidden
        hidden = self._uniform(0, 1, instants, views, joints) < often
        unsure = (0.45 + 0.2 * self._normal(instants, views, joints)).clamp(0.05, 0.95)
        gone = self._uniform(0, 1, instants, views, joints) < 0.25
        confidence = torch.where(hidden, torch.where(gone, torch.zeros(()), unsure), confidence)
        offset = hidden[..., None] * self._normal(*pose2d.shape) * 0.11
        pose2d = pose2d + size * (bias + noise + offset)
        pose2d, confidence = self._swapped(pose2d, confidence)
        modest = torch.where(
            self._uniform(0, 1, instants, views, 1) < 0.4,
            self._uniform(0.4, 1, instants, views, 1),
            torch.ones(()),
        )
        return pose2d, confidence * modest

    def _swapped(self, pose2d: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Left and right exchanged in some views."""
        for group in _SWAPPED:
            a = [self.joint_set.index("l" + j) for j in group]
            b = [self.joint_set.index("r" + j) for j in group]
            order = list(range(len(self.joint_set)))
            for i, k in zip(a, b, strict=True):
                order[i], order[k] = k, i
            now = self._uniform(0, 1, *pose2d.shape[:2], 1) < 0.008
            touched = torch.zeros(len(order), dtype=torch.bool)
            touched[a + b] = True
            pose2d = torch.where(now[..., None], pose2d[..., order, :], pose2d)
            confidence = torch.where(now & touched, confidence[..., order] * 0.8, confidence)
        return pose2d, confidence

    def _without_midpoints(self, pose2d: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Half of the bodies as a COCO detector gives them: midpoints for hip, thorax and spine, no
        head.
        """
        at = {name: i for i, name in enumerate(self.joint_set.joints)}
        pose2d, confidence = pose2d.clone(), confidence.clone()
        coco = self._uniform(0, 1, len(pose2d), 1) < 0.5
        for target, a, b in (
            ("hip", "lhip", "rhip"),
            ("thorax", "lshoulder", "rshoulder"),
            ("spine", "hip", "thorax"),
        ):
            middle = (pose2d[:, :, at[a]] + pose2d[:, :, at[b]]) / 2
            lesser = torch.minimum(confidence[:, :, at[a]], confidence[:, :, at[b]])
            pose2d[:, :, at[target]] = torch.where(
                coco[..., None], middle, pose2d[:, :, at[target]]
            )
            confidence[:, :, at[target]] = torch.where(coco, lesser, confidence[:, :, at[target]])
        headless = coco & (self._uniform(0, 1, len(pose2d), 1) < 0.85)
        confidence[:, :, at["head"]] *= ~headless
        return pose2d, confidence

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.random)

    def _uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(*shape).uniform_(low, high, generator=self.random)
