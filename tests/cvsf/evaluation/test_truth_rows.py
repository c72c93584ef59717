"""Which row of a simulator's truth an instant of a session is."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cvsf.evaluation.truth_rows import truth_rows
from cvsf.session.reader import SessionReader
from cvsf.session.statistics import Recordable
from tests.support.material import make_frame, make_instant, record


def session(folder: Path) -> SessionReader:
    """Six instants of two cameras; cam1's exposures are stamped 7 ns after cam0's."""
    messages: list[Recordable] = []
    for index in range(6):
        raw_ns = stamp(index)
        messages.append(make_frame("cam0", index, raw_ns=raw_ns))
        messages.append(make_frame("cam1", index, raw_ns=raw_ns + 7))
        messages.append(make_instant(index))
    # an instant whose frames are of two moments, and one of a frame that was never recorded
    mixed = {"cam0": ("a", 1), "cam1": ("a", 2)}
    messages.append(replace(make_instant(6), frames=mixed))
    messages.append(replace(make_instant(7), frames={"cam0": ("a", 99)}))
    # and one of a frame without a stamp
    messages.append(make_frame("cam0", 6, raw_ns=0))
    messages.append(replace(make_instant(8), frames={"cam0": ("a", 6)}))
    record(folder, messages)
    return SessionReader(folder)


def stamp(index: int) -> int:
    return 5_000 + 100 * index


def truth(path: Path, raw_ns: list[list[int]]) -> Path:
    np.savez(path, raw_ns=np.array(raw_ns))
    return path


def test_instants_are_matched_to_truth_by_the_stamps_of_their_frames(tmp_path: Path) -> None:
    reader = session(tmp_path / "s")
    order = [3, 1, 0, 2, 5, 4]
    file = truth(tmp_path / "t.npz", [[stamp(i), stamp(i) + 7] for i in order])
    found = truth_rows(reader, file)
    assert found == {instant: row for row, instant in enumerate(order)}


def test_one_known_frame_gives_an_instant_its_row_and_none_gives_no_row(tmp_path: Path) -> None:
    reader = session(tmp_path / "s")
    file = truth(tmp_path / "t.npz", [[0, stamp(0) + 7], [stamp(3), 0], [0, 0]])
    assert truth_rows(reader, file) == {0: 0, 3: 1}


def test_an_instant_of_two_moments_has_a_row_only_where_one_of_them_is_known(
    tmp_path: Path,
) -> None:
    reader = session(tmp_path / "s")
    both = truth(tmp_path / "both.npz", [[stamp(1), stamp(1) + 7], [stamp(2), stamp(2) + 7]])
    assert truth_rows(reader, both) == {1: 0, 2: 1}
    one = truth(tmp_path / "one.npz", [[stamp(2), stamp(2) + 7]])
    assert truth_rows(reader, one) == {2: 0, 6: 0}
