"""Late, missing, duplicated and reordered frames."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from cvsf.messages import Frame
from runtime.ingest.synchroniser import Group, Slots, Steps
from tests.support.material import make_frame

PERIOD_NS = 50_000_000
CAMERAS = ("cam0", "cam1", "cam2", "cam3")


def frame(camera: str, seq: int, t_ns: int, trigger: int | None = None) -> Frame:
    return make_frame(camera, seq, b"", t_ns=t_ns, trigger=trigger)


@pytest.fixture
def slots() -> Slots:
    return Slots(min_deadline_ms=10, max_deadline_ms=50)


def play(slots: Slots, arrivals: list[tuple[int, Frame]], expected: tuple[str, ...]) -> list[Group]:
    """What comes out when frames arrive at those times, the clock ticking every millisecond."""
    groups: list[Group] = []
    waiting = iter(sorted(arrivals, key=lambda a: a[0]))
    coming = next(waiting, None)
    for now in itertools.count(0, 1_000_000):
        while coming and coming[0] <= now:
            groups += slots.add(coming[1], now, PERIOD_NS, expected)
            coming = next(waiting, None)
        groups += slots.expire(now, expected)
        if coming is None and now > arrivals[-1][0] + 10 * PERIOD_NS:
            return groups
    raise AssertionError


def test_frames_of_one_moment_become_one_full_instant(slots: Slots) -> None:
    rng = np.random.default_rng(0)
    arrivals = [
        (
            k * PERIOD_NS + 5_000_000 + int(rng.uniform(0, 8e6)),
            frame(c, k, k * PERIOD_NS + i * 1000),
        )
        for k in range(40)
        for i, c in enumerate(CAMERAS)
    ]
    groups = play(slots, arrivals, CAMERAS)
    assert len(groups) == 40
    assert all(g.full for g in groups)
    assert [g.t_ns for g in groups] == sorted(g.t_ns for g in groups)


def test_a_clock_that_runs_ahead_takes_no_instant_from_the_others(slots: Slots) -> None:
    wrong_ns = 100_000_000
    arrivals = [
        (k * PERIOD_NS + 5_000_000, frame(c, k, k * PERIOD_NS + wrong_ns * (c == "cam3")))
        for k in range(30)
        for c in CAMERAS
    ]
    groups = play(slots, arrivals, CAMERAS)
    assert [set(g.frames) for g in groups] == [set(CAMERAS[:3])] * 30
    assert (slots.ahead, slots.late) == (30, 0)


def test_a_dead_camera_costs_the_others_one_deadline(slots: Slots) -> None:
    arrivals = [
        (k * PERIOD_NS + 5_000_000, frame(c, k, k * PERIOD_NS))
        for k in range(30)
        for c in CAMERAS[:3]
    ]
    groups = play(slots, arrivals, CAMERAS)
    assert len(groups) == 30
    assert not any(g.full for g in groups)


def test_a_late_frame_is_counted_and_forms_no_second_instant(slots: Slots) -> None:
    arrivals = [(k * PERIOD_NS, frame(c, k, k * PERIOD_NS)) for k in range(5) for c in CAMERAS[:3]]
    arrivals.append((4 * PERIOD_NS + 1, frame("cam3", 0, 0)))
    groups = play(slots, arrivals, CAMERAS)
    assert len(groups) == 5
    assert slots.late == 1


def test_every_frame_is_in_at_most_one_instant_whatever_the_order(slots: Slots) -> None:
    rng = np.random.default_rng(3)
    arrivals = [
        (
            k * PERIOD_NS + int(rng.exponential(15e6)),
            frame(c, k, k * PERIOD_NS + int(rng.normal(0, 2e6))),
        )
        for k in range(100)
        for c in CAMERAS
        if rng.random() > 0.05
    ]
    arrivals.sort(key=lambda a: a[0])
    groups = play(slots, arrivals, CAMERAS)
    used = [(c, f.seq) for g in groups for c, f in g.frames.items()]
    assert len(used) == len(set(used))
    assert len(used) + slots.late == len(arrivals)
    assert all(len({f.seq for f in g.frames.values()}) == 1 for g in groups)


def stepped(lengths: dict[str, int]) -> Iterator[Frame]:
    for k in range(max(lengths.values())):
        for camera, length in lengths.items():
            if k < length:
                yield frame(camera, k, k * PERIOD_NS, trigger=k)


def test_files_in_step_give_every_instant_in_order() -> None:
    steps = Steps()
    groups = []
    for f in stepped(dict.fromkeys(CAMERAS, 25)):
        steps.add(f)
        groups += steps.ready(CAMERAS)
    assert [next(iter(g.frames.values())).trigger for g in groups] == list(range(25))
    assert all(g.full for g in groups)


def test_files_of_different_length_stop_at_the_shortest_and_count_the_rest() -> None:
    steps = Steps()
    lengths = {"cam0": 10, "cam1": 7}
    for f in stepped(lengths):
        steps.add(f)
    steps.end("cam1")
    steps.stop_after(6)
    assert len(steps.ready(("cam0", "cam1"))) == 7
    assert steps.beyond == 3


def test_a_recorded_camera_that_skips_triggers_delays_nobody() -> None:
    steps = Steps()
    for k in range(6):
        steps.add(frame("cam0", k, k * PERIOD_NS, trigger=k))
        if k % 3 == 0:
            steps.add(frame("cam1", k, k * PERIOD_NS, trigger=k))
    steps.end("cam0")
    steps.end("cam1")
    groups = steps.ready(("cam0", "cam1"))
    assert [len(g.frames) for g in groups] == [2, 1, 1, 2, 1, 1]


def test_a_source_that_restarts_repeats_no_instant() -> None:
    steps = Steps()
    for k in range(3):
        steps.add(frame("cam0", k, k * PERIOD_NS, trigger=k))
    assert len(steps.ready(("cam0",))) == 3
    steps.add(frame("cam0", 0, 0, trigger=0))
    assert steps.ready(("cam0",)) == []
