"""What waits for the pose loop: the newest of live cameras, all of files."""

import threading

from runtime.ingest.instant_queue import InstantQueue
from runtime.ingest.synchroniser import Group

GROUPS = [Group(frames={}, expected=(f"cam{i}",)) for i in range(6)]


def emptied(inbox: InstantQueue) -> list[Group]:
    return list(iter(lambda: inbox.get(0.0), None))


def test_of_live_groups_only_the_newest_waits_and_the_others_are_counted() -> None:
    inbox = InstantQueue()
    for group in GROUPS:
        inbox.put(group, lossless=False)
    assert emptied(inbox) == GROUPS[-1:]
    assert inbox.skipped == 5


def test_two_live_groups_that_wait_are_both_kept() -> None:
    inbox = InstantQueue()
    for group in GROUPS[:2]:
        inbox.put(group, lossless=False)
    assert emptied(inbox) == GROUPS[:2]
    for group in GROUPS[2:]:
        inbox.put(group, lossless=False)
    assert emptied(inbox) == GROUPS[2:]
    assert inbox.skipped == 0


def test_of_files_every_group_waits_in_order_whatever_is_live_beside() -> None:
    inbox = InstantQueue()
    for group in GROUPS[:3]:
        inbox.put(group, lossless=True)
    inbox.put(GROUPS[3], lossless=False)
    assert emptied(inbox) == GROUPS[:4]
    assert inbox.skipped == 0


def test_a_waiting_reader_is_woken_by_the_next_group() -> None:
    inbox = InstantQueue()
    waker = threading.Timer(0.05, inbox.put, (GROUPS[0],), {"lossless": False})
    waker.start()
    assert inbox.get(5.0) is GROUPS[0]
    waker.join()
