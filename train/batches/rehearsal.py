"""What a lifter keeps of what it knew: its parent's answers to views of bodies that are made up.

Nothing that was recorded is needed for it, so the first night at a venue forgets no more than the
hundredth.
"""

import numpy as np
import torch
from torch import Tensor

from cvsf.skeleton import H36M_16
from train.batches.batch import Draw, Sample
from train.batches.body_augmentation import UNIT_MM
from train.batches.probe_inputs import STANDING
from train.batches.virtual_views import VirtualViews
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.data.memmap_store import Store
from train.distributed import Company

_MOST_BODIES = 4000
"""Of the recordings, which made-up bodies are bent from; as many stand."""


def with_rehearsal(
    draw: Draw,
    store: Store,
    parent: Checkpoint,
    config: TrainConfig,
    random: torch.Generator,
    company: Company,
) -> Draw:
    """The same batches, each with as many made-up views beside it and what the parent says of them.

    The truth of made-up bodies would teach how they are made up; the parent's answers teach
    nothing, and hold what is known (docs/log.md).
    """
    kind = torch.float64 if config.precision == "float64" else torch.float32
    views = VirtualViews(made_of(store), H36M_16, random)
    teacher = parent.lifter().to(company.device, kind)

    def drawn() -> Sample:
        sample, made = draw(), views.draw(config.batch_instants, config.virtual_views)
        plane, confidence = (
            company.share(part.flatten(0, 1))[:, None].to(company.device, kind)
            for part in (made.pose2d, made.confidence)
        )
        with torch.no_grad():
            canonical, turn = teacher(plane, confidence)
        known = Sample(plane, confidence, confidence, canonical[:, 0], turn)
        return sample._replace(rehearsed=known)

    return drawn


def made_of(store: Store | None = None) -> Tensor:
    """Bodies (N, J, 3) in mm that others are made of: somebody who stands, and a placed store's."""
    standing = torch.tensor([STANDING[joint] for joint in H36M_16.joints], dtype=torch.float32)
    bodies = [1000 * standing.expand(_MOST_BODIES, -1, -1)]
    if store is not None and store.is_placed:
        some = np.linspace(0, len(store) - 1, min(len(store), _MOST_BODIES)).astype(np.int64)
        rows = store.rows(np.unique(some))
        assert rows.placed is not None
        first = np.any(rows.confidence > 0, axis=-1).argmax(-1)
        joints = rows.placed.joints[np.arange(len(first)), first]
        bodies.append(UNIT_MM * torch.from_numpy(joints))
    return torch.cat(bodies)
