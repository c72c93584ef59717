"""What the cameras of one session would have seen of another's bodies, by a detector that errs as
it did before their own.

Bodies are turned about the vertical only, for gravity is in every pose, and may go on from the hips
as another does. A detector's errors and its confidences are taken whole from one picture: its bias,
its jitter and what it loses come along.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cvsf.model.geometry import body_from, rotation_about, rotation_from_6d, unit, unit_length
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.batches.batch import Draw, Sample
from train.batches.body_augmentation import knees_bend_back, random_bends, strung
from train.config import TrainConfig
from train.data.memmap_store import Store
from train.data.temporal_windows import aimed_window, around
from train.distributed import Company

_RIGHT = (1.0, 0.0, 0.0)
_NEAR = 0.1
"""Of trunk and leg, before a camera: nothing is seen closer."""
_SURE = 0.03
"""A joint whose deviation is this share of trunk and leg, some 4 cm, weighs half."""


_LEGS = ("hip", "rhip", "rknee", "rankle", "lhip", "lknee", "lankle")
_UPPER = torch.tensor([joint not in _LEGS for joint in H36M_16.joints])
_PARENTS = [max(parent, 0) for parent in H36M_16.parents]


class _Chance(NamedTuple):
    """What makes B virtual views; two that are alike in all of it are one view."""

    row: Tensor  # (B, 4) of the store: whose body, whose camera, whose errors, whose upper half
    view: Tensor  # (B, 4) which of the views there, 0 to 1
    angle: Tensor  # (B,) about the vertical, radians
    bends: Tensor  # (B, J, 3, 3) of its bones in body axes


class _Seen(NamedTuple):
    """One view of each of B instants, and of the T instants of its window."""

    confidence: Tensor  # (B, T, J)
    image_px: Tensor  # (B, 2)
    joints: Tensor  # (B, T, J, 3) in the view's axes
    deviation: Tensor  # (B, J)
    residual: Tensor  # (B, T, J, 2)
    upright_from_view: Tensor  # (B, 3, 3) the first axis is up
    focal_px: Tensor  # (B,)


def from_placed(
    store: Store, config: TrainConfig, random: torch.Generator, company: Company
) -> Draw:
    """Endless virtual views of placed bodies; a share are the views as they were recorded."""
    if not store.is_placed:
        raise Refusal("variant stage3 needs sessions whose cameras were found; use another variant")
    kind = torch.float64 if config.precision == "float64" else torch.float32

    def draw() -> Sample:
        count = config.batch_instants * config.virtual_views
        chance = _drawn(count, len(store), config, random)
        mine = _Chance(*(company.share(part) for part in chance))
        sample = refilmed(store, mine, kind, config)
        return sample.each(lambda part: part.to(company.device))

    return draw


def _drawn(count: int, rows: int, config: TrainConfig, random: torch.Generator) -> _Chance:
    """A recorded view is a body before its own camera, with its own errors, not turned."""
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


def refilmed(store: Store, chance: _Chance, kind: torch.dtype, config: TrainConfig) -> Sample:
    """Bodies as the cameras of other instants would have seen them, each view by itself.

    With a window, a body moves on before a camera that stays as it was.
    """
    frames = config.frames
    body, camera, error, upper = (
        _one_view(store, chance.row[:, part], chance.view[:, part], kind, frames)
        for part in range(4)
    )
    body = _recombined(body, upper, chance.row[:, 0] != chance.row[:, 3])
    if config.bent_share:
        body = body._replace(joints=_bent(body.joints, chance.bends.to(kind)))
    middle = frames // 2
    heading = rotation_about(0, chance.angle.to(kind))
    turn = camera.upright_from_view.mT @ heading @ body.upright_from_view
    joints = (body.joints - body.joints[:, middle, None, :1]) @ turn[:, None].mT
    joints = joints + camera.joints[:, middle, None, :1]
    pixels = joints[..., :2] / joints[..., 2:].clamp_min(_NEAR)
    pixels = camera.focal_px[:, None, None, None] * pixels + camera.image_px[:, None, None] / 2
    size = (pixels.amax(-2) - pixels.amin(-2)).norm(dim=-1)[..., None, None]
    there = (body.confidence.amax(-1, keepdim=True) > 0).to(kind)
    pixels, confidence = pixels + size * error.residual, error.confidence * there
    plane, aimed = aimed_window(pixels, confidence, camera.image_px)
    local = (joints - joints[..., :1, :])[:, middle] @ aimed.aimed_from_view.mT
    frame = body_from(local, H36M_16)
    canonical = local @ frame.mT
    canonical = canonical / unit_length(canonical, H36M_16)[:, None, None]
    sure = 1 / (1 + (body.deviation / _SURE).square())
    if frames == 1:
        plane, confidence = plane[:, 0], confidence[:, 0]
    plane, confidence = plane[:, None], confidence[:, None]
    turned = frame.mT[:, None]
    return Sample(plane, confidence, confidence, canonical, turned, sure[:, None])


def _recombined(body: _Seen, upper: _Seen, which: Tensor) -> _Seen:
    """Some of the bodies with what another does above the hips, their bones as long as before."""
    bones, others = (seen.joints - seen.joints[..., _PARENTS, :] for seen in (body, upper))
    own, their = (body_from(seen.joints, H36M_16) for seen in (body, upper))
    turned = others @ (own.mT @ their).mT
    length = bones.square().sum(-1, keepdim=True).sqrt()
    taken = which[:, None, None] & _UPPER
    bones = torch.where(taken[..., None], length * unit(turned), bones)
    return body._replace(
        joints=body.joints[..., :1, :] + strung(bones, H36M_16),
        deviation=torch.where(taken[:, 0], upper.deviation, body.deviation),
        confidence=body.confidence * (upper.confidence.amax(-1, keepdim=True) > 0),
    )


def _bent(joints: Tensor, bends: Tensor) -> Tensor:
    """Bodies (B, T, J, 3) bent further than anybody recorded, all of a window alike; those whose
    knees would bend forwards stay as they were.
    """
    frame = body_from(joints, H36M_16)
    bones = (joints - joints[..., _PARENTS, :]) @ frame.mT
    bent = strung(bones, H36M_16, bends[:, None].expand(-1, joints.shape[1], -1, -1, -1))
    fine = knees_bend_back(bent, H36M_16).all(-1)[:, None, None, None]
    return torch.where(fine, joints[..., :1, :] + bent @ frame, joints)


def _one_view(store: Store, row: Tensor, chance: Tensor, kind: torch.dtype, frames: int) -> _Seen:
    """Of each instant and its window one of the views that saw the person."""
    index, there = around(store.clock, row.numpy(), frames)
    rows = store.rows(index.ravel())
    assert rows.placed is not None
    arrays = (
        *(rows.confidence, rows.image_px, rows.placed.joints, rows.placed.deviation),
        *(rows.placed.residual, rows.placed.camera),
    )
    windows = [
        torch.from_numpy(array.reshape(-1, frames, *array.shape[1:])).to(kind) for array in arrays
    ]
    present = windows[0][:, frames // 2].amax(-1) > 0
    order = (chance * present.sum(-1)).floor()
    view = (present.cumsum(-1) > order[:, None]).to(torch.uint8).argmax(-1)
    here = torch.arange(len(view))
    confidence, image, joints, deviation, residual, camera = (
        window[here, :, view] for window in windows
    )
    image, deviation, camera = (part[:, frames // 2] for part in (image, deviation, camera))
    right = camera.new_tensor(_RIGHT).expand(len(view), 3)
    return _Seen(
        confidence=confidence * torch.from_numpy(there).to(kind)[..., None],
        image_px=image,
        joints=joints,
        deviation=deviation,
        residual=residual,
        upright_from_view=rotation_from_6d(torch.cat([camera[:, :3], right], -1)),
        focal_px=camera[:, 3],
    )
