"""Batches of recorded instants and of synthetic bodies: mirrored, rolled, with joints hidden."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL, multiview
from train.batches.batch import Batch, batch_of, from_bodies, from_store, mirrored, rolled
from train.config import TrainConfig
from train.data.memmap_store import Store, open_store, write_store
from train.data.npz import read_file
from train.distributed import ProcessGroup

JOINTS = len(H36M_16)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three views of bodies whose truth is known."""
    folder = tmp_path_factory.mktemp("recorded")
    write_store([read_file(multiview(folder / "a.npz"))], folder / "store")
    return open_store(folder / "store")


def labelled(store: Store) -> Batch:
    return batch_of(store.rows(np.arange(len(store))), labelled=True, kind=torch.float64)


def in_views(batch: Batch) -> torch.Tensor:
    """The true body in the axes of every view."""
    assert batch.canonical is not None
    assert batch.view_from_canonical is not None
    return batch.canonical[:, None] @ batch.view_from_canonical.mT


def drawn(store: Store, seed: int = 1, **changed: object) -> Batch:
    config = TrainConfig(**SMALL | changed)
    return from_store(store, config, torch.Generator().manual_seed(seed), ProcessGroup())()


def test_the_truth_of_recorded_rows_projects_to_their_keypoints(recorded: Store) -> None:
    batch = labelled(recorded)
    local, plane = in_views(batch), batch.plane - batch.plane[..., :1, :]
    flat = local[..., :2]
    turned, wanted = (p / p.square().sum((-2, -1), keepdim=True).sqrt() for p in (flat, plane))
    assert float((turned - wanted).norm(dim=-1).median()) < 0.03  # perspective and 4 px of noise


def test_a_sample_mirrored_twice_is_what_it_was(recorded: Store) -> None:
    batch, every = labelled(recorded), torch.ones(len(recorded), dtype=torch.bool)
    once = mirrored(batch, every)
    assert not torch.allclose(once.plane, batch.plane)
    for ours, theirs in zip(mirrored(once, every)[:5], batch[:5], strict=True):
        torch.testing.assert_close(ours, theirs)
    across = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(in_views(once), (in_views(batch) * across)[..., H36M_16.mirrored, :])


def test_only_the_chosen_instants_are_mirrored(recorded: Store) -> None:
    batch = labelled(recorded)
    flip = torch.arange(len(recorded)) % 2 == 0
    once = mirrored(batch, flip)
    assert torch.equal(once.plane[~flip], batch.plane[~flip])
    assert torch.equal(once.confidence[flip], batch.confidence[flip][..., list(H36M_16.mirrored)])


def test_a_camera_rolled_by_a_quarter_turns_plane_and_rotation_alike(recorded: Store) -> None:
    batch = labelled(recorded)
    quarter = torch.full(batch.plane.shape[:2], math.pi / 2, dtype=torch.float64)
    once = rolled(batch, quarter)
    x, y = batch.plane.unbind(-1)
    torch.testing.assert_close(once.plane, torch.stack([-y, x], -1))
    x, y, z = in_views(batch).unbind(-1)
    torch.testing.assert_close(in_views(once), torch.stack([-y, x, z], -1))


def test_hidden_joints_are_kept_from_the_input_and_stay_in_the_loss(recorded: Store) -> None:
    plain, hidden = drawn(recorded), drawn(recorded, hidden_share=0.4)
    assert torch.equal(plain.input_confidence, plain.confidence)
    assert torch.equal(hidden.confidence, plain.confidence)
    gone = (hidden.input_confidence == 0) & (hidden.confidence > 0)
    assert 0.1 < float(gone.float().mean()) < 0.7
    assert torch.equal(hidden.input_confidence[~gone], hidden.confidence[~gone])


def test_the_same_generator_draws_the_same_batch_for_any_number_of_processes(
    recorded: Store,
) -> None:
    config = TrainConfig(**SMALL | {"roll_deg": 10.0, "mirror_share": 0.5})
    parts = [
        from_store(
            recorded, config, torch.Generator().manual_seed(2), ProcessGroup(rank=rank, size=2)
        )()
        for rank in range(2)
    ]
    alone = from_store(recorded, config, torch.Generator().manual_seed(2), ProcessGroup())()
    assert torch.equal(torch.cat([part.plane for part in parts]), alone.plane)


def test_synthetic_bodies_come_with_the_rotation_of_every_view(recorded: Store) -> None:
    config = TrainConfig(
        **SMALL | {"variant": "supervised", "bodies": "virtual", "virtual_views": 2}
    )
    batch = from_bodies(recorded, config, torch.Generator().manual_seed(3), ProcessGroup())()
    assert batch.plane.shape == (config.batch_instants, 2, JOINTS, 2)
    assert batch.view_from_canonical is not None
    turn = batch.view_from_canonical
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).expand_as(turn), atol=1e-5, rtol=0)


def test_labelled_and_synthetic_batches_are_refused_without_a_truth(tmp_path: Path) -> None:
    instants = read_file(multiview(tmp_path / "a.npz", joints_mm=np.full((24, 3, 16, 3), np.nan)))
    write_store([instants], tmp_path / "store")
    store, random = open_store(tmp_path / "store"), torch.Generator()
    config = TrainConfig(**SMALL | {"variant": "supervised"})
    with pytest.raises(Refusal, match="supervised needs joints_mm in its files"):
        from_store(store, config, random, ProcessGroup())
    with pytest.raises(Refusal, match="virtual bodies need joints_mm in the files"):
        from_bodies(store, config, random, ProcessGroup())
