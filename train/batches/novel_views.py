"""Novel views: bodies of one session reprojected to cameras of another, with a detector's errors.

Bodies are rotated about the vertical only, for gravity is in every pose, and may have the upper
half of another body. A detector's residuals and confidences are taken whole from one picture: its
bias, its noise and its misses come along.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from cvsf.model.geometry import body_rotation, rotation_about, rotation_from_6d, unit, unit_length
from cvsf.skeleton import H36M_16, Array
from cvsf.system.errors import Refusal
from train.batches.batch import Batch, Draw
from train.batches.body_augmentation import from_bones, knees_bend_back, random_bends
from train.config import TrainConfig
from train.data.instants import PseudoLabels, Recordings
from train.data.memmap_store import Store
from train.data.temporal_windows import around, centred_window
from train.distributed import ProcessGroup

_NEAR = 0.1
"""Of trunk and leg: the least distance from a camera at which a joint is projected; a guess, not
measured."""
_HALF_WEIGHT = 0.03
"""A joint whose deviation is this share of trunk and leg, some 4 cm, weighs half; a guess, not
measured."""

_LEGS = ("hip", "rhip", "rknee", "rankle", "lhip", "lknee", "lankle")
_UPPER = torch.tensor([joint not in _LEGS for joint in H36M_16.joints])
_PARENTS = [max(parent, 0) for parent in H36M_16.parents]


class _Chance(NamedTuple):
    """What determines B novel views: equal rows give equal views."""

    row: Tensor  # (B, 4) of the store: for body, camera, residuals, upper half
    view: Tensor  # (B, 4) which of the views there, 0 to 1
    angle: Tensor  # (B,) about the vertical, radians
    bends: Tensor  # (B, J, 3, 3) of its bones in body axes


def from_pseudo_labels(
    store: Store, config: TrainConfig, random: torch.Generator, group: ProcessGroup
) -> Draw:
    """A function that draws novel views of pseudo-labelled bodies, on the group's device; a share
    are the views as recorded. Each call gives this process's part of `batch_instants` times
    `virtual_views` instants of one view, and advances `random`. Refusal at once if not all parts of
    the store have pseudo-labels.
    """
    if not store.has_pseudo_labels:
        raise Refusal("variant stage3 needs sessions with calibrated cameras; use another variant")
    kind = torch.float64 if config.precision == "float64" else torch.float32

    def draw() -> Batch:
        count = config.batch_instants * config.virtual_views
        chance = _drawn(count, len(store), config, random)
        own = _Chance(*(group.shard(part) for part in chance))
        return novel_views(store, own, kind, config).each(lambda part: part.to(group.device))

    return draw


def _drawn(count: int, rows: int, config: TrainConfig, random: torch.Generator) -> _Chance:
    """A recorded view is a body before its own camera, with its own residuals, not rotated."""
    row = torch.randint(rows, (count, 4), generator=random)
    view = torch.rand(count, 4, generator=random)
    angle = 2 * math.pi * torch.rand(count, generator=random)
    recorded = torch.rand(count, generator=random) < config.recorded_share
    row, view = (torch.where(recorded[:, None], part[:, :1], part) for part in (row, view))
    whole = torch.rand(count, generator=random) >= config.recombined_share
    row[:, 3] = torch.where(whole, row[:, 0], row[:, 3])
    bends = torch.eye(3).expand(count, len(H36M_16), 3, 3)
    if config.bent_share:
        bent = (torch.rand(count, generator=random) < config.bent_share) & ~recorded
        bends = torch.where(bent[:, None, None, None], random_bends(count, H36M_16, random), bends)
    return _Chance(row, view, torch.where(recorded, 0.0, angle), bends)


def novel_views(store: Store, chance: _Chance, kind: torch.dtype, config: TrainConfig) -> Batch:
    """Pseudo-labelled bodies reprojected to the cameras of other instants: B instants of one view
    each, 2D on the centred plane (no unit), the body in the canonical frame at unit scale. Equal
    `chance` gives an equal batch; a body without a person in it has confidence 0.

    With a window, the body moves before a camera that stays as it was at the middle frame.
    """
    frames, middle = config.frames, config.frames // 2

    def tensor(array: Array) -> Tensor:
        """(B * T, 1, ...), of instants with their windows, as (B, T, ...)."""
        return torch.from_numpy(array[:, 0].reshape(-1, frames, *array.shape[2:])).to(kind)

    views = [
        _one_view(store, chance.row[:, part], chance.view[:, part], frames) for part in range(4)
    ]
    body, camera, error, upper = (_labels(view) for view in views)
    confidences = [tensor(view.confidence) for view in views]
    joints, deviation = tensor(body.joints), tensor(body.deviation)[:, middle]
    recombined = chance.row[:, 0] != chance.row[:, 3]
    taken = recombined[:, None] & _UPPER
    joints = _recombined(joints, tensor(upper.joints), taken)
    deviation = torch.where(taken, tensor(upper.deviation)[:, middle], deviation)
    if config.bent_share:
        joints = _bent(joints, chance.bends.to(kind))
    root = tensor(camera.joints)[:, middle, None, :1]
    image_px = tensor(views[1].image_px)[:, middle]
    focal_px = tensor(camera.focal_px)[:, middle]
    heading = rotation_about(0, chance.angle.to(kind))
    level_from_view = [_level_from_view(tensor(labels.up)[:, middle]) for labels in (body, camera)]
    rotation = level_from_view[1].mT @ heading @ level_from_view[0]
    joints = (joints - joints[:, middle, None, :1]) @ rotation[:, None].mT + root
    keypoints = joints[..., :2] / joints[..., 2:].clamp_min(_NEAR)
    keypoints = focal_px[:, None, None, None] * keypoints + image_px[:, None, None] / 2
    size = (keypoints.amax(-2) - keypoints.amin(-2)).norm(dim=-1)[..., None, None]
    keypoints = keypoints + size * tensor(error.residual)
    present = [confidences[part].amax(-1, keepdim=True) > 0 for part in (0, 3)]
    confidence = confidences[2] * (present[0] & present[1])
    plane, centred = centred_window(keypoints, confidence, image_px)
    local = (joints - joints[..., :1, :])[:, middle] @ centred.centred_from_view.mT
    canonical_from_centred = body_rotation(local, H36M_16)
    canonical = local @ canonical_from_centred.mT
    canonical = canonical / unit_length(canonical, H36M_16)[:, None, None]
    if frames == 1:
        plane, confidence = plane[:, 0], confidence[:, 0]
    return Batch(
        plane=plane[:, None],
        confidence=confidence[:, None],
        input_confidence=confidence[:, None],
        canonical=canonical,
        view_from_canonical=canonical_from_centred.mT[:, None],
        joint_weight=1 / (1 + (deviation / _HALF_WEIGHT).square())[:, None],
    )


def _recombined(joints: Tensor, upper: Tensor, taken: Tensor) -> Tensor:
    """Bodies (B, T, J, 3) with the joints `taken` (B, J) as another body has them above the hips.

    Every bone keeps its length.
    """
    bones, others = (j - j[..., _PARENTS, :] for j in (joints, upper))
    own, other = (body_rotation(j, H36M_16) for j in (joints, upper))
    rotated = others @ (own.mT @ other).mT
    length = bones.square().sum(-1, keepdim=True).sqrt()
    bones = torch.where(taken[:, None, :, None], length * unit(rotated), bones)
    return joints[..., :1, :] + from_bones(bones, H36M_16)


def _bent(joints: Tensor, bends: Tensor) -> Tensor:
    """Bodies (B, T, J, 3) with every bone rotated by `bends` (B, J, 3, 3), alike in a window; those
    whose knees would bend forwards stay as they were.
    """
    frame = body_rotation(joints, H36M_16)
    bones = (joints - joints[..., _PARENTS, :]) @ frame.mT
    bent = from_bones(bones, H36M_16, bends[:, None].expand(-1, joints.shape[1], -1, -1, -1))
    fine = knees_bend_back(bent, H36M_16).all(-1)[:, None, None, None]
    return torch.where(fine, joints[..., :1, :] + bent @ frame, joints)


def _one_view(store: Store, row: Tensor, chance: Tensor, frames: int) -> Recordings:
    """Of each instant one of the views that detected the person, with the T instants of its window:
    B * T instants of one view, confidence 0 where the window has no instant.
    """
    index, there = around(store.clock, row.numpy(), frames)
    window = store.rows(index.ravel())
    detected = window.confidence.any(-1).reshape(-1, frames, store.views)
    present = torch.from_numpy(detected[:, frames // 2])
    order = (chance * present.sum(-1)).floor()
    view = (present.cumsum(-1) > order[:, None]).to(torch.uint8).argmax(-1)
    chosen = window.one_view_each(view.repeat_interleave(frames).numpy())
    return replace(chosen, confidence=chosen.confidence * there.reshape(-1, 1, 1))


def _labels(observations: Recordings) -> PseudoLabels:
    assert observations.pseudo_labels is not None
    return observations.pseudo_labels


def _level_from_view(up: Tensor) -> Tensor:
    """Rotations (B, 3, 3) from a view's axes to ones whose first axis is the vertical (B, 3)."""
    right = up.new_tensor([1.0, 0.0, 0.0]).expand(len(up), 3)
    return rotation_from_6d(torch.cat([up, right], -1))
