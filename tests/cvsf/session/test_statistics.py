"""What a segment holds, counted from its messages."""

import pytest

from cvsf.session.statistics import Tally
from tests.support.material import (
    PERIOD_NS,
    START_NS,
    make_frame,
    make_instant,
    make_pose,
    make_skeleton,
)


def counted(*seqs: int, last: int | None = None) -> Tally:
    """The frames of one camera."""
    tally = Tally({} if last is None else {("cam0", "a"): last})
    for seq in seqs:
        tally.count(make_frame("cam0", seq))
    return tally


@pytest.mark.parametrize(
    ("last", "seqs", "gaps", "missing"),
    [
        (None, (5, 6, 7), [], 0),
        (None, (0, 3, 4, 9), [(1, 2), (5, 8)], 6),
        (4, (5, 6), [], 0),
        (1, (5, 6), [(2, 4)], 3),
    ],
)
def test_frames_that_are_not_there_are_numbered_gaps_since_the_segment_before(
    last: int | None, seqs: tuple[int, ...], gaps: list[tuple[int, int]], missing: int
) -> None:
    found = counted(*seqs, last=last).ranges["cam0", "a"]
    assert (found.first, found.last, found.frames) == (seqs[0], seqs[-1], len(seqs))
    assert (found.gaps, found.missing) == (gaps, missing)


def test_gaps_beyond_the_thousandth_are_counted_and_not_listed() -> None:
    found = counted(*range(0, 2402, 2)).ranges["cam0", "a"]
    assert found.missing == 1200
    assert len(found.gaps) == 1000
    assert found.gaps[-1] == (1999, 1999)


def test_a_camera_that_was_started_again_has_a_range_of_its_own() -> None:
    tally = counted(0, 1, 2)
    tally.count(make_frame("cam0", 0, boot_id="b"))
    assert [r.boot_id for r in tally.record(file="x", sealed=True).ranges["cam0"]] == ["a", "b"]
    assert tally.ranges["cam0", "b"].missing == 0


def test_the_record_names_the_times_the_instants_and_the_worst_clock() -> None:
    tally = counted(3, 1)
    tally.count(make_instant(9))
    tally.count(make_instant(4))
    tally.count(make_pose(5))
    tally.count(make_skeleton(5))
    record = tally.record(file="seg-000000.mcap", sealed=True)
    assert record.first_ns == START_NS + PERIOD_NS
    assert record.last_ns == START_NS + 9 * PERIOD_NS
    assert record.last_instant == 9
    assert record.sync["cam0"].worst_uncertainty_ns == 40_003
    assert tally.sizes == {"cam0": (640, 480)}
    assert (tally.engines, tally.detectors) == ({"starter-1"}, {"tiny-0123456789ab"})


def test_a_copy_does_not_change_with_what_is_counted_later() -> None:
    tally = counted(0, 1)
    before = tally.copy()
    tally.count(make_frame("cam0", 5))
    assert before.ranges["cam0", "a"].frames == 2
    assert before.last == {("cam0", "a"): 1}
    assert tally.last == {("cam0", "a"): 5}
