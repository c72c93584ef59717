"""Every exposure is in one place, over killed nodes, killed hubs and other sessions."""

from runtime.ingest.camera_connection import (
    RECORDED,
    Link,
    OnDisk,
    open_link,
    read_report,
)
from runtime.ingest.frame_accounting import account
from tests.support.receivers import node_report


def taken(link: Link, fates: list[str]) -> Link:
    """The link after that many more frames, all of them on disk where they are to be."""
    for fate in fates:
        link.received += 1
        link.pending.append((link.received, fate))
    link.store(link.received)
    link.count_fates()
    return link


def test_what_was_in_the_ring_of_a_killed_node_is_lost_with_it() -> None:
    dead = taken(open_link(b"", node_report(), None), [RECORDED] * 7 + ["damaged picture"])
    dead.report = read_report(
        node_report(exposed=10, acknowledged=5, in_ring=5, dropped={"missed": 1})
    )
    present = taken(open_link(b"", node_report("b"), None), [RECORDED] * 3)
    present.report = read_report(node_report("b", exposed=4, in_ring=1, fates={RECORDED: 3}))
    runs = {("cam0", "a"): dead, ("cam0", "b"): present}
    found = account("cam0", present, runs, {}, final=False)
    assert (found.exposed, found.recorded, found.in_ring, found.dropped) == (14, 10, 1, 3)
    assert found.reasons == {"damaged picture": 1, "missed": 1, "lost with its node": 1}


def test_a_restarted_hub_goes_on_counting_from_the_disk_and_the_node() -> None:
    on_disk = {("cam0", "a"): OnDisk(last=9, frames=8), ("cam0", "dead"): OnDisk(last=3, frames=4)}
    told = node_report(
        exposed=15, acknowledged=10, in_ring=4, dropped={"missed": 1}, fates={"bad": 2}
    )
    link = open_link(b"", told, on_disk["cam0", "a"])
    assert (link.received, link.durable) == (9, 9)
    taken(link, [RECORDED] * 4)
    link.report = read_report(told | {"in_ring": 0, "fates": dict(link.fates)})
    for final in (False, True):
        found = account("cam0", link, {("cam0", "a"): link}, on_disk, final=final)
        assert (found.exposed, found.recorded, found.dropped) == (19, 16, 3)
    alone = account("cam0", None, {}, on_disk, final=True)
    assert (alone.exposed, alone.recorded, alone.dropped) == (14, 12, 2)
    assert alone.reasons == {"lost with an earlier run": 2}


def test_frames_recorded_in_another_session_are_not_counted_in_this_one() -> None:
    told = node_report(exposed=100, acknowledged=90, in_ring=8, dropped={"ring full": 2})
    link = open_link(b"", told | {"fates": {RECORDED: 90}}, None)
    found = account("cam0", link, {("cam0", "a"): link}, {}, final=False)
    assert (found.exposed, found.in_ring, found.recorded, found.dropped) == (8, 8, 0, 0)


def test_a_hub_that_leaves_before_its_nodes_leaves_the_rest_in_their_rings() -> None:
    link = taken(open_link(b"", node_report(), None), [RECORDED] * 5)
    link.report = read_report(
        node_report(exposed=9, acknowledged=3, in_ring=6, fates={RECORDED: 3})
    )
    found = account("cam0", link, {("cam0", "a"): link}, {}, final=True)
    assert (found.exposed, found.recorded, found.in_ring, found.dropped) == (9, 5, 4, 0)
