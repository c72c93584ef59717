"""What a morph learns from, its loss and its report, by hand; the whole of it is tested with
the morph itself (tests/cvsf/model/test_keypoint_adapter.py).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cvsf.model.keypoint_adapter import Morph
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import multiview, run
from train.data.instants import Recordings
from train.data.npz import read_file
from train.train_keypoint_adapter import Poses, known_poses, learn_morph, morph_loss, train_morph
from train.train_keypoint_adapter import report as morph_report

JOINTS = len(H36M_16)


class Still(Morph):
    """A morph that leaves everything as it is."""

    def forward(self, keypoints: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        return keypoints, confidence


@pytest.fixture
def instants(tmp_path: Path) -> Recordings:
    return read_file(multiview(tmp_path / "a.npz"))


def poses(off_px: float, count: int = 2) -> Poses:
    """A pose of width 200 px whose joints are all found so far to the right."""
    truth = torch.zeros(count, JOINTS, 2)
    truth[:, ::2, 0], truth[:, 1::2, 0] = -100.0, 100.0
    found = truth + torch.tensor([off_px, 0.0])
    return Poses(
        found, torch.ones(count, JOINTS), truth, torch.ones(count, JOINTS, dtype=torch.bool)
    )


def test_views_that_found_nobody_or_whose_truth_is_not_known_are_left_out(
    instants: Recordings,
) -> None:
    instants.confidence[0, 1] = 0
    pixels = instants.truth.keypoints_px
    assert pixels is not None
    pixels[2, 0] = np.nan
    pixels[3, 0, 4] = np.nan
    found = known_poses(instants)
    assert len(found.confidence) == instants.confidence.shape[0] * instants.confidence.shape[1] - 2
    assert found.truth_px.isfinite().all()
    assert (~found.known).sum() == 1


def test_the_loss_grows_with_the_distance_and_leaves_out_joints_that_are_not_known() -> None:
    one, two = (float(morph_loss(Still(JOINTS), poses(off))) for off in (10.0, 20.0))
    assert two == pytest.approx(2 * one)
    assert float(morph_loss(Still(JOINTS), poses(0.0))) == 0
    partly = poses(10.0)
    partly.keypoints_px[:, 5] += 500
    partly.known[:, 5] = False
    assert float(morph_loss(Still(JOINTS), partly)) == pytest.approx(one, rel=0.1)


def test_a_report_has_the_median_error_as_a_share_of_the_poses_norm() -> None:
    told = morph_report(Still(JOINTS), poses(10.0))
    rooted = 200 * np.sqrt(JOINTS / 2)  # half of the joints are 200 px from the first
    assert told["error_2d"]["before"] == pytest.approx(10 / rooted)
    assert told["error_2d"]["after"] == told["error_2d"]["before"]
    assert told["error_2d"]["placed"] is None
    assert told["fills"] == []


def test_the_same_seed_learns_the_same_morph() -> None:
    one, again, other = (learn_morph(poses(10.0), seed, steps=3).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(tensor, again[name]) for name, tensor in one.items())
    assert not all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_recordings_without_true_pixels_are_refused(tmp_path: Path, instants: Recordings) -> None:
    assert known_poses(replace(instants)).known.all()
    file = multiview(tmp_path / "b.npz", truth_px=np.full((24, 3, JOINTS, 2), np.nan))
    with pytest.raises(Refusal, match="no view with a person has truth pixels"):
        run(train_morph, file, "--out", tmp_path / "morph.pt")
    with pytest.raises(Refusal, match="expected a file that is no folder"):
        run(train_morph, file, "--out", tmp_path)
