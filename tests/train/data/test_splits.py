"""What is learned from and what is kept back, told apart while recordings are read."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.datasets import skipose
from tests.support.recordings import FRAMES, multiview
from train.data.instants import Recordings
from train.data.read import Choice
from train.data.splits import KeptBack, Material, divide


def part(count: int, first: int = 0, subject: str = "ann", *, seen: bool = True) -> Recordings:
    """Instants of two views, numbered by their time."""
    return Recordings(
        joint_set=H36M_16,
        cameras=("cam0", "cam1"),
        keypoints_px=np.zeros((count, 2, 16, 2), np.float32),
        confidence=np.full((count, 2, 16), float(seen), np.float32),
        image_px=np.zeros((count, 2, 2), np.float32),
        session=("run",) * count,
        subject=(subject,) * count,
        t_s=np.arange(first, first + count, dtype=float),
    )


def test_kept_back_instants_are_bounded_and_evenly_spread_over_all_parts() -> None:
    kept = KeptBack(most=10)
    for first in range(0, 640, 64):
        kept.add(part(64, first))
        assert sum(map(len, kept.parts)) <= 20
        kept_s = np.concatenate([one.t_s for one in kept.parts])
        assert np.array_equal(kept_s, np.arange(0, first + 64, kept.every))
    times = kept.instants().t_s
    assert len(times) == 10
    assert times[0] == 0
    assert times[-1] == kept_s[-1]


def test_the_stride_goes_on_across_parts_whose_length_it_does_not_divide() -> None:
    kept = KeptBack(most=10)
    for count, first in ((64, 0), (6, 64), (7, 70)):
        kept.add(part(count, first))
    kept_s = np.concatenate([one.t_s for one in kept.parts])
    assert np.array_equal(kept_s, np.arange(0, 77, 4))


def test_many_parts_of_one_instant_are_thinned_to_the_bound_too() -> None:
    kept = KeptBack(most=2)
    for first in range(9):
        kept.add(part(1, first))
    assert [float(one.t_s[0]) for one in kept.parts] == [0, 4, 8]


def test_parts_shorter_than_the_stride_leave_what_is_kept_evenly_spread() -> None:
    kept = KeptBack(most=3)
    for first in (0, 5, 10):
        kept.add(part(5, first))
    assert np.concatenate([one.t_s for one in kept.parts]).tolist() == [0, 4, 8, 12]


def test_instants_that_show_nobody_are_not_reported_on() -> None:
    kept = KeptBack(most=100)
    kept.add(part(5, seen=False))
    with pytest.raises(Refusal, match="no instant of a person is left to report on"):
        kept.instants()
    kept.add(part(3, first=5))
    assert kept.instants().t_s.tolist() == [5, 6, 7]


def test_chosen_subjects_are_learned_from_and_the_others_kept_back() -> None:
    parts = [part(4), part(3, 4, "ben"), part(2, 7)]
    for choice, learned in (
        (Choice(names=("ben",)), [0, 3, 0]),
        (Choice(names=("ben",), without=True), [4, 0, 2]),
    ):
        kept = KeptBack(most=100)
        assert [len(one) for one in divide(parts, choice, kept)] == learned
        assert len(kept.instants()) == 9 - sum(learned)
    everybody = KeptBack(most=100)
    assert sum(len(one) for one in divide(parts, Choice(), everybody)) == 9
    assert len(everybody.instants()) == 9


def test_a_choice_that_names_nobody_who_came_or_leaves_nobody_is_refused() -> None:
    parts = [part(4), part(3, 4, "ben")]
    with pytest.raises(Refusal, match="no instant is of subject 'carl', expected some of ann, ben"):
        list(divide(parts, Choice(names=("ann", "carl")), KeptBack(most=9)))
    with pytest.raises(Refusal, match="no instant is left after the choice of subjects"):
        list(divide(parts, Choice(names=("ann", "ben"), without=True), KeptBack(most=9)))


def test_a_dataset_brings_its_own_split_and_no_files_go_with_it(tmp_path: Path) -> None:
    folder = skipose(tmp_path / "ski")
    kept = KeptBack(most=100)
    material = Material([], folder, Choice(), truth_2d=True)
    learned = [one.sessions for one in material.parts(kept)]
    assert learned == [("1/seq_103",), ("2/seq_104",)]
    assert kept.instants().sessions == ("5/seq_200", "5/seq_201")
    for paths, choice in (([tmp_path / "a.npz"], Choice()), ([], Choice(names=("ann",)))):
        with pytest.raises(Refusal, match="--dataset brings its own files and split"):
            list(Material(paths, folder, choice).parts(KeptBack(most=9)))


def test_files_are_divided_by_the_choice(tmp_path: Path) -> None:
    material = Material([multiview(tmp_path / "a.npz")], None, Choice(names=("ann",)))
    kept = KeptBack(most=100)
    assert sum(len(one) for one in material.parts(kept)) == FRAMES // 2
    assert set(kept.instants().subject) == {"ben"}
