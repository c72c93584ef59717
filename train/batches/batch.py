"""Batches to learn from: instants that cameras recorded, or made-up bodies before made-up cameras.

A label-free batch holds 2D and confidences and nothing that is true; every draw comes from one
saved generator.
"""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cvsf.model.fusion import aim
from cvsf.model.geometry import body_from, rotation_about, unit_length
from cvsf.model.keypoint_adapter import Morph
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.batches.virtual_views import VirtualViews
from train.config import TrainConfig
from train.data.memmap_store import Rows, Store
from train.distributed import Company

_ACROSS = torch.tensor([-1.0, 1.0, 1.0])  # a view's axes in a mirror
_SIDES = torch.tensor([1.0, -1.0, 1.0])  # the body's: left and right exchanged


class Sample(NamedTuple):
    """What V views saw of B instants; the last four only where there is a body to learn from."""

    plane: Tensor  # (B, V, J, 2) after every camera is aimed at its person
    confidence: Tensor  # (B, V, J)
    shown: Tensor  # (B, V, J) the confidence that the lifter is told: 0 for joints kept from it
    canonical: Tensor | None = None  # (B, J, 3) body frame, unit scale
    view_from_canonical: Tensor | None = None  # (B, V, 3, 3)
    sure: Tensor | None = None  # (B, V, J) what a joint of that body weighs, where not all alike
    rehearsed: "Sample | None" = None  # made-up views, and what the parent says of them

    def each(self, change: Callable[[Tensor], Tensor]) -> "Sample":
        """The same change made to everything it holds."""
        parts = {name: part for name, part in self._asdict().items() if part is not None}
        rehearsed = parts.pop("rehearsed", None)
        changed = {name: change(part) for name, part in parts.items()}
        return self._replace(**changed, rehearsed=rehearsed and rehearsed.each(change))


Draw = Callable[[], Sample]

_BODIES = 60_000
"""Recorded bodies that made-up ones are made of: as many as fit in memory, evenly chosen."""


def from_store(
    store: Store,
    config: TrainConfig,
    random: torch.Generator,
    company: Company,
    morph: Morph | None = None,
) -> Draw:
    """Random recorded instants behind the morph, with their truth for variant supervised only."""
    labelled = config.variant == "supervised"
    if labelled and not store.has_truth:
        raise Refusal("variant supervised needs joints_mm in its files; use a label-free variant")
    kind = torch.float64 if config.precision == "float64" else torch.float32
    morph = copy.deepcopy(morph).to(kind) if morph else None

    def draw() -> Sample:
        size = config.batch_instants
        rows = torch.randint(len(store), (size,), generator=random)
        flip = torch.rand(size, generator=random) < config.mirror_share
        found = store.rows(company.share(rows).numpy())
        sample = seen(found, labelled=labelled, kind=kind, morph=morph)
        sample = mirrored(sample, company.share(flip))  # what a detector always does has a side
        if config.roll_deg:
            roll = torch.randn(size, store.views, generator=random) * math.radians(config.roll_deg)
            sample = rolled(sample, company.share(roll).to(kind))
        if config.hidden_share:
            kept = _kept((size, *sample.shown.shape[1:]), config.hidden_share, random)
            sample = sample._replace(shown=sample.shown * company.share(kept))
        return sample.each(lambda part: part.to(company.device))

    return draw


def from_bodies(
    store: Store, config: TrainConfig, random: torch.Generator, company: Company
) -> Draw:
    """Endless virtual views of the recorded bodies, bent further than anybody recorded."""
    if not store.has_truth:
        raise Refusal("virtual bodies need joints_mm in the files; use recorded ones")
    some = np.linspace(0, len(store) - 1, min(len(store), _BODIES)).astype(np.int64)
    joints_mm = store.rows(np.unique(some)).joints_mm
    assert joints_mm is not None
    bodies = torch.from_numpy(joints_mm[:, 0])
    kind = torch.float64 if config.precision == "float64" else torch.float32
    views = VirtualViews(bodies[bodies.isfinite().all((-2, -1))], H36M_16, random)

    def draw() -> Sample:
        drawn = views.draw(config.batch_instants, config.virtual_views)
        whole = Sample(
            drawn.pose2d,
            drawn.confidence,
            drawn.confidence,
            drawn.canonical,
            drawn.view_from_canonical,
        )
        return whole.each(lambda part: company.share(part).to(company.device, kind))

    return draw


def seen(
    found: Rows,
    *,
    labelled: bool,
    kind: torch.dtype = torch.float32,
    morph: Morph | None = None,
) -> Sample:
    """Recorded rows as the lifter wants them."""
    pixels, confidence, image = (
        torch.from_numpy(a).to(kind) for a in (found.keypoints_px, found.confidence, found.image_px)
    )
    if morph is not None:
        with torch.no_grad():
            pixels, confidence = morph(pixels, confidence)
    aimed = aim(pixels, confidence, image)
    if not labelled:
        return Sample(aimed.plane, confidence, confidence)
    assert found.joints_mm is not None
    local = torch.from_numpy(found.joints_mm).to(kind)
    # a view whose truth is not whole teaches nothing
    known = local.isfinite().all(-1).all(-1)
    confidence = confidence * known[..., None]
    local = torch.where(known[..., None, None], local, 0.0)
    local = (local - local[..., :1, :]) @ aimed.aimed_from_view.mT
    body = body_from(local, H36M_16)
    # every view's truth tells of the same body
    first = known.to(kind).argmax(-1)
    joints = (local @ body.mT)[torch.arange(len(local)), first]
    canonical = joints / unit_length(joints, H36M_16)[:, None, None]
    return Sample(aimed.plane, confidence, confidence, canonical, body.mT)


def mirrored(sample: Sample, flip: Tensor) -> Sample:
    """Some instants as a mirror would show them."""
    order = list(H36M_16.mirrored)
    across, sides = _ACROSS.to(sample.plane), _SIDES.to(sample.plane)
    poses, points = flip[:, None, None], flip[:, None, None, None]
    plane = torch.where(points, sample.plane[..., order, :] * across[:2], sample.plane)
    confidence = torch.where(poses, sample.confidence[..., order], sample.confidence)
    if sample.canonical is None or sample.view_from_canonical is None:
        return Sample(plane, confidence, confidence)
    canonical = torch.where(poses, sample.canonical[:, order] * sides, sample.canonical)
    turned = across[:, None] * sample.view_from_canonical * sides
    rotation = torch.where(points, turned, sample.view_from_canonical)
    return Sample(plane, confidence, confidence, canonical, rotation)


def rolled(sample: Sample, angle: Tensor) -> Sample:
    """The same instants by cameras that were turned about their axes; angle (B, V) in radians."""
    turn = rotation_about(2, angle)
    plane = sample.plane @ turn[..., :2, :2].mT
    if sample.view_from_canonical is None:
        return sample._replace(plane=plane)
    return sample._replace(plane=plane, view_from_canonical=turn @ sample.view_from_canonical)


def _kept(shape: tuple[int, ...], share: float, random: torch.Generator) -> Tensor:
    """0 for the joints that are hidden, up to twice the share of them in an instant."""
    often = 2 * share * torch.rand(shape[0], 1, 1, generator=random)
    return (torch.rand(shape, generator=random) >= often).float()
