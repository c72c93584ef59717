"""What the cameras of one session would have seen of another's bodies, by a detector that errs as
it did before their own.

Bodies are turned about the vertical only, for gravity is in every pose. A detector's errors and its
confidences are taken whole from one picture: its bias, its jitter and what it loses come along.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cvsf.fusion import aim
from cvsf.geometry import body_from, rotation_about, rotation_from_6d, unit_length
from cvsf.refusal import Refusal
from cvsf.skeleton import H36M_16
from train.config import TrainConfig
from train.parallel import Company
from train.samples import Draw, Sample
from train.store import Rows, Store

_RIGHT = (1.0, 0.0, 0.0)
_NEAR = 0.1
"""Of trunk and leg, before a camera: nothing is seen closer."""
_SURE = 0.03
"""A joint whose deviation is this share of trunk and leg, some 4 cm, weighs half."""


class _Chance(NamedTuple):
    """What makes B virtual views; two that are alike in all of it are one view."""

    row: Tensor  # (B, 3) of the store: whose body, whose camera, whose errors
    view: Tensor  # (B, 3) which of the views there, 0 to 1
    angle: Tensor  # (B,) about the vertical, radians


class _Seen(NamedTuple):
    """One view of each of B instants."""

    confidence: Tensor  # (B, J)
    image_px: Tensor  # (B, 2)
    joints: Tensor  # (B, J, 3) in the view's axes
    deviation: Tensor  # (B, J)
    residual: Tensor  # (B, J, 2)
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
        chance = _drawn(count, len(store), config.recorded_share, random)
        mine = _Chance(*(company.share(part) for part in chance))
        return refilmed(store, mine, kind).each(lambda part: part.to(company.device))

    return draw


def _drawn(count: int, rows: int, recorded_share: float, random: torch.Generator) -> _Chance:
    """A recorded view is a body before its own camera, with its own errors, not turned."""
    row = torch.randint(rows, (count, 3), generator=random)
    view = torch.rand(count, 3, generator=random)
    angle = 2 * math.pi * torch.rand(count, generator=random)
    recorded = torch.rand(count, generator=random) < recorded_share
    row, view = (torch.where(recorded[:, None], part[:, :1], part) for part in (row, view))
    return _Chance(row, view, torch.where(recorded, 0.0, angle))


def refilmed(store: Store, chance: _Chance, kind: torch.dtype) -> Sample:
    """Bodies as the cameras of other instants would have seen them, each view by itself."""
    body, camera, error = (
        _one_view(store.rows(chance.row[:, part].numpy()), chance.view[:, part], kind)
        for part in range(3)
    )
    around = rotation_about(0, chance.angle.to(kind))
    turn = camera.upright_from_view.mT @ around @ body.upright_from_view
    joints = (body.joints - body.joints[:, :1]) @ turn.mT + camera.joints[:, :1]
    pixels = camera.focal_px[:, None, None] * joints[..., :2] / joints[..., 2:].clamp_min(_NEAR)
    pixels = pixels + camera.image_px[:, None] / 2
    size = (pixels.amax(-2) - pixels.amin(-2)).norm(dim=-1)[:, None, None]
    pixels, confidence = (pixels + size * error.residual)[:, None], error.confidence[:, None]
    aimed = aim(pixels, confidence, camera.image_px[:, None])
    local = (joints - joints[:, :1])[:, None] @ aimed.aimed_from_view.mT
    frame = body_from(local, H36M_16)
    canonical = (local @ frame.mT)[:, 0]
    canonical = canonical / unit_length(canonical, H36M_16)[:, None, None]
    sure = 1 / (1 + (body.deviation / _SURE).square())
    return Sample(aimed.plane, confidence, confidence, canonical, frame.mT, sure[:, None])


def _one_view(rows: Rows, chance: Tensor, kind: torch.dtype) -> _Seen:
    """Of each instant one of the views that saw the person."""
    assert rows.placed is not None
    arrays = (
        *(rows.confidence, rows.image_px, rows.placed.joints, rows.placed.deviation),
        *(rows.placed.residual, rows.placed.camera),
    )
    present = torch.from_numpy(rows.confidence).amax(-1) > 0
    order = (chance * present.sum(-1)).floor()
    view = (present.cumsum(-1) > order[:, None]).to(torch.uint8).argmax(-1)
    here = torch.arange(len(view))
    confidence, image, joints, deviation, residual, camera = (
        torch.from_numpy(array).to(kind)[here, view] for array in arrays
    )
    right = camera.new_tensor(_RIGHT).expand(len(view), 3)
    upright = rotation_from_6d(torch.cat([camera[:, :3], right], -1))
    return _Seen(confidence, image, joints, deviation, residual, upright, camera[:, 3])
