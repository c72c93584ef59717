"""Training batches: recorded observations, or synthetic bodies before virtual cameras.

A label-free batch holds 2D and confidences and no truth; every draw comes from one saved
generator.
"""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cvsf.model.fusion import centre_views
from cvsf.model.geometry import body_rotation, rotation_about, unit_length
from cvsf.model.keypoint_adapter import Morph
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.batches.virtual_views import VirtualViews
from train.config import TrainConfig
from train.data.instants import Recordings
from train.data.memmap_store import Store
from train.distributed import ProcessGroup

_MIRROR_VIEW = torch.tensor([-1.0, 1.0, 1.0])  # x of a view's axes
_MIRROR_BODY = torch.tensor([1.0, -1.0, 1.0])  # y of the body frame: left and right exchanged


class Batch(NamedTuple):
    """B instants of V views, or of windows of T frames; a body only where one is the target."""

    plane: Float[Tensor, "B V *T J 2"]  # of a camera with the person on its axis
    confidence: Float[Tensor, "B V *T J"]
    input_confidence: Float[Tensor, "B V *T J"]  # what the lifter is given: 0 for hidden joints
    canonical: Float[Tensor, "B J 3"] | None = None  # body frame, unit scale
    view_from_canonical: Float[Tensor, "B V 3 3"] | None = None
    joint_weight: Float[Tensor, "B V J"] | None = None  # of the body in the loss; None: all 1
    rehearsal: "Batch | None" = None  # synthetic views with the parent's answers as the target

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with the function `change` applied to every tensor, the rehearsal's too; None
        stays None. The batch itself is not changed.
        """
        tensors = {n: t for n, t in self._asdict().items() if isinstance(t, Tensor)}
        changed = {name: change(tensor) for name, tensor in tensors.items()}
        return self._replace(**changed, rehearsal=self.rehearsal and self.rehearsal.each(change))


Draw = Callable[[], Batch]

_BODIES = 60_000
"""At most so many recorded bodies are sources of synthetic ones; a guess, not measured."""


def from_store(
    store: Store,
    config: TrainConfig,
    random: torch.Generator,
    group: ProcessGroup,
    morph: Morph | None = None,
) -> Draw:
    """A function that draws random recorded instants after the morph, mirrored, rolled and with
    joints hidden as `config` says; the true joints come along for variant `supervised` only. Each
    call advances `random` and gives this process's part on its device. Refusal at once if that
    variant has no ground truth.
    """
    labelled = config.variant == "supervised"
    if labelled and not store.has_truth:
        raise Refusal("variant supervised needs joints_mm in its files; use a label-free variant")
    kind = torch.float64 if config.precision == "float64" else torch.float32
    morph = copy.deepcopy(morph).to(kind) if morph else None

    def draw() -> Batch:
        size = config.batch_instants
        rows = torch.randint(len(store), (size,), generator=random)
        flip = torch.rand(size, generator=random) < config.mirror_share
        observations = store.rows(group.shard(rows).numpy())
        batch = batch_of(observations, labelled=labelled, kind=kind, morph=morph)
        batch = mirrored(batch, group.shard(flip))  # after the morph: a detector's bias has a side
        if config.roll_deg:
            roll = torch.randn(size, store.views, generator=random) * math.radians(config.roll_deg)
            batch = rolled(batch, group.shard(roll).to(kind))
        if config.hidden_share:
            kept = _kept((size, *batch.input_confidence.shape[1:]), config.hidden_share, random)
            given = batch.input_confidence * group.shard(kept)
            batch = batch._replace(input_confidence=given)
        return batch.each(lambda part: part.to(group.device))

    return draw


def from_bodies(
    store: Store, config: TrainConfig, random: torch.Generator, group: ProcessGroup
) -> Draw:
    """A function that draws virtual views of synthetic bodies, made from the true joints of the
    store's first view. Each call advances `random` and gives this process's part of
    `batch_instants` on its device. Refusal at once if a part of the store has no ground truth.
    """
    if not store.has_truth:
        raise Refusal("virtual bodies need joints_mm in the files; use recorded ones")
    some = np.linspace(0, len(store) - 1, min(len(store), _BODIES)).astype(np.int64)
    joints_mm = store.rows(np.unique(some)).truth.joints_mm
    assert joints_mm is not None
    bodies = torch.from_numpy(joints_mm[:, 0])
    kind = torch.float64 if config.precision == "float64" else torch.float32
    views = VirtualViews(bodies[bodies.isfinite().all((-2, -1))], H36M_16, random)

    def draw() -> Batch:
        drawn = views.draw(config.batch_instants, config.virtual_views)
        whole = Batch(
            drawn.pose2d,
            drawn.confidence,
            drawn.confidence,
            drawn.canonical,
            drawn.view_from_canonical,
        )
        return whole.each(lambda part: group.shard(part).to(group.device, kind))

    return draw


def batch_of(
    observations: Recordings,
    *,
    labelled: bool,
    kind: torch.dtype = torch.float32,
    morph: Morph | None = None,
) -> Batch:
    """Recorded instants as the lifter's input: 2D on the image plane (x right, y down, no unit) of
    a camera with the person on its axis, after the morph if there is one.

    `labelled`: the true body, canonical frame and unit scale, is the target, and the recording must
    have a truth; a view whose truth is not complete gets confidence 0.
    """
    arrays = observations.keypoints_px, observations.confidence, observations.image_px
    keypoints, confidence, image = (torch.from_numpy(array).to(kind) for array in arrays)
    if morph is not None:
        with torch.no_grad():
            keypoints, confidence = morph(keypoints, confidence)
    centred = centre_views(keypoints, confidence, image)
    if not labelled:
        return Batch(centred.plane, confidence, confidence)
    joints_mm = observations.truth.joints_mm
    assert joints_mm is not None
    local = torch.from_numpy(joints_mm).to(kind)
    # a view with incomplete ground truth counts as one without the person
    known = local.isfinite().all(-1).all(-1)
    confidence = confidence * known[..., None]
    local = torch.where(known[..., None, None], local, 0.0)
    local = (local - local[..., :1, :]) @ centred.centred_from_view.mT
    body = body_rotation(local, H36M_16)
    # the truth of every view is of the same body
    first = known.to(kind).argmax(-1)
    joints = (local @ body.mT)[torch.arange(len(local)), first]
    canonical = joints / unit_length(joints, H36M_16)[:, None, None]
    return Batch(centred.plane, confidence, confidence, canonical, body.mT)


def mirrored(batch: Batch, flip: Bool[Tensor, "B"]) -> Batch:
    """The instants of the mask `flip` mirrored: x in the view frame and y in the body frame change
    sign, left and right joints are exchanged. In all instants the lifter is then given the full
    confidence again, and joint weights and the rehearsal are dropped.
    """
    order = list(H36M_16.mirrored)
    across, sides = _MIRROR_VIEW.to(batch.plane), _MIRROR_BODY.to(batch.plane)
    poses, points = flip[:, None, None], flip[:, None, None, None]
    plane = torch.where(points, batch.plane[..., order, :] * across[:2], batch.plane)
    confidence = torch.where(poses, batch.confidence[..., order], batch.confidence)
    if batch.canonical is None or batch.view_from_canonical is None:
        return Batch(plane, confidence, confidence)
    canonical = torch.where(poses, batch.canonical[:, order] * sides, batch.canonical)
    turned = across[:, None] * batch.view_from_canonical * sides
    rotation = torch.where(points, turned, batch.view_from_canonical)
    return Batch(plane, confidence, confidence, canonical, rotation)


def rolled(batch: Batch, angle: Float[Tensor, "B V"]) -> Batch:
    """The same instants with every view's 2D turned by `angle` (radians): from x towards y, which
    is clockwise in the picture, as if the camera had rolled the other way. The rotations of the
    views turn too; the canonical body and the rehearsal stay.
    """
    rotation = rotation_about(2, angle)
    plane = batch.plane @ rotation[..., :2, :2].mT
    if batch.view_from_canonical is None:
        return batch._replace(plane=plane)
    return batch._replace(plane=plane, view_from_canonical=rotation @ batch.view_from_canonical)


def _kept(shape: tuple[int, ...], share: float, random: torch.Generator) -> Tensor:
    """0 for the joints that are hidden, up to twice the share of them in an instant."""
    often = 2 * share * torch.rand(shape[0], 1, 1, generator=random)
    return (torch.rand(shape, generator=random) >= often).float()
