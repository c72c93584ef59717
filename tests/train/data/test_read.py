"""Recordings of any kind as instants, and the choice of subjects."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.material import make_instant, make_pose, record
from tests.support.recordings import FRAMES, VIEWS, multiview
from train.data.read import choice, read_instants, read_parts


def test_files_of_other_numbers_of_views_are_joined_and_missing_views_have_confidence_0(
    tmp_path: Path,
) -> None:
    first = multiview(tmp_path / "a.npz")
    with np.load(first) as file:
        fewer = {name: file[name] for name in file.files}
    for name in ("keypoints_px", "confidence", "truth_px", "joints_mm", "head_px"):
        fewer[name] = fewer[name][:, :2]
    np.savez(tmp_path / "b.npz", allow_pickle=False, **fewer)
    both = read_instants([first, tmp_path / "b.npz"])
    assert both.confidence.shape == (2 * FRAMES, VIEWS, len(H36M_16))
    assert (both.confidence[FRAMES:, 2] == 0).all()
    assert both.sessions == ("a:0", "a:1", "b:0", "b:1")


def test_a_file_and_a_session_are_read_part_by_part_in_the_order_given(tmp_path: Path) -> None:
    record(tmp_path / "run", [make_pose(index) for index in range(3)])
    parts = list(read_parts([tmp_path / "run", multiview(tmp_path / "a.npz")]))
    assert [part.sessions for part in parts] == [("run",), ("a:0", "a:1")]
    assert [len(part) for part in parts] == [3, FRAMES]


def test_paths_that_hold_no_poses_and_no_path_at_all_are_refused(tmp_path: Path) -> None:
    record(tmp_path / "run", [make_instant(0)])
    with pytest.raises(Refusal, match=r"run holds no 2D poses; record with --record"):
        read_instants([tmp_path / "run"])
    with pytest.raises(Refusal, match=r"nothing to read; expected multi-view \.npz files"):
        read_instants([])


def test_chosen_subjects_are_learned_from_and_the_others_kept_back(tmp_path: Path) -> None:
    part = read_instants([multiview(tmp_path / "a.npz")])
    only, but = choice("ann", ""), choice("", " ann ,")
    assert set(only.learned(part).subject) == set(but.kept_back(part).subject) == {"ann"}
    assert set(only.kept_back(part).subject) == set(but.learned(part).subject) == {"ben"}
    everybody = choice("", "")
    assert len(everybody.learned(part)) == len(everybody.kept_back(part)) == FRAMES


def test_two_choices_at_once_and_one_of_nobody_are_refused() -> None:
    with pytest.raises(Refusal, match="--subjects and --not-subjects exclude each other"):
        choice("ann", "ben")
    with pytest.raises(Refusal, match="' , ' names no subject; expected names"):
        choice(" , ", "")
