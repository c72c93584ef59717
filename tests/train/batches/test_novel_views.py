"""Novel views of pseudo-labelled bodies: as recorded, and reprojected to other cameras."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cvsf.model.fusion import centre_views
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL, multiview
from train.batches.novel_views import from_pseudo_labels
from train.config import TrainConfig
from train.data.memmap_store import Store, open_store, write_store
from train.data.npz import read_file
from train.distributed import ProcessGroup


def test_a_recorded_view_is_shown_as_it_was_recorded(store: Store) -> None:
    config = TrainConfig(**SMALL | {"variant": "stage3", "recorded_share": 1.0})
    sample = from_pseudo_labels(store, config, torch.Generator().manual_seed(0), ProcessGroup())()
    rows = store.rows(np.arange(len(store)))
    arrays = (rows.keypoints_px, rows.confidence, rows.image_px)
    recorded = centre_views(*(torch.from_numpy(array) for array in arrays)).plane.flatten(0, 1)
    for plane in sample.plane[:, 0]:
        assert (recorded - plane).abs().amax((1, 2)).min() < 1e-4


def test_virtual_views_show_their_labelled_body_with_a_detectors_errors(store: Store) -> None:
    config = TrainConfig(**SMALL | {"variant": "stage3", "recorded_share": 0.0})
    samples = [
        from_pseudo_labels(store, config, torch.Generator().manual_seed(5), ProcessGroup())()
        for _ in range(2)
    ]
    assert torch.equal(samples[0].plane, samples[1].plane)
    sample = samples[0]
    assert sample.canonical is not None
    assert sample.view_from_canonical is not None
    assert sample.joint_weight is not None
    assert sample.plane.shape == (8 * 4, 1, len(H36M_16), 2)
    assert ((sample.joint_weight > 0) & (sample.joint_weight <= 1)).all()
    shown = (sample.canonical[:, None] @ sample.view_from_canonical.mT)[..., :2]
    shown, seen = (p - p.mean(-2, keepdim=True) for p in (shown, sample.plane))
    shown, seen = (p / p.square().sum((-2, -1), keepdim=True).sqrt() for p in (shown, seen))
    apart = (shown - seen).norm(dim=-1)
    assert 0.001 < apart.median() < 0.03


def test_views_are_refused_where_no_camera_was_found(tmp_path: Path) -> None:
    write_store([read_file(multiview(tmp_path / "a.npz"))], tmp_path / "store")
    config = TrainConfig(**SMALL | {"variant": "stage3"})
    with pytest.raises(Refusal, match="stage3 needs sessions with calibrated cameras"):
        from_pseudo_labels(
            open_store(tmp_path / "store"), config, torch.Generator(), ProcessGroup()
        )


def test_bodies_turned_about_the_vertical_keep_their_bones_and_their_height(store: Store) -> None:
    config = TrainConfig(**SMALL | {"variant": "stage3", "recorded_share": 0.0})
    config = config.model_copy(update={"recombined_share": 0.0})
    sample = from_pseudo_labels(store, config, torch.Generator().manual_seed(5), ProcessGroup())()
    assert sample.canonical is not None
    labels = store.rows(np.arange(len(store))).pseudo_labels
    assert labels is not None
    ends = [list(end) for end in zip(*H36M_16.bones, strict=True)]

    def bones(joints: torch.Tensor) -> torch.Tensor:
        apart = joints[..., ends[1], :] - joints[..., ends[0], :]
        length: torch.Tensor = torch.linalg.vector_norm(apart, dim=-1)
        return length / length.sum(-1, keepdim=True)

    recorded = bones(torch.from_numpy(labels.joints).flatten(0, 1))
    for body in bones(sample.canonical):
        assert float((recorded - body).abs().amax(-1).min()) < 1e-4
