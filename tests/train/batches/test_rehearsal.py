"""What a lifter rehearses: its parent's answers to views of synthetic bodies."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cvsf.skeleton import H36M_16
from tests.support.recordings import SMALL
from train.batches.batch import Batch
from train.batches.body_augmentation import UNIT_MM
from train.batches.probe_inputs import STANDING
from train.batches.rehearsal import body_source, with_rehearsal
from train.config import TrainConfig
from train.data.instants import PseudoLabels, Recordings
from train.data.memmap_store import Store, open_store, write_store
from train.distributed import ProcessGroup
from train.loop.optimise import start

JOINTS = len(H36M_16)


def store(folder: Path, *, labelled: bool) -> Store:
    """Three instants of two views, the first of which did not see the last one."""
    confidence = np.ones((3, 3, JOINTS), np.float32)
    confidence[2, 0] = 0
    joints = np.arange(3 * 3, dtype=np.float32).reshape(3, 3, 1, 1)
    labels = PseudoLabels(
        joints=np.broadcast_to(joints, (3, 3, JOINTS, 3)),
        deviation=np.ones((3, 3, JOINTS), np.float32),
        residual=np.zeros((3, 3, JOINTS, 2), np.float32),
        up=np.zeros((3, 3, 3), np.float32),
        focal_px=np.zeros((3, 3), np.float32),
    )
    recorded = Recordings(
        joint_set=H36M_16,
        cameras=("a", "b", "c"),
        keypoints_px=np.zeros((3, 3, JOINTS, 2), np.float32),
        confidence=confidence,
        image_px=np.zeros((3, 3, 2), np.float32),
        session=("run",) * 3,
        subject=("",) * 3,
        t_s=np.arange(3.0),
        pseudo_labels=labels if labelled else None,
    )
    write_store([recorded], folder)
    return open_store(folder)


def test_synthetic_bodies_come_from_a_standing_person_and_from_pseudo_labels(
    tmp_path: Path,
) -> None:
    standing = body_source()
    head = H36M_16.index("head")
    wanted = 1000 * np.array(STANDING["head"], np.float32)
    np.testing.assert_allclose(standing[:, head].numpy(), np.tile(wanted, (len(standing), 1)))
    assert torch.equal(body_source(store(tmp_path / "a", labelled=False)), standing)
    both = body_source(store(tmp_path / "b", labelled=True))
    assert len(both) == len(standing) + 3
    found = both[len(standing) :, 0, 0] / UNIT_MM  # the first view that saw each
    assert found.tolist() == pytest.approx([0, 3, 7])


def test_every_batch_comes_with_the_parents_answers_to_synthetic_views(tmp_path: Path) -> None:
    config = TrainConfig(**SMALL | {"virtual_views": 3, "rehearsal_weight": 1.0})
    parent = start(config, H36M_16, seed=0).checkpoint(())
    ours = Batch(torch.zeros(1, 2, JOINTS, 2), torch.ones(1, 2, JOINTS), torch.ones(1, 2, JOINTS))
    draw = with_rehearsal(
        lambda: ours,
        store(tmp_path, labelled=False),
        parent,
        config,
        torch.Generator().manual_seed(3),
        ProcessGroup(),
    )
    first, second = draw(), draw()
    assert first.plane is ours.plane
    known = first.rehearsal
    assert known is not None
    assert second.rehearsal is not None
    assert known.plane.shape == (config.batch_instants * 3, 1, JOINTS, 2)
    assert not torch.equal(known.plane, second.rehearsal.plane)
    with torch.no_grad():
        canonical, turn = parent.lifter()(known.plane, known.confidence)
    assert known.canonical is not None
    assert known.view_from_canonical is not None
    torch.testing.assert_close(known.canonical, canonical[:, 0])
    torch.testing.assert_close(known.view_from_canonical, turn)
    assert not known.canonical.requires_grad


def test_processes_that_train_together_rehearse_a_share_each(tmp_path: Path) -> None:
    config = TrainConfig(**SMALL | {"virtual_views": 2})
    parent = start(config, H36M_16, seed=0).checkpoint(())
    ours = Batch(torch.zeros(1, 1, JOINTS, 2), torch.ones(1, 1, JOINTS), torch.ones(1, 1, JOINTS))
    there = store(tmp_path, labelled=False)

    def rehearsed(company: ProcessGroup) -> torch.Tensor:
        random = torch.Generator().manual_seed(3)
        known = with_rehearsal(lambda: ours, there, parent, config, random, company)().rehearsal
        assert known is not None
        return known.plane

    shares = [rehearsed(ProcessGroup(rank=rank, size=2)) for rank in range(2)]
    assert torch.equal(torch.cat(shares), rehearsed(ProcessGroup()))
