"""Batches of recorded instants and of made-up bodies: mirrored, rolled, with joints hidden."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL, multiview
from train.batches.batch import Sample, from_bodies, from_store, mirrored, rolled, seen
from train.config import TrainConfig
from train.data.memmap_store import Store, open_store, write_store
from train.data.npz import read_file
from train.distributed import Company

JOINTS = len(H36M_16)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three views of bodies whose truth is known."""
    folder = tmp_path_factory.mktemp("recorded")
    write_store([read_file(multiview(folder / "a.npz"))], folder / "store")
    return open_store(folder / "store")


def labelled(store: Store) -> Sample:
    return seen(store.rows(np.arange(len(store))), labelled=True, kind=torch.float64)


def shown(sample: Sample) -> torch.Tensor:
    """The true body in the axes of every view."""
    assert sample.canonical is not None
    assert sample.view_from_canonical is not None
    return sample.canonical[:, None] @ sample.view_from_canonical.mT


def drawn(store: Store, seed: int = 1, **changed: object) -> Sample:
    config = TrainConfig(**SMALL | changed)
    return from_store(store, config, torch.Generator().manual_seed(seed), Company())()


def test_the_truth_of_recorded_rows_projects_to_their_keypoints(recorded: Store) -> None:
    sample = labelled(recorded)
    local, plane = shown(sample), sample.plane - sample.plane[..., :1, :]
    flat = local[..., :2]
    turned, wanted = (p / p.square().sum((-2, -1), keepdim=True).sqrt() for p in (flat, plane))
    assert float((turned - wanted).norm(dim=-1).median()) < 0.03  # perspective and 4 px of noise


def test_a_sample_mirrored_twice_is_what_it_was(recorded: Store) -> None:
    sample, every = labelled(recorded), torch.ones(len(recorded), dtype=torch.bool)
    once = mirrored(sample, every)
    assert not torch.allclose(once.plane, sample.plane)
    for ours, theirs in zip(mirrored(once, every)[:5], sample[:5], strict=True):
        torch.testing.assert_close(ours, theirs)
    across = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(shown(once), (shown(sample) * across)[..., H36M_16.mirrored, :])


def test_only_the_chosen_instants_are_mirrored(recorded: Store) -> None:
    sample = labelled(recorded)
    flip = torch.arange(len(recorded)) % 2 == 0
    once = mirrored(sample, flip)
    assert torch.equal(once.plane[~flip], sample.plane[~flip])
    assert torch.equal(once.confidence[flip], sample.confidence[flip][..., list(H36M_16.mirrored)])


def test_a_camera_rolled_by_a_quarter_turns_plane_and_rotation_alike(recorded: Store) -> None:
    sample = labelled(recorded)
    quarter = torch.full(sample.plane.shape[:2], math.pi / 2, dtype=torch.float64)
    once = rolled(sample, quarter)
    x, y = sample.plane.unbind(-1)
    torch.testing.assert_close(once.plane, torch.stack([-y, x], -1))
    x, y, z = shown(sample).unbind(-1)
    torch.testing.assert_close(shown(once), torch.stack([-y, x, z], -1))


def test_hidden_joints_are_kept_from_the_input_and_stay_in_the_loss(recorded: Store) -> None:
    plain, hidden = drawn(recorded), drawn(recorded, hidden_share=0.4)
    assert torch.equal(plain.shown, plain.confidence)
    assert torch.equal(hidden.confidence, plain.confidence)
    gone = (hidden.shown == 0) & (hidden.confidence > 0)
    assert 0.1 < float(gone.float().mean()) < 0.7
    assert torch.equal(hidden.shown[~gone], hidden.confidence[~gone])


def test_the_same_generator_draws_the_same_batch_for_any_number_of_processes(
    recorded: Store,
) -> None:
    config = TrainConfig(**SMALL | {"roll_deg": 10.0, "mirror_share": 0.5})
    parts = [
        from_store(recorded, config, torch.Generator().manual_seed(2), Company(rank=rank, size=2))()
        for rank in range(2)
    ]
    alone = from_store(recorded, config, torch.Generator().manual_seed(2), Company())()
    assert torch.equal(torch.cat([part.plane for part in parts]), alone.plane)


def test_synthetic_bodies_come_with_the_rotation_of_every_view(recorded: Store) -> None:
    config = TrainConfig(
        **SMALL | {"variant": "supervised", "bodies": "virtual", "virtual_views": 2}
    )
    sample = from_bodies(recorded, config, torch.Generator().manual_seed(3), Company())()
    assert sample.plane.shape == (config.batch_instants, 2, JOINTS, 2)
    assert sample.view_from_canonical is not None
    turn = sample.view_from_canonical
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).expand_as(turn), atol=1e-5, rtol=0)


def test_labelled_and_synthetic_batches_are_refused_without_a_truth(tmp_path: Path) -> None:
    instants = read_file(multiview(tmp_path / "a.npz", joints_mm=np.full((24, 3, 16, 3), np.nan)))
    write_store([instants], tmp_path / "store")
    store, random = open_store(tmp_path / "store"), torch.Generator()
    config = TrainConfig(**SMALL | {"variant": "supervised"})
    with pytest.raises(Refusal, match="supervised needs joints_mm in its files"):
        from_store(store, config, random, Company())
    with pytest.raises(Refusal, match="virtual bodies need joints_mm in the files"):
        from_bodies(store, config, random, Company())
