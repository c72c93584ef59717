"""Frames to instants as they arrive, on a clock that the test holds."""

import pytest

from cvsf.hub_config import HubConfig
from runtime.ingest.camera_connection import Link
from runtime.ingest.instant_assembler import InstantAssembler
from runtime.ingest.instant_queue import InstantQueue
from runtime.ingest.receiver import Receiver
from tests.support.material import PERIOD_NS, START_NS, make_frame
from tests.support.receivers import connect

DEADLINE_NS = 50_000_000


class Desk:
    """A gathering, its inbox, a receiver that hears nobody, and the clock."""

    def __init__(self, receiver: Receiver, cams: int) -> None:
        self.receiver, self.queue, self.now_ns = receiver, InstantQueue(), START_NS
        self.assembler = InstantAssembler(
            HubConfig(), self.queue, cams=cams, now_ns=lambda: self.now_ns
        )

    def join(self, camera: str, *, pace: str = "live", in_step: bool = False) -> Link:
        link = connect(self.receiver, camera, pace=pace, in_step=in_step)
        link.last_message_s += 3600  # however slow the machine is
        return link

    def give(self, camera: str, seq: int, trigger: int | None = None) -> None:
        link = self.receiver.links[camera]
        link.received = seq
        self.assembler.take(self.receiver, make_frame(camera, seq, trigger=trigger), link)

    def groups(self) -> list[dict[str, int]]:
        """What is in the inbox: camera and seq of each instant."""
        found = []
        while group := self.queue.get(0.0):
            found.append({camera: frame.seq for camera, frame in group.frames.items()})
        return found


def test_a_live_instant_goes_out_with_the_last_camera_that_is_alive(receiver: Receiver) -> None:
    desk = Desk(receiver, 3)
    for camera in ("cam0", "cam1"):
        desk.join(camera)
    desk.join("silent").last_message_s -= 7200
    desk.give("cam0", 0)
    assert desk.groups() == []
    assert desk.assembler.expire(receiver) is True
    desk.give("cam1", 0)
    assert desk.groups() == [{"cam0": 0, "cam1": 0}]
    assert desk.assembler.expire(receiver) is False


def test_a_live_instant_waits_for_its_deadline_and_a_frame_after_that_is_late(
    receiver: Receiver,
) -> None:
    desk = Desk(receiver, 2)
    for camera in ("cam0", "cam1"):
        desk.join(camera)
    desk.give("cam0", 0)
    desk.now_ns = START_NS + DEADLINE_NS
    desk.assembler.expire(receiver)
    assert desk.groups() == []
    desk.now_ns += 1
    desk.assembler.expire(receiver)
    assert desk.groups() == [{"cam0": 0}]
    desk.give("cam1", 0)
    assert desk.groups() == []
    assert desk.assembler.stats().to_map() == {
        "frames_late": 1, "frames_ahead": 0, "frames_beyond_shortest": 0
    }  # fmt: skip


def test_a_frame_from_the_future_is_counted_and_makes_no_other_late(receiver: Receiver) -> None:
    desk = Desk(receiver, 1)
    desk.join("cam0")
    desk.give("cam0", 10)  # half a second ahead of the clock
    assert desk.groups() == []
    desk.now_ns = START_NS + PERIOD_NS
    desk.give("cam0", 1)
    assert desk.groups() == [{"cam0": 1}]
    assert desk.assembler.stats().to_map()["frames_ahead"] == 1


def test_files_wait_for_as_many_cameras_as_were_asked_for_however_late(
    receiver: Receiver,
) -> None:
    desk = Desk(receiver, 2)
    desk.join("cam0", pace="lossless", in_step=True)
    for seq in range(3):
        desk.give("cam0", seq, trigger=seq)
    desk.now_ns += 3_600_000_000_000
    assert desk.assembler.expire(receiver) is True
    assert desk.groups() == []
    desk.join("cam1", pace="lossless", in_step=True)
    for seq in range(2):
        desk.give("cam1", seq, trigger=seq)
    assert desk.groups() == [{"cam0": 0, "cam1": 0}, {"cam0": 1, "cam1": 1}]


def test_the_end_of_the_shorter_file_stops_the_longer_one_there(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(receiver, 2)
    short = desk.join("short", pace="lossless", in_step=True)
    long = desk.join("long", pace="lossless", in_step=True)
    for seq in range(4):
        desk.give("long", seq, trigger=seq)
    for seq in range(2):
        desk.give("short", seq, trigger=seq)
    short.ended = short.gone = True
    desk.assembler.end(receiver, short)
    desk.give("long", 4, trigger=4)
    assert desk.groups() == [{"long": 0, "short": 0}, {"long": 1, "short": 1}]
    assert long.stop_reason == "a shorter file has ended after 2 pictures"
    assert long.taken == 4
    assert desk.assembler.stats().to_map()["frames_beyond_shortest"] == 3
    (said,) = caplog.records
    assert "shorter one has ended" in said.getMessage()
