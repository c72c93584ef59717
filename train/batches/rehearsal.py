"""Rehearsal, against forgetting (Robins 1995): the parent's answers to views of synthetic bodies.

No recording is needed for it, so the first night at a venue forgets no more than the hundredth.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.skeleton import H36M_16
from train.batches.batch import Batch, Draw
from train.batches.body_augmentation import UNIT_MM
from train.batches.probe_inputs import STANDING
from train.batches.virtual_views import VirtualViews
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.data.memmap_store import Store
from train.distributed import ProcessGroup

_MOST_BODIES = 4000
"""Recorded bodies that synthetic ones are made from, and as many standing ones; a guess, not
measured."""


def with_rehearsal(
    draw: Draw,
    store: Store,
    parent: Checkpoint,
    config: TrainConfig,
    random: torch.Generator,
    group: ProcessGroup,
) -> Draw:
    """The same batches, each with `batch_instants` times `virtual_views` synthetic instants of one
    view, whose target is the parent's answers (Robins 1995); of these, this process's part. Every
    draw advances `random`.

    The truth of synthetic bodies would teach how they are generated; the parent's answers teach
    nothing new and keep what the parent knows (docs/log.md).
    """
    kind = torch.float64 if config.precision == "float64" else torch.float32
    views = VirtualViews(body_source(store), H36M_16, random)
    teacher = parent.lifter().to(group.device, kind)

    def drawn() -> Batch:
        batch, synthetic = draw(), views.draw(config.batch_instants, config.virtual_views)
        plane, confidence = (
            group.shard(part.flatten(0, 1))[:, None].to(group.device, kind)
            for part in (synthetic.pose2d, synthetic.confidence)
        )
        with torch.no_grad():
            canonical, rotation = teacher(plane, confidence)
        rehearsal = Batch(plane, confidence, confidence, canonical[:, 0], rotation)
        return batch._replace(rehearsal=rehearsal)

    return drawn


def body_source(store: Store | None = None) -> Float[Tensor, "N J 3"]:
    """Bodies in mm that synthetic ones are made from: 4000 times a standing person (z up), and at
    most 4000 evenly spread ones of a store's pseudo-labels, in the axes of their first view with
    the person. Without a store or its labels, the standing ones only.
    """
    standing = torch.tensor([STANDING[joint] for joint in H36M_16.joints], dtype=torch.float32)
    bodies = [1000 * standing.expand(_MOST_BODIES, -1, -1)]
    if store is not None and store.has_pseudo_labels:
        some = np.linspace(0, len(store) - 1, min(len(store), _MOST_BODIES)).astype(np.int64)
        rows = store.rows(np.unique(some))
        assert rows.pseudo_labels is not None
        first = np.any(rows.confidence > 0, axis=-1).argmax(-1)
        joints = rows.pseudo_labels.joints[np.arange(len(first)), first]
        bodies.append(UNIT_MM * torch.from_numpy(joints))
    return torch.cat(bodies)
