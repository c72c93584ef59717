"""MPI-INF-3DHP in the layout of its download."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support import datasets
from train.data.dataset_recording import Split
from train.data.datasets import DATASETS
from train.data.instants import Recordings
from train.data.mpi_inf_3dhp import read_mpi_inf_3dhp


def read(folder: Path, split: Split, *, truth_2d: bool = False) -> list[Recordings]:
    return list(read_mpi_inf_3dhp(folder, split, truth_2d=truth_2d))


def test_3dhp_trains_on_five_chest_high_cameras_and_tests_on_valid_frames(
    folders: dict[str, Path],
) -> None:
    train, test = (read(folders["mpi-inf-3dhp"], s, truth_2d=True) for s in ("train", "test"))
    assert [p.session[0] for p in train][:3] == ["S1/Seq1", "S1/Seq2", "S2/Seq1"]
    assert len(train) == DATASETS["mpi-inf-3dhp"].sessions["train"]
    assert train[0].confidence.shape == (3, 5, len(H36M_16))
    assert [p.session[0] for p in test] == [f"TS{n}" for n in range(1, 7)]
    assert test[0].t_s.tolist() == [n / 25 for n in (1, 2, 4, 5, 7, 8, 10)]
    assert test[4].image_px[0, 0].tolist() == [1920, 1080]
    assert train[1].t_s[1] == 5 / 50


def test_3dhp_is_scored_against_the_universal_skeleton(folders: dict[str, Path]) -> None:
    test = read(folders["mpi-inf-3dhp"], "test", truth_2d=True)[0]
    local, _ = datasets.Camera(30, 1500, (2048, 2048)).see(datasets.bodies(H36M_16.joints, 11))
    assert test.truth.joints_mm is not None
    apart = test.truth.joints_mm[:, 0] - 0.92 * local[[1, 2, 4, 5, 7, 8, 10]]
    assert np.abs(apart).max() < 0.01


def test_a_missing_sequence_is_refused_with_the_set_it_is_in(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"no file at .*S1/Seq1/annot\.mat; it is in the training"):
        read_mpi_inf_3dhp(tmp_path, "train")
    with pytest.raises(Refusal, match=r"no file at .*TS1/annot_data\.mat; it is in the test"):
        read_mpi_inf_3dhp(tmp_path, "test")
