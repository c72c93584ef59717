"""A node's ring of frames, against a real receiver."""

import pytest

from capture.link.sender import Sender
from tests.support.link import PICTURE, frame, free_port, identity, running
from tests.support.product import until


@pytest.fixture
def port() -> int:
    return free_port()


def test_a_full_ring_drops_the_oldest_and_counts_them(port: int) -> None:
    sender = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=1, lossless=False)
    big = PICTURE + bytes(100_000)
    for seq in range(30):
        sender.put(frame(seq, big))
    account = sender.account()
    assert account["dropped"]["ring full"] + account["in_ring"] == 30
    with running(port) as hub:
        assert until(lambda: sender.account()["in_ring"] == 0)
        assert [f.seq for f in hub.frames] == list(range(account["dropped"]["ring full"], 30))
    sender.close(ended=True, drain_s=0)


def test_a_source_that_waits_is_held_until_its_frames_are_taken(port: int) -> None:
    with running(port) as hub:
        sender = Sender(f"tcp://127.0.0.1:{port}", identity("lossless"), ring_mb=16, lossless=True)
        for seq in range(30):
            sender.put(frame(seq))
        assert until(lambda: len(hub.frames) == 8)
        assert not until(lambda: len(hub.frames) > 8, 0.2)
        hub.receiver.mark_taken(hub.frames[7])
        assert until(lambda: len(hub.frames) == 16)
        sender.close(ended=True, drain_s=0)


def test_every_exposure_is_acknowledged_dropped_or_in_the_ring_before_there_is_a_hub(
    port: int,
) -> None:
    sender = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=16, lossless=False)
    for seq in range(5):
        sender.put(frame(seq))
    sender.count_dropped("missed by the source", 3)
    assert sender.account() == {
        "exposed": 8,
        "acknowledged": 0,
        "dropped": {"missed by the source": 3},
        "in_ring": 5,
        "fates": {},
    }
    sender.close(ended=True, drain_s=0)


@pytest.mark.parametrize(("lossless", "has_room"), [(False, True), (True, False)])
def test_only_a_source_that_waits_is_held_by_a_ring_of_32_frames(
    port: int, lossless: bool, has_room: bool
) -> None:
    sender = Sender(f"tcp://127.0.0.1:{port}", identity(), ring_mb=16, lossless=lossless)
    for seq in range(31):
        sender.put(frame(seq))
    assert sender.wait_for_room(0)
    sender.put(frame(31))
    assert sender.wait_for_room(0) is has_room
    sender.close(ended=True, drain_s=0)
